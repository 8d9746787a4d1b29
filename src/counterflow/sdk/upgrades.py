"""What a new version of a vendor's API changes for a connector: an optional second face of its maker."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Change:
    """One finding. `kind`: breaks (an upgrade fails until it is mended) | deprecated (works, and goes away) | look."""

    kind: str
    where: str  # the call or type of ours that it touches
    what: str


class CannotCompare(Exception):
    """The vendor's description of a version is not at hand; the message names the next move."""


@runtime_checkable
class Upgradable(Protocol):
    """A maker that can say, from the vendor's own descriptions, what changes between two versions of its API."""

    def upgrade_check(self, old: str, new: str, folder: Path | None = None) -> Sequence[Change]:
        """What breaks first. `folder` holds the vendor's descriptions; None: where the connector keeps them.

        Raises CannotCompare.
        """
