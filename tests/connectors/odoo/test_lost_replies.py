"""Whichever of a verb's calls is cut, before or after Odoo did it, the verb is done exactly once in the end."""

import httpx2
import pytest

from counterflow.connectors.odoo.conformance import Harness
from counterflow.connectors.odoo.manifest import COMMANDS
from counterflow.sdk.testing.rule import attempt, once


class Cut(httpx2.AsyncBaseTransport):
    """Loses the n-th request or its answer, once."""

    def __init__(self, inner: httpx2.AsyncBaseTransport, number: int, applied: bool) -> None:
        self.inner, self.number, self.applied, self.seen = inner, number, applied, 0

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.seen += 1
        if self.seen != self.number:
            return await self.inner.handle_async_request(request)
        if self.applied:
            await self.inner.handle_async_request(request)
        raise httpx2.ReadError("connection reset")


@pytest.mark.parametrize("applied", [False, True], ids=["request", "reply"])
@pytest.mark.parametrize("kind", COMMANDS)
async def test_each_call_may_be_lost(kind: str, applied: bool) -> None:
    number, harness = 0, Harness()
    cut = Cut(harness.network, 0, applied)
    while cut.seen >= number:  # until the verb needs fewer calls than the one to lose
        number += 1
        for _ in range(2 if kind == "MoveGoods" else 1):  # a transfer and a write-off
            effect = await harness.sample(kind)
            cut = Cut(harness.network, number, applied)
            connector = harness.connect(network=cut)
            await once(harness, effect, await attempt(harness, effect, connector))
    assert number > 5
