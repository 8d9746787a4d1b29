"""How rows go to Postgres in one statement: each column as the text of an array, taken apart by unnest.

We write that text ourselves: the driver's own way of quoting took more time than all decisions of a batch.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from types import NoneType
from typing import Any


def columns(rows: Sequence[tuple[Any, ...]]) -> tuple[str, ...]:
    """The columns of rows of equal length, each as an array; rows must not be empty."""
    return tuple(array(column) for column in zip(*rows, strict=True))


def array(values: Iterable[Any]) -> str:
    """An array of str, int, bool, datetime, bytes or None as text. In an array it is cast by the query."""
    return "{" + ",".join([_TEXT[type(value)](value) for value in values]) + "}"


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


_TEXT: dict[type, Callable[[Any], str]] = {
    str: _quoted,
    int: str,
    bool: lambda value: "t" if value else "f",
    datetime: lambda value: f'"{value.isoformat()}"',
    bytes: lambda value: f'"\\\\x{value.hex()}"',
    NoneType: lambda _: "NULL",
}
