"""Stock that the shop is told, compared before it is set, against the levels of the simulated shop."""

from dataclasses import replace

from counterflow.core.effects import Effect, SetStock
from counterflow.sdk.outcomes import Conflict, Done, Outcome, Rejected, UnknownOutcome
from tests.connectors.shopify.shop import Shop


async def send(shop: Shop, effect: Effect) -> Outcome:
    [outcome] = await shop.connector.send([effect])
    return outcome


async def cap(shop: Shop, **stock: int) -> None:
    await shop.act("add_product", sku="CAP", price_minor=9_90, stock=stock or {"Warehouse": 5})


def levels(shop: Shop) -> list[int]:
    doc = shop.world.get("variants", "CAP") or {}
    return [row["available"] for row in doc["levels"].values()]


async def test_a_sale_in_between_is_not_overwritten():
    shop = Shop()
    await cap(shop)
    await shop.place({"sku": "CAP", "unit_price_minor": 9_90}, fulfil=False)
    outcome = await send(shop, shop.effect(SetStock("CAP", 7, expected=5)))
    assert isinstance(outcome, Conflict) and outcome.actual == "4" and levels(shop) == [4]
    assert isinstance(await send(shop, shop.effect(SetStock("CAP", 6, expected=4))), Done) and levels(shop) == [6]


async def test_a_lost_answer_does_not_set_it_twice():
    shop = Shop()
    await cap(shop)
    effect = shop.effect(SetStock("CAP", 7, expected=5))
    assert await shop.connector.find(effect) is None
    shop.world.fault("lost_reply", match="inventorySetQuantities")
    assert isinstance(await send(shop, effect), UnknownOutcome)
    found = await shop.connector.find(effect)
    await shop.place({"sku": "CAP", "unit_price_minor": 9_90}, fulfil=False)
    assert found == await send(shop, effect), "within a day the shop gives its first answer again"
    assert levels(shop) == [6]
    shop.clock.advance(25 * 3600)
    late = await send(shop, effect)
    assert isinstance(late, Conflict) and late.actual == "6" and levels(shop) == [6]


async def test_a_key_that_was_refused_tells_what_is_there():
    shop = Shop()
    await cap(shop)
    effect = shop.effect(SetStock("CAP", 7, expected=4))
    for code in ("CHANGE_FROM_QUANTITY_STALE", "IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED"):
        outcome = await send(shop, effect)
        assert isinstance(outcome, Conflict) and (outcome.actual, outcome.code) == ("5", code)


async def test_without_an_expectation_it_is_set_over_what_is_there():
    shop = Shop()
    await cap(shop)
    assert isinstance(await send(shop, shop.effect(SetStock("CAP", 0))), Done) and levels(shop) == [0]


async def test_a_place_is_a_location_of_the_shop():
    shop = Shop(locations={"store-1": "5000000002"})
    await cap(shop, Warehouse=5, Store=1)
    effect = shop.effect(SetStock("CAP", 3, expected=1, place="store-1"))
    assert isinstance(await send(shop, effect), Done) and levels(shop) == [5, 3]
    outcome = await send(shop, replace(effect, command=SetStock("CAP", 3, place="store-2")))
    assert isinstance(outcome, Rejected) and outcome.code == "location"


async def test_what_is_not_sold_there_is_rejected():
    shop = Shop(locations={"store-1": "5000000002"})
    await cap(shop)
    unknown = await send(shop, shop.effect(SetStock("HAT", 3)))
    assert isinstance(unknown, Rejected) and unknown.code == "sku"
    nowhere = await send(shop, shop.effect(SetStock("CAP", 3, place="store-1")))
    assert isinstance(nowhere, Rejected) and nowhere.code == "ITEM_NOT_STOCKED_AT_LOCATION"
