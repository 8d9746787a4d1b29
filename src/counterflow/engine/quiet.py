"""What a process that works for long says to the garbage collector once it has started."""

import gc

YOUNG = 20_000  # objects between two collections; the default of 700 costs a worker 7 % of its time


def quiet() -> None:
    """Leave what lives as long as the process out of collections: a full one would stop it for tens of milliseconds."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, 20, 20)
