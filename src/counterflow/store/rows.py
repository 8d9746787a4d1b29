"""How rows go to Postgres in one statement: columns as arrays, taken apart by unnest."""

from collections.abc import Iterable, Sequence
from typing import Any


def columns(rows: Sequence[tuple[Any, ...]]) -> tuple[list[Any], ...]:
    """The columns of rows of equal length; rows must not be empty."""
    return tuple(list(column) for column in zip(*rows, strict=True))


def array(values: Iterable[str]) -> str:
    """A text[] literal: unnest takes no arrays of different lengths, so they travel as text and are cast."""
    return "{" + ",".join('"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"' for value in values) + "}"
