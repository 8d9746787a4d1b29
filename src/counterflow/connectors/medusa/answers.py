"""Returns in the shop: answered, told how far they are, received. Every verb reads first, so that it may be repeated.

Medusa knows no approval: a return that was requested stands until somebody cancels it. Our answer and what became of
the return are notes in the order's metadata; a decline cancels the return.
"""

from collections import Counter
from typing import Any

from counterflow.connectors.medusa.client import Client
from counterflow.connectors.medusa.feeds import order_id, read_return
from counterflow.connectors.medusa.manifest import Config
from counterflow.connectors.medusa.mapping import answered_key, key_in, note_for
from counterflow.core.effects import AnswerReturn, Effect, UpdateChannel
from counterflow.core.money import to_major
from counterflow.sdk.outcomes import Conflict, Done, Rejected, Transient

Json = dict[str, Any]
NOTE_CHARACTERS = 400


async def answer(client: Client, command: AnswerReturn) -> Done:
    """Approve or decline. Raises Conflict when the shop has decided otherwise, NotFound."""
    ret = await read_return(client, command.return_ref)
    name = f"R{ret['display_id']}"
    cancelled = ret["status"] == "canceled"
    if cancelled and command.decision == "approve":
        raise Conflict(f"return {name} was cancelled in the shop", actual="canceled", code="return_status")
    if ret["status"] in ("received", "partially_received") and command.decision == "decline":
        raise Conflict(f"return {name} was received in the shop", actual=ret["status"], code="return_status")
    if not cancelled:
        # Before the cancellation: whoever reads the return afterwards knows that it is ours.
        said = " ".join(filter(None, (command.decision, command.rma_number, command.reason)))[:NOTE_CHARACTERS]
        await client.post(f"/admin/orders/{ret['order_id']}", metadata={answered_key(ret["id"]): said})
        if command.decision == "decline":
            await _cancel(client, ret["id"])
    return Done(name)


async def _cancel(client: Client, return_id: str) -> None:
    """Its label first: Medusa cancels no return with a fulfilment."""
    try:
        found = await client.get(f"/admin/returns/{return_id}", "return", fields="id,*fulfillments")
        for row in found["fulfillments"]:
            if not row["canceled_at"]:
                await client.post(f"/admin/fulfillments/{row['id']}/cancel")
        await client.post(f"/admin/returns/{return_id}/cancel")
    except Rejected:
        if (await read_return(client, return_id))["status"] != "canceled":
            raise


async def find_answer(client: Client, command: AnswerReturn) -> Done | None:
    ret = await read_return(client, command.return_ref)
    found = await client.get(f"/admin/orders/{ret['order_id']}", "order", fields="id,metadata")
    said = str((found["metadata"] or {}).get(answered_key(ret["id"])) or "")
    given = said.startswith(command.decision) and (command.decision == "approve" or ret["status"] == "canceled")
    return Done(f"R{ret['display_id']}") if given else None


async def update(client: Client, config: Config, connection: str, effect: Effect, command: UpdateChannel) -> Done:
    """A note for each milestone; what has been disposed of is received in the shop."""
    id_ = await order_id(client, command.order_ref)
    await client.post(f"/admin/orders/{id_}", metadata={f"counterflow_{command.milestone}": _said(command)})
    if command.milestone == "dispositioned" and command.return_ref.startswith(f"{connection}:return:"):
        await _receive(client, config, effect, command)
    return Done(command.return_ref or command.order_ref)


def _said(command: UpdateChannel) -> str:
    pieces = [f"{row.quantity} x {row.sku} {row.disposition}".strip() for row in command.results]
    amount = f"{to_major(command.amount_minor, command.currency)} {command.currency}" if command.amount_minor else ""
    return ", ".join(filter(None, (*pieces, amount)))[:NOTE_CHARACTERS] or "yes"


# ---- receipts --------------------------------------------------------------------------------------------------------


async def _receive(client: Client, config: Config, effect: Effect, command: UpdateChannel) -> None:
    """What is not received yet: restocked at the configured location, or dismissed, which leaves the stock alone.

    It is an order change with our key in its note: one that a lost answer left behind is carried on with. Somebody
    else's is waited for.
    """
    ret = await read_return(client, command.return_ref)
    left = missing(ret, command, bool(config.restock_location))
    if not any(left.values()):
        return
    base = f"/admin/returns/{ret['id']}"
    try:
        await client.post(f"{base}/receive", internal_note=note_for(effect.effect_id))
        begun: Counter[tuple[str, str]] = Counter()
    except Rejected:
        begun = await _begun(client, ret, effect)
    try:
        if config.restock_location:
            await client.post(base, location_id=config.restock_location)
        for act, path in _ACTS.items():
            todo = {id_: n - begun[act, id_] for (how, id_), n in left.items() if how == act}
            if rows := [{"id": id_, "quantity": n} for id_, n in todo.items() if n > 0]:
                await client.post(f"{base}/{path}", items=rows)
        await client.post(f"{base}/receive/confirm")
    except Rejected as error:
        again = missing(await read_return(client, command.return_ref), command, bool(config.restock_location))
        if any(again.values()):
            raise Transient(f"return R{ret['display_id']} cannot be received now: {error.message}") from error


_ACTS = {"RECEIVE_RETURN_ITEM": "receive-items", "RECEIVE_DAMAGED_RETURN_ITEM": "dismiss-items"}


async def _begun(client: Client, ret: Json, effect: Effect) -> Counter[tuple[str, str]]:
    """What our own open change holds already. Raises Transient while somebody else edits the order."""
    changes = await client.get(f"/admin/orders/{ret['order_id']}/changes", "order_changes")
    for change in changes:
        if change["status"] == "pending" and key_in(change["internal_note"]) == effect.effect_id:
            acts = [act for act in change["actions"] if act["action"] in _ACTS]
            return Counter(
                {(act["action"], act["details"]["reference_id"]): int(act["details"]["quantity"]) for act in acts}
            )
    raise Transient(f"somebody is editing the order of return R{ret['display_id']}: it is tried again")


def missing(ret: Json, command: UpdateChannel, restock: bool) -> dict[tuple[str, str], int]:
    """(act, item) -> pieces that are still to be received so; the results are sums over the whole case.

    Raises Conflict for a return that was cancelled.
    """
    if ret["status"] == "canceled":
        raise Conflict(
            f"return R{ret['display_id']} was cancelled in the shop", actual="canceled", code="return_status"
        )
    wanted: Counter[tuple[str, str]] = Counter()
    for result in command.results:
        good = restock and result.disposition == "restock"
        wanted["RECEIVE_RETURN_ITEM" if good else "RECEIVE_DAMAGED_RETURN_ITEM", result.line_ref] += result.quantity
    left = {}
    for row in ret["items"]:
        received, damaged = int(row["received_quantity"]), int(row["damaged_quantity"])
        free = int(row["quantity"]) - received
        for act, done in (("RECEIVE_RETURN_ITEM", received - damaged), ("RECEIVE_DAMAGED_RETURN_ITEM", damaged)):
            count = min(free, max(0, wanted[act, row["item_id"]] - done))
            left[act, row["item_id"]] = count
            free -= count
    return left
