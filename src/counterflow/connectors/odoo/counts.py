"""Stock counts that came between goods and their booking: the count has seen them, and Odoo then has them twice.

A count sets the quantity of a place to what lies there (`stock.quant.action_apply_inventory`), goods of which Odoo does
not know yet included; what is booked afterwards is added to that. Whether somebody counted well nobody but a person can
tell, so it is only said (`counted`). Odoo keeps a move for each counted row, of quantity 0 where the count was as
expected.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, timedelta
from typing import Any

from counterflow.connectors.odoo.client import STAMP
from counterflow.connectors.odoo.session import Odoo
from counterflow.core.effects import Effect, MoveGoods, ReceiveGoods
from counterflow.sdk.outcomes import ConnectorError, Done, Outcome, UnknownOutcome

LATE = timedelta(minutes=15)  # nobody counts a place and the goods that come into it in less
MODEL = "stock.picking"


async def noted(odoo: Odoo, effects: Sequence[Effect], outcomes: Mapping[str, Outcome | None]) -> dict[str, Outcome]:
    """The outcomes of receipts and moves that were booked late, with the last count in between as value `counted`.

    Two calls for all of them. What cannot be looked up now is unknown, and is noted when it is found.
    """
    since: dict[str, str] = {}  # effect -> when its goods came
    transfers: dict[int, str] = {}
    for effect in effects:
        command, outcome = effect.command, outcomes.get(effect.effect_id)
        if not isinstance(command, ReceiveGoods | MoveGoods) or not isinstance(outcome, Done):
            continue
        if MODEL in outcome.ref and odoo.now() - command.occurred_at > LATE:
            since[effect.effect_id] = command.occurred_at.astimezone(UTC).strftime(STAMP)
            transfers |= dict.fromkeys(odoo.ids(outcome.ref, MODEL), effect.effect_id)
    if not transfers:
        return {}
    try:
        counted = await _counted(odoo, transfers, since)
    except ConnectorError as error:
        unseen = UnknownOutcome(f"it is booked, and whether a count came before it was not read: {error.message}")
        return dict.fromkeys(since, unseen)
    return {
        id: Done(outcome.ref, (*outcome.values, ("counted", when)), outcome.facts)
        for id, when in counted.items()
        if isinstance(outcome := outcomes[id], Done)
    }


async def _counted(odoo: Odoo, transfers: Mapping[int, str], since: Mapping[str, str]) -> dict[str, str]:
    """effect -> when its goods were last counted where they went: after they came, before it was done."""
    fields = ["picking_id", "product_id", "location_id", "location_dest_id", "date"]
    moves = await odoo.client.search("stock.move", [["picking_id", "in", sorted(transfers)]], fields)
    places = sorted({move["location_dest_id"] for move in moves})
    counts = await odoo.client.search(
        "stock.move",
        [
            ["is_inventory", "=", True],
            ["state", "=", "done"],
            ["product_id", "in", sorted({move["product_id"] for move in moves})],
            ["date", ">=", min(since.values())],
            "|",
            ["location_id", "in", places],
            ["location_dest_id", "in", places],
        ],
        fields,
        order="date, id",
    )
    found: dict[str, str] = {}
    for move in moves:
        effect_id = transfers[move["picking_id"]]
        for count in counts:
            if _between(count, move, since[effect_id]):
                found[effect_id] = str(count["date"])
    return found


def _between(count: Mapping[str, Any], move: Mapping[str, Any], came: str) -> bool:
    here = move["location_dest_id"] in (count["location_id"], count["location_dest_id"])
    return here and count["product_id"] == move["product_id"] and came <= count["date"] <= move["date"]
