"""Returns in the shop: answered, told how far they are, received. Every verb reads first, so that it may be repeated.

Medusa knows no approval: a return that was requested stands until somebody cancels it. Our answer and what became of
the return are notes in the order's metadata; a decline cancels the return.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from counterflow.connectors.medusa.client import Client
from counterflow.connectors.medusa.feeds import last, order_id, read_return
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
    here = command.return_ref.startswith(f"{connection}:return:")
    about = answered_key(last(command.return_ref)) if here else "counterflow"
    await client.post(f"/admin/orders/{id_}", metadata={f"{about}_{command.milestone}": _said(command)})
    if here and command.milestone == "dispositioned":
        await _receive(client, config, effect, command)
    return Done(command.return_ref or command.order_ref)


def _said(command: UpdateChannel) -> str:
    pieces = [f"{row.quantity} x {row.sku} {row.disposition}".strip() for row in command.results]
    amount = f"{to_major(command.amount_minor, command.currency)} {command.currency}" if command.amount_minor else ""
    return ", ".join(filter(None, (*pieces, amount)))[:NOTE_CHARACTERS] or "yes"


# ---- receipts --------------------------------------------------------------------------------------------------------

_ACTS = {"RECEIVE_RETURN_ITEM": "receive-items", "RECEIVE_DAMAGED_RETURN_ITEM": "dismiss-items"}
Pieces = Counter[tuple[str, str]]  # (act, item of the order)


async def _receive(client: Client, config: Config, effect: Effect, command: UpdateChannel) -> None:
    """What is not received yet: restocked at the configured location, or dismissed, which leaves the stock alone.

    It is an order change with our key in its note: one that a lost answer left behind is carried on with. Somebody
    else's is waited for.
    """
    ret = await read_return(client, command.return_ref)
    name = f"R{ret['display_id']}"
    if ret["status"] == "canceled":
        raise Conflict(f"return {name} was cancelled in the shop", actual="canceled", code="return_status")
    changes = await _changes(client, ret)
    left = missing(ret, changes, command, bool(config.restock_location))
    if not left:
        return
    try:
        await client.post(f"/admin/returns/{ret['id']}/receive", internal_note=note_for(effect.effect_id))
    except Rejected:
        changes = await _changes(client, ret)
        if not any(_ours(change, effect) for change in changes):
            raise Transient(f"somebody is editing the order of return {name}: it is tried again") from None
        left -= _pieces(change for change in changes if _ours(change, effect))
    try:
        await _count(client, config, ret["id"], left)
    except Rejected as error:
        if missing(ret, await _changes(client, ret), command, bool(config.restock_location)):
            raise Transient(f"return {name} cannot be received now: {error.message}") from error


async def _count(client: Client, config: Config, return_id: str, left: Pieces) -> None:
    base = f"/admin/returns/{return_id}"
    if config.restock_location:
        await client.post(base, location_id=config.restock_location)
    for act, path in _ACTS.items():
        if rows := [{"id": item, "quantity": count} for (how, item), count in left.items() if how == act]:
            await client.post(f"{base}/{path}", items=rows)
    await client.post(f"{base}/receive/confirm")


async def _changes(client: Client, ret: Json) -> list[Json]:
    found: list[Json] = await client.get(f"/admin/orders/{ret['order_id']}/changes", "order_changes")
    return [change for change in found if change["return_id"] == ret["id"]]


def _ours(change: Json, effect: Effect) -> bool:
    """An open change of this effect."""
    return change["status"] == "pending" and key_in(change["internal_note"]) == effect.effect_id


def _pieces(changes: Iterable[Json]) -> Pieces:
    found: Pieces = Counter()
    for act in (act for change in changes for act in change["actions"]):
        if act["action"] in _ACTS:
            found[act["action"], act["details"]["reference_id"]] += int(act["details"]["quantity"])
    return found


def missing(ret: Json, changes: Iterable[Json], command: UpdateChannel, restock: bool) -> Pieces:
    """What is still to be received, and how; the results are sums over the whole case.

    What was received is counted in the confirmed changes: after a second receipt of a line, Medusa's return item shows
    the second one alone.
    """
    done = _pieces(change for change in changes if change["status"] == "confirmed")
    wanted: Pieces = Counter()
    for result in command.results:
        good = restock and result.disposition == "restock"
        wanted["RECEIVE_RETURN_ITEM" if good else "RECEIVE_DAMAGED_RETURN_ITEM", result.line_ref] += result.quantity
    left: Pieces = Counter()
    for row in ret["items"]:
        free = int(row["quantity"]) - sum(done[act, row["item_id"]] for act in _ACTS)
        for act in _ACTS:
            count = min(free, wanted[act, row["item_id"]] - done[act, row["item_id"]])
            if count > 0:
                left[act, row["item_id"]] = count
                free -= count
    return left
