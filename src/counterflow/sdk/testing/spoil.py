"""Ways to spoil what a system says: one JSON document, table or row of bytes, with something in it that nobody expects.

The same chance spoils the same body in the same way, so that a failure is found again.
"""

import csv
import io
import json
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

BOM = b"\xef\xbb\xbf"
_DEEP = 20_000
# What stands where something else is expected.
_VALUES: tuple[Any, ...] = (
    *(None, True, False, [], {}, [[]], [None], [{}], {"": ""}, {"id": None}),
    *(0, -1, 1, 7, 2**31, 2**63, -(2**64), 10**13, 10**400, 0.1, 19.905, -0.0, 1e-9, 1e15, 1e300),
    *(float("nan"), float("inf"), float("-inf")),
    *("", " ", "0", "-1", "1e5", "NaN", "Infinity", "1_000", "٣", "²", "0x10", "19.905", "9" * 25, "9" * 400),
    *("x" * 3_000, "x" * 100_000, "a\x00b", "\x00", "\ud800", "a\udfffb", "😀" * 300, "e\u0301", "\u202eabc", "\r\n"),
    *("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2026-02-30T25:61:61Z", "2026-03-01", "EUR", "XXX"),
)
# What no document of Python's can hold, as it stands in the text.
_RAW = (
    *("1e999", "-1e999", "-0", "01", "'x'", "undefined", '"\\ud800"', '"\\u0000"', '"\\x"', '"\x01"', "9" * 5_000),
    *("[" * _DEEP + "]" * _DEEP, '{"a":' * _DEEP + "1" + "}" * _DEEP, "[" * _DEEP),
    *("[" * 300 + "]" * 300, "[" * 900 + "]" * 900, '{"id":' * 900 + "1" + "}" * 900),
)
_MARK, _TWICE = "@@raw@@", "@@twice@@"
Place = tuple[Any, Any]  # an object or list, and a key or index of it


def spoil(body: bytes, chance: Random) -> tuple[bytes, str]:
    """The body with something wrong in it, and what."""
    try:
        root = [json.loads(body)]
    except ValueError:
        return spoil_bytes(body, chance)
    if chance.random() < 0.15:
        return spoil_bytes(body, chance)
    said, raw = [], chance.choice(_RAW)
    for _ in range(chance.choice((1, 1, 1, 1, 2, 3))):
        places = list(_places(root))
        if not places:
            break
        where, name = chance.choice(places)
        way = chance.choice(_WAYS)
        said.append(f"{name!r} {way.__name__.strip('_')}: {way(where, name, chance)}")
    text = json.dumps(root, ensure_ascii=chance.random() < 0.5)[1:-1]
    text = text.replace(f'"{_MARK}"', raw).replace(_TWICE, "")
    return text.encode("utf-8", "surrogatepass"), "; ".join(said)[:400]


def spoil_table(body: bytes, delimiter: str, chance: Random) -> tuple[bytes, str]:
    """The CSV file with something wrong in a cell, a row, a column or its bytes, and what."""
    rows = [row for row in csv.reader(io.StringIO(body.decode("utf-8-sig")), delimiter=delimiter) if row]
    if chance.random() < 0.15:
        return spoil_bytes(body, chance)
    row, column = chance.randrange(len(rows)), chance.randrange(len(rows[0]))
    what = f"row {row}, column {rows[0][column]!r}: "
    match chance.randrange(8):
        case 0:
            what += "the row is gone"
            del rows[row]
        case 1:
            what += "the row comes twice"
            rows.insert(row, list(rows[row]))
        case 2:
            what += "the column is gone"
            for each in rows:
                del each[column]
        case 3:
            what += "a cell of the row is gone"
            del rows[row][column]
        case 4:
            other = chance.randrange(len(rows[0]))
            what += f"changes place with {rows[0][other]!r}"
            rows[row][column], rows[row][other] = rows[row][other], rows[row][column]
        case _:
            value = chance.choice(_VALUES)
            rows[row][column] = value if isinstance(value, str) else json.dumps(value)
            what += f"is {rows[row][column][:60]!r}"
    told = io.StringIO()
    try:
        csv.writer(told, delimiter=delimiter, lineterminator="\n", quoting=csv.QUOTE_MINIMAL).writerows(rows)
    except csv.Error:
        return spoil_bytes(body, chance)
    return told.getvalue().encode("utf-8", "surrogatepass"), what


def spoil_bytes(body: bytes, chance: Random) -> tuple[bytes, str]:
    """Bits, bytes and encodings."""
    at, to = sorted(chance.randrange(len(body) + 1) for _ in range(2))
    match chance.randrange(7):
        case 0 if body:
            return flipped(body, chance), "a bit is another"
        case 1:
            return body[:at], f"cut at byte {at}"
        case 2:
            return body[:at] + body[to:], f"bytes {at} to {to} are gone"
        case 3:
            return body[:to] + body[at:], f"bytes {at} to {to} come twice"
        case 4:
            return BOM + body, "a byte order mark"
        case 5:
            return body.decode("utf-8", "replace").encode("utf-16"), "as UTF-16"
    more = bytes(chance.randrange(256) for _ in range(chance.randint(1, 8)))
    return body[:at] + more + body[at:], f"{more!r} at byte {at}"


def flipped(body: bytes, chance: Random) -> bytes:
    """One bit is another."""
    at = chance.randrange(len(body))
    return body[:at] + bytes([body[at] ^ (1 << chance.randrange(8))]) + body[at + 1 :]


def without_list(number: int, body: bytes) -> tuple[bytes, str]:
    """The JSON document with the list of this number, of those that hold something, under another name; else ""."""

    def rename(where: Any, name: Any) -> None:
        where[f"{name}X"] = where.pop(name)

    return _only(
        number, body, lambda where, value: value and isinstance(where, dict) and isinstance(value, list), rename
    )


def turned(number: int, body: bytes) -> tuple[bytes, str]:
    """The JSON document with the true or false of this number as the other one; else ""."""

    def turn(where: Any, name: Any) -> None:
        where[name] = not where[name]

    return _only(number, body, lambda where, value: isinstance(value, bool), turn)


def _only(
    number: int, body: bytes, fits: Callable[[Any, Any], bool], change: Callable[[Any, Any], None]
) -> tuple[bytes, str]:
    try:
        root = [json.loads(body)]
    except ValueError:
        return body, ""
    found = [(where, name) for where, name in _places(root) if fits(where, where[name])]
    if number >= len(found):
        return body, ""
    change(*found[number])
    return json.dumps(root)[1:-1].encode(), str(found[number][1])


def written_otherwise(body: bytes) -> list[bytes]:
    """The same JSON in other bytes: order, spaces, escapes, encodings, a key that comes twice."""
    document = json.loads(body)
    backwards = dict(reversed(document.items())) if isinstance(document, dict) else document
    forms = [
        json.dumps(document, indent=1),
        json.dumps(document, separators=(",", ":")),
        json.dumps(document, separators=(", ", ": "), ensure_ascii=False),
        json.dumps(document, sort_keys=True),
        json.dumps(backwards),
        json.dumps({f"id{_TWICE}": None, **document}).replace(_TWICE, ""),
        body.decode().replace("o", "\\u006f"),  # no word of JSON's own has one
    ]
    whole = [form.encode() for form in forms]
    whole += [body + b"\n", b" " + body, BOM + body, body.decode().encode("utf-16"), body.decode().encode("utf-32-le")]
    return [each for each in whole if each != body]


def _places(value: Any) -> Iterator[Place]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, each in inner:
        yield value, name
        yield from _places(each)


def _gone(where: Any, name: Any, chance: Random) -> str:
    del where[name]
    return "gone" if where else "gone, nothing is left"


def _replaced(where: Any, name: Any, chance: Random) -> str:
    where[name] = chance.choice(_VALUES)
    return repr(where[name])[:60]


def _longer(where: Any, name: Any, chance: Random) -> str:
    """Of the same kind, so that it goes further."""
    value, more = where[name], chance.choice([each for each in _VALUES if isinstance(each, str)])
    if isinstance(value, str):
        where[name] = chance.choice(
            (value + more, more + value, value[: len(value) // 2], value[::-1], value[:100] * 300)
        )
    elif isinstance(value, list):
        where[name] = chance.choice((value * 2, value[:5] * 50, value[::-1], value[:1], []))
    elif isinstance(value, dict):
        where[name] = dict(list(value.items())[: len(value) // 2])
    elif isinstance(value, bool):
        where[name] = not value
    elif isinstance(value, int | float):
        where[name] = chance.choice((-value, value + 1, value * 1000, str(value), f"{value}.5", 0.5))
    else:
        where[name] = chance.choice(_VALUES)
    return repr(where[name])[:60]


def _raw(where: Any, name: Any, chance: Random) -> str:
    where[name] = _MARK
    return "no value of JSON, or one that is deep, long or large"


def _renamed(where: Any, name: Any, chance: Random) -> str:
    if isinstance(where, dict):
        where[chance.choice((name.upper(), f"{name}\x00", "", f"{name}s"))] = where.pop(name)
    else:
        where.insert(0, where[name])
    return "renamed"


def _twice(where: Any, name: Any, chance: Random) -> str:
    if isinstance(where, dict):
        where[f"{name}{_TWICE}"] = chance.choice(_VALUES)
    else:
        where.append(where[name])
    return "there twice"


def _wrapped(where: Any, name: Any, chance: Random) -> str:
    where[name] = chance.choice(([where[name]], {"id": where[name]}, {name: where[name]}, json.dumps(where[name])))
    return repr(where[name])[:60]


_WAYS: tuple[Callable[[Any, Any, Random], str], ...] = (
    *(_gone, _gone, _replaced, _replaced, _replaced, _replaced),
    *(_longer, _longer, _raw, _renamed, _twice, _wrapped),
)
