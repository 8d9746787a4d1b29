"""The simulator answers as a real Medusa does: every call that the connector makes, key by key and type by type."""

import re
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from counterflow.connectors.medusa.conformance import Harness
from counterflow.connectors.medusa.sale import return_ref, sale_ref
from counterflow.core.effects import AnswerReturn, Effect, ReadSale, UnitResult, UpdateChannel
from counterflow.sdk.outcomes import Done
from counterflow.sdk.testing import CONNECTION
from tests.connectors.medusa.real import RealHarness
from tests.counterparts.medusa.server import Server

Shape = dict[str, set[str]]  # "order.items[].id" -> the types seen there
FREE = ("metadata", "data")  # of the retailer, or of a payment provider


class Recorder(httpx2.AsyncBaseTransport):
    """Keeps the shape of every answer of a success, by call."""

    def __init__(self, inner: httpx2.AsyncBaseTransport) -> None:
        self.inner = inner
        self.shapes: dict[str, Shape] = {}

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        answer = await self.inner.handle_async_request(request)
        body = await answer.aread()
        path = re.sub(r"/[a-z]+_\w+", "/{id}", request.url.path)
        if answer.is_success:
            shape = self.shapes.setdefault(f"{request.method} {path}", {})
            for at, kind in walk(answer.json()):
                shape.setdefault(at, set()).add(kind)
        return httpx2.Response(answer.status_code, headers=answer.headers, content=body, request=request)


def walk(value: Any, at: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            if name not in FREE:
                yield from walk(inner, f"{at}.{name}" if at else name)
    elif isinstance(value, list):
        for inner in value:
            yield from walk(inner, f"{at}[]")
    else:
        yield at, "number" if type(value) in (int, float) else type(value).__name__


async def tour(shop: Harness) -> dict[str, Shape]:
    """Everything that the connector does, once."""
    recorder = Recorder(shop.network)
    ret = None
    sold = await shop.act("sell", lines=[{"sku": "TEE", "quantity": 3, "price": 20}])
    ret = await shop.act("request_return", order=sold["order"], lines=[{"sku": "TEE", "quantity": 3, "reason": "odd"}])
    location = (await shop.read(f"/admin/returns/{ret['return']}", "return", fields="id,location_id"))["location_id"]
    connector = shop.connect(network=recorder, restock_location=location, places={location: "wh-1"})
    order, ref = sale_ref(CONNECTION, sold["order"]), return_ref(CONNECTION, ret["return"])
    item = sold["items"][0]["id"]
    again = await shop.sample("AnswerReturn")
    assert isinstance(again.command, AnswerReturn)
    results = (UnitResult(item, "TEE", 1, "restock"), UnitResult(item, "TEE", 1, "scrap"))
    effects: list[Effect] = [
        shop.effect(ReadSale(order)),
        shop.effect(ReadSale(f"{CONNECTION}:order:{sold['number']}")),
        shop.effect(AnswerReturn(ref, "approve", "in the window")),
        shop.effect(AnswerReturn(again.command.return_ref, "decline", "too late")),
        shop.effect(UpdateChannel(order, ref, "dispositioned", results)),
        await shop.sample("PayLeg"),
        await shop.sample("CreateReplacement"),
    ]
    for effect in effects:
        (outcome,) = await connector.send([effect])
        assert isinstance(outcome, Done), outcome
        await connector.find(effect)
    out = [{"sku": "TEE-L", "quantity": 1, "price": 21}]
    line = [{"sku": "TEE", "quantity": 1}]
    exchanged = await shop.act("exchange", order=(await shop.sell())["order"], lines=line, outbound=out)
    await connector.fetch("returns", exchanged["return"])
    await connector.fetch("returns", ref)
    await shop.act("refund_by_hand", payment=sold["payment"], amount=5)
    await connector.fetch("refunds", sold["payment"])
    for feed in ("orders", "returns", "refunds"):
        page = await connector.pull(feed, "")
        assert page.items
    assert all(fine for _, fine, _ in await connector.check())
    return recorder.shapes


async def test_every_answer_has_the_shape_of_the_real_one(medusa_server: Server):
    RealHarness.server = medusa_server
    simulated, real = await tour(Harness()), await tour(RealHarness())
    assert simulated.keys() == real.keys()
    assert list(strangers(simulated, real)) == []


def strangers(simulated: dict[str, Shape], real: dict[str, Shape]) -> Iterator[str]:
    """What the simulator tells and the server does not, or in another type."""
    for call, shape in simulated.items():
        for at, kinds in shape.items():
            known = real[call].get(at)
            if known is None and any(each.startswith((f"{at}.", f"{at}[]")) for each in real[call]):
                known = {"NoneType"} if kinds == {"NoneType"} else None  # there is something in it there
            if known is None or (kinds - known - {"NoneType"} and known != {"NoneType"}):
                yield f"{call}: {at} is {'/'.join(sorted(kinds))} here, there {'/'.join(sorted(known or {'absent'}))}"


def test_the_check_finds_what_is_not_medusas():
    real: dict[str, Shape] = {"GET /x": {"x.id": {"str"}, "x.n": {"number"}, "x.at": {"NoneType"}, "x.in.a": {"str"}}}
    fine: dict[str, Shape] = {"GET /x": {"x.id": {"str"}, "x.at": {"str"}, "x.in": {"NoneType"}}}
    wrong: dict[str, Shape] = {"GET /x": {"x.id": {"number"}, "x.n": {"str", "number"}, "x.made_up": {"str"}}}
    assert list(strangers(fine, real)) == []
    assert len(list(strangers(wrong, real))) == 3


@pytest.mark.parametrize("value", [1, 1.5])
def test_whole_and_broken_numbers_are_one_type(value: float):
    assert list(walk({"n": value})) == [("n", "number")]
