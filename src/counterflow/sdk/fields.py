"""Somebody else's JSON, read strictly: what is missing, of another type or absurd is Malformed and names its field."""

import json
import re
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from counterflow.sdk.outcomes import Malformed

TEXT_MOST = 500  # characters
ROWS_MOST = 1_000
QUANTITY_MOST = 100_000
AMOUNT_MOST = 10**12  # minor units

_NO: Any = object()
_BROKEN = re.compile("[\x00\ud800-\udfff]").search  # neither is storable


def parsed(body: bytes) -> Any:
    """The JSON value. Raises ValueError, also where it is nested deeper than any message is."""
    try:
        return json.loads(body)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


class Fields:
    """One JSON object; `path` is where it stands in the message. Every method raises Malformed with `field`.

    A field with a default may be absent or null; one without has to be there.
    """

    def __init__(self, value: object, path: str = "") -> None:
        self._path = path
        if not isinstance(value, dict):
            raise Malformed(f"{path or 'the message'} is {_what(value)}, an object was expected", field=path)
        self._doc: dict[str, Any] = value

    def has(self, name: str) -> bool:
        """Whether it is there and not null."""
        return self._doc.get(name) is not None

    def text(self, name: str, default: str = _NO) -> str:
        """A text that is not empty, of at most 500 characters, none of them NUL or half a character."""
        value = self._value(name, default)
        if not isinstance(value, str) or (not value and default != "") or len(value) > TEXT_MOST or _BROKEN(value):
            raise self.wrong(name, f"a text of 1 to {TEXT_MOST} characters")
        return value

    def word(self, name: str, words: Collection[str], default: str = _NO) -> str:
        """One of these words. Raises Malformed."""
        value = self.text(name, default)
        if value not in words and value != default:
            raise self.wrong(name, f"one of {', '.join(words)}")
        return value

    def whole(self, name: str, low: int, high: int, default: int = _NO) -> int:
        """A whole number from `low` to `high`; 2.0, "2" and true are none."""
        value = self._value(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self.wrong(name, f"a whole number from {low} to {high}")
        return value

    def quantity(self, name: str = "quantity", *, least: int = 1, default: int = _NO) -> int:
        """Pieces. Raises Malformed."""
        return self.whole(name, least, QUANTITY_MOST, default)

    def amount(self, name: str, *, least: int = 1, default: int = _NO) -> int:
        """Minor units."""
        return self.whole(name, least, AMOUNT_MOST, default)

    def flag(self, name: str, default: bool = _NO) -> bool:
        """True or false. Raises Malformed."""
        value = self._value(name, default)
        if not isinstance(value, bool):
            raise self.wrong(name, "true or false")
        return value

    def instant(self, name: str, default: datetime = _NO) -> datetime:
        """An instant of ISO 8601 with its zone, as UTC."""
        value = self._value(name, default)
        if isinstance(value, datetime):
            return value
        try:
            at = datetime.fromisoformat(value)
            if at.tzinfo is not None:
                return at.astimezone(UTC)
        except (TypeError, ValueError, OverflowError):
            pass
        raise self.wrong(name, "an instant with its zone, such as 2026-03-01T09:30:00Z")

    def inner(self, name: str) -> "Fields":
        """An object inside this one."""
        return Fields(self._value(name, _NO), self._at(name))

    def rows(self, name: str, *, needed: bool = False) -> list["Fields"]:
        """A list of objects; absent: none, unless it is `needed`."""
        return [Fields(row, f"{self._at(name)}[{n}]") for n, row in enumerate(self.items(name, needed=needed))]

    def items(self, name: str, *, needed: bool = False) -> list[Any]:
        """A list of whatever; absent: empty, unless it is `needed`, as what a page or a look-up is about."""
        value = self._value(name, _NO if needed else ())
        if value == ():
            return []
        if not isinstance(value, list) or len(value) > ROWS_MOST:
            raise self.wrong(name, f"a list of at most {ROWS_MOST}")
        return value

    def wrong(self, name: str, expected: str) -> Malformed:
        """The error for a field that is not as expected."""
        at = self._at(name)
        return Malformed(f"{at} is {_what(self._doc.get(name))}, expected is {expected}", field=at)

    def _value(self, name: str, default: Any) -> Any:
        value = self._doc.get(name)
        if value is not None:
            return value
        if default is _NO:
            raise Malformed(f"{self._at(name)} is missing", field=self._at(name))
        return default

    def _at(self, name: str) -> str:
        return f"{self._path}.{name}" if self._path else name


def _what(value: object) -> str:
    return repr(value)[:60] if isinstance(value, str | int | float | bool | None) else f"a {type(value).__name__}"
