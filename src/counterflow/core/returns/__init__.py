"""The return case: three axes, one fold of facts, one decision per fact."""
