"""The points of the proof, how one fails, and the sums that its expectations are made of."""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from counterflow.connectors.odoo.live.proof import Proof

Function = Callable[["Proof"], Awaitable[str | None]]


@dataclass(frozen=True, slots=True)
class Point:
    """One flow. `about` is its first docstring line."""

    group: str
    function: Function

    @property
    def name(self) -> str:
        return f"{self.group}: {self.about}"

    @property
    def about(self) -> str:
        return (self.function.__doc__ or self.function.__name__).strip().splitlines()[0].rstrip(".")


POINTS: list[Point] = []


def point(group: str) -> Callable[[Function], Function]:
    """Add a point to the proof."""

    def add(function: Function) -> Function:
        POINTS.append(Point(group, function))
        return function

    return add


class Failed(AssertionError):
    """Odoo holds something else than the story says."""


def inside(amount: int) -> int:
    """The tax of 19 % inside an amount, minor units, half away from zero."""
    sign = -1 if amount < 0 else 1
    net = (2 * abs(amount) * 100 + 119) // (2 * 119)
    return sign * (abs(amount) - net)


def total(*parts: Mapping[str, int]) -> dict[str, int]:
    """Changes added up, without those that cancel out."""
    found = Counter[str]()
    for part in parts:
        for name, value in part.items():
            found[name] += value
    return {name: value for name, value in found.items() if value}


def same(found: Any, wanted: Any, what: str) -> None:
    """Equal, or the point fails."""
    if found != wanted:
        raise Failed(f"{what} {found!r}, expected {wanted!r}")
