"""Python imports this at its start where tests/twice.py has put its folder on the path: every step is done twice then.

Not in a process of other programs, and not where a bug is planted: that has to come before the product is imported.
"""

import importlib.util
import sys
from pathlib import Path

if importlib.util.find_spec("counterflow") and "planting" not in " ".join(sys.orig_argv):
    root = str(Path(__file__).parents[2])
    sys.path.insert(0, root)
    from tests import twice

    sys.path.remove(root)
    twice.alive = True
    forever = twice.steps()
    forever.__enter__()
