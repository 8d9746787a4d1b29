"""Money that cannot be: an amount finer than its currency is refused by name, and never rounded in silence."""

import csv
import io
import json
import re
from collections.abc import Callable
from itertools import zip_longest
from typing import Any

import httpx2

from counterflow.core.facts import Fact
from counterflow.sdk.connector import Signal
from counterflow.sdk.outcomes import ConnectorError, Malformed
from counterflow.sdk.testing.check import Skipped, check, feeds
from counterflow.sdk.testing.harness import Harness

_MONEY = re.compile(r"amount|total|price|net\b|gross|fee|residual|balance|value\b", re.IGNORECASE)


@check(23, feeds)
async def no_fraction_of_a_minor_unit(harness: Harness, feed: str) -> None:
    """Amounts that are told with a fraction of their minor unit are Malformed, and the message says which."""
    await harness.happen(feed)
    if not any(_amounts(fact) for fact in await _read(harness, feed)):
        raise Skipped(f"{feed} tells no amounts")
    bent = Bending(harness.network, finer)
    try:
        told = await _read(harness, feed, bent)
    except Malformed as error:
        named = f"{error.field} {error.message}"
        assert any(value in named or name in named for name, value in bent.bent), f"it does not say which: {named}"
        return
    except ConnectorError as error:
        raise AssertionError(f"it gave {error.word}: {error}") from None
    assert bent.bent, "no answer had an amount in it: the harness cannot tell"
    raise AssertionError(f"{bent.bent[0][0]} {bent.bent[0][1]} was believed: {[_amounts(fact) for fact in told]}")


async def _read(harness: Harness, feed: str, network: httpx2.AsyncBaseTransport | None = None) -> list[Fact]:
    """Everything that the feed tells, with what its signals point at."""
    found: list[Fact] = []
    reader, cursor = harness.connect(network=network), ""
    while True:
        page = await reader.pull(feed, cursor)
        for item in page.items:
            found += await reader.fetch(item.feed, item.ref) if isinstance(item, Signal) else [item]
        if not page.more or page.cursor == cursor:
            return found
        cursor = page.cursor


def _amounts(fact: Fact) -> list[int]:
    return [value for name in ("amount_minor", "net_minor") if (value := getattr(fact.body, name, 0))]


def finer(value: Any) -> Any:
    """The same amount with a fraction that no currency has; None for what is no amount."""
    if isinstance(value, bool) or value in (0, "", None):
        return None
    if isinstance(value, int):
        return value + 0.5  # they count minor units
    if isinstance(value, float):
        return round(value + 0.00049, 5)
    if isinstance(value, str) and re.fullmatch(r"-?\d+(\.\d+)?", value):
        return f"{value}{'' if '.' in value else '.0'}00049"
    return None


class Bending(httpx2.AsyncBaseTransport):
    """Passes everything on, and bends the amounts of every JSON or CSV answer. `bent`: (field, what it is now)."""

    def __init__(self, inner: httpx2.AsyncBaseTransport, bend: Callable[[Any], Any]) -> None:
        self.inner, self.bend = inner, bend
        self.bent: list[tuple[str, str]] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await self.inner.handle_async_request(request)
        body = await response.aread()
        try:
            content = json.dumps(self._walk(json.loads(body)))
        except ValueError:
            content = self._table(body.decode("utf-8", "replace"))
        headers = [(k, v) for k, v in response.headers.multi_items() if k != "content-length"]
        return httpx2.Response(response.status_code, headers=headers, content=content)

    def _table(self, text: str) -> str:
        """A CSV file with its amounts bent."""
        lines = list(csv.reader(io.StringIO(text)))
        names = [name if _MONEY.search(name) else "" for name in lines[0]] if lines else []
        bent = [[self._walk(cell, name) for cell, name in zip_longest(line, names, fillvalue="")] for line in lines[1:]]
        told = io.StringIO()
        csv.writer(told, lineterminator="\n").writerows([*lines[:1], *bent])
        return told.getvalue()

    def _walk(self, value: Any, money: str = "") -> Any:
        if isinstance(value, dict):
            return {key: self._walk(each, key if _MONEY.search(key) else money) for key, each in value.items()}
        if isinstance(value, list):
            return [self._walk(each, money) for each in value]
        bent = self.bend(value) if money else None
        if bent is None:
            return value
        self.bent.append((money, str(bent)))
        return bent
