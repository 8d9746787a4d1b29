"""Everything that arrives: verified, kept raw, known repeats dropped, translated, and put where the engine finds it."""
