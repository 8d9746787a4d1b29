"""The policy set that ships: a sensible start for a European shop, to be copied and changed."""

from functools import cache
from importlib.resources import files

from counterflow.core.policy import PolicySet, parse
from counterflow.guards import compile_guard


def default_text() -> str:
    """The shipped set as TOML, as `counterflow policy` shows it."""
    return files(__package__).joinpath("default.toml").read_text("utf-8")


@cache
def default() -> PolicySet:
    """The shipped set, checked. Raises ValueError naming the problems, should the file have been damaged."""
    result = parse(default_text(), compile_guard)
    if isinstance(result, PolicySet):
        return result
    raise ValueError("\n".join(map(str, result)))
