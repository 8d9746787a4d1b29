"""The shop's orders, returns and payments -> facts. Pure; `now` is when we learned it.

A fact's references find its case, the strongest first; a return is known by itself alone: an order may have several.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from counterflow.connectors.medusa.manifest import MANIFEST, Config
from counterflow.connectors.medusa.sale import (
    KEY,
    exchange_ref,
    instant,
    parcels,
    payment_ref,
    payments_of,
    return_ref,
    sale_of,
    sale_ref,
    stated,
    tender_of,
    version_at,
)
from counterflow.core.facts import (
    Body,
    Counted,
    Fact,
    ItemsReceived,
    RefundReported,
    RefundSettled,
    ReplacementMoved,
    RequestedLine,
    ReturnCancelled,
    ReturnRequested,
    SaleRecorded,
)
from counterflow.core.ids import fact_id
from counterflow.core.policy.vocabulary import REASONS
from counterflow.core.sale import Sale

Json = dict[str, Any]

_KEY_IN = re.compile(r"\bef_[0-9a-z]{26}\b")
_NOT_YET = ("open",)  # a return that an agent is still putting together
_CONDITIONS = {"RECEIVE_RETURN_ITEM": "ok", "RECEIVE_DAMAGED_RETURN_ITEM": "damaged_parcel"}


def key_in(note: str | None) -> str:
    """The effect id that we wrote into a note; empty when somebody else wrote it."""
    found = _KEY_IN.search(note or "")
    return found.group() if found else ""


def note_for(effect_id: str, reason: str = "") -> str:
    return f"Counterflow {effect_id} {reason}".strip()


def answered_key(return_id: str) -> str:
    """Key of the order's metadata that holds our answer to one of its returns; it is written before the answer."""
    return f"counterflow_{return_id}"


@dataclass(frozen=True, slots=True)
class Mapper:
    config: Config
    connection: str

    # ---- orders ------------------------------------------------------------------------------------------------------

    def order(self, order: Json, exchanges: Sequence[Json], now: datetime) -> list[Fact]:
        """The sale, its refunds, the replacement that it is, and those that its exchanges carry."""
        sale = sale_of(order, self.config, self.connection)
        facts = [self._fact(SaleRecorded(sale), order["id"], order["updated_at"], (sale.sale_ref,), now)]
        for payment in payments_of(order):
            facts += self.refunds(payment, sale.sale_ref, sale.order_number, now)
        key = key_in((order["metadata"] or {}).get(KEY))
        if key:
            facts += self._replacement(sale.sale_ref, f"effect:{key}", sale.paid_minor, order["items"], order, now)
        for exchange in exchanges:
            facts += self._exchange(exchange, order, sale, now)
        return facts

    def refunds(self, payment: Json, sale_ref: str, order_number: str, now: datetime) -> Iterable[Fact]:
        """What went back of one payment, unless its provider's own connection tells it: here it would count twice."""
        if payment["provider_id"] in self.config.gateways:
            return
        currency = payment["currency_code"].upper()
        for row in payment["refunds"]:
            key = key_in(row["note"])
            body = RefundReported(
                refund_ref=row["id"],
                payment_ref=payment_ref(payment, self.config),
                amount_minor=stated(row, "amount", currency),
                currency=currency,
                status="succeeded",
                version=1,
                key=key,
                tender=tender_of(payment, self.config),
            )
            ours = (f"effect:{key}",) if key else ()
            refs = (*ours, f"{self.connection}:refund:{row['id']}", sale_ref, f"order:{order_number}")
            origin = "ours" if key else "channel"
            yield self._fact(body, row["id"], row["created_at"], refs, now, origin)
            if payment["provider_id"] in self.config.without_payout:
                settled = RefundSettled(row["id"], "", body.amount_minor, currency)
                yield self._fact(settled, row["id"], row["created_at"], refs, now, origin)

    # ---- replacements ------------------------------------------------------------------------------------------------

    def _replacement(
        self, ref: str, found_by: str, total_minor: int, items: Sequence[Json], order: Json, now: datetime
    ) -> Iterable[Fact]:
        """How far the pieces of a replacement have come: each state with its time, newest last."""
        wanted = {row["id"] for row in items}
        pieces = sum(int(row["quantity"]) for row in items)
        states = [("created", order["created_at"])]
        if order["canceled_at"]:
            states.append(("cancelled", order["canceled_at"]))
        else:
            for state, time in (("shipped", "shipped_at"), ("delivered", "delivered_at")):
                moved = [row for row in parcels(order) if row[time]]
                count = sum(int(i["quantity"]) for row in moved for i in row["items"] if i["line_item_id"] in wanted)
                if pieces and count >= pieces:
                    states.append((state, max(row[time] for row in moved)))
        for state, at in states:
            body = ReplacementMoved(ref, state, total_minor)
            yield self._fact(body, ref, at, (found_by, sale_ref(self.connection, order["id"])), now)

    def _exchange(self, exchange: Json, order: Json, sale: Sale, now: datetime) -> Iterable[Fact]:
        """A replacement within the order itself: the items that an exchange added when it was confirmed."""
        items = outbound(exchange, order)
        if items:  # it is confirmed
            ref = exchange_ref(self.connection, exchange["id"])
            stand_in = {**order, "created_at": exchange["created_at"], "canceled_at": exchange["canceled_at"]}
            total = sum(line.paid_minor for row in items if (line := sale.line(row["id"])) is not None)
            found_by = return_ref(self.connection, exchange["return_id"])
            yield from self._replacement(ref, found_by, total, items, stand_in, now)

    # ---- returns -----------------------------------------------------------------------------------------------------

    def ret(
        self, ret: Json, order: Json, exchanges: Sequence[Json], changes: Sequence[Json], now: datetime
    ) -> list[Fact]:
        """The request with its lines, what people received of it in the shop, and whether somebody took it back."""
        facts = self.order(order, exchanges, now)
        if ret["status"] in _NOT_YET:
            return facts
        ref = return_ref(self.connection, ret["id"])
        exchange = next((row for row in exchanges if row.get("return_id") == ret["id"]), None)
        request = ReturnRequested(
            return_ref=ref,
            sale_ref=sale_ref(self.connection, order["id"]),
            lines=tuple(self._requested(ret, exchange, order)),
            version=version_at(instant(ret["updated_at"])),
            rma_number=f"R{ret['display_id']}",
            authorised_by_channel=bool(
                ret["created_by"] or ret.get("exchange_id")
            ),  # made by an agent, not the shopper
        )
        refs = (ref, f"rma:{request.rma_number}")
        facts.append(self._fact(request, ret["id"], ret["requested_at"] or ret["created_at"], refs, now))
        answer = str((order["metadata"] or {}).get(answered_key(ret["id"])) or "")
        if ret["status"] == "canceled" and not answer.startswith("decline"):
            by = ReturnCancelled("channel", "cancelled in the shop")
            facts.append(self._fact(by, ret["id"], ret["canceled_at"] or ret["updated_at"], (ref,), now))
        facts += self._receipts(ret, order, changes, now)
        return facts

    def _requested(self, ret: Json, exchange: Json | None, order: Json) -> Iterable[RequestedLine]:
        sale = sale_of(order, self.config, self.connection)
        rows = ret["items"]
        picks = paired([int(row["quantity"]) for row in rows], outbound(exchange, order) if exchange else [])
        for row, pick in zip(rows, picks, strict=True):
            said = (row.get("reason") or {}).get("value") or "none_given"
            reason = self.config.reasons.get(said, said)
            again = said in self.config.exchange_reasons
            sold, wanted = sale.line(row["item_id"]), sale.line(pick["id"]) if pick else None
            whole = sold is not None and int(row["quantity"]) == sold.quantity
            yield RequestedLine(
                line_ref=row["item_id"],
                quantity=int(row["quantity"]),
                reason=reason if reason in REASONS else "other",
                remedy="exchange" if wanted is not None or again else "refund",
                serials=sold.serials if whole and sold is not None else (),
                replacement_sku=wanted.sku if wanted is not None else "",
                replacement_unit_minor=wanted.paid_minor // wanted.quantity if wanted is not None else 0,
            )

    def _receipts(self, ret: Json, order: Json, changes: Sequence[Json], now: datetime) -> Iterable[Fact]:
        """What people counted in Medusa, at a location that is a place of ours; our own bookkeeping is no receipt."""
        place = self.config.places.get(ret["location_id"] or "", "")
        skus = {row["id"]: row["variant_sku"] or row["title"] for row in order["items"]}
        for change in changes:
            received = change["change_type"] == "return_receive" and change["status"] == "confirmed"
            if not place or not received or change["return_id"] != ret["id"] or key_in(change["internal_note"]):
                continue
            items = tuple(
                Counted(
                    sku=skus.get(act["details"]["reference_id"], "unknown"),
                    quantity=int(act["details"]["quantity"]),
                    line_ref=act["details"]["reference_id"],
                    condition=_CONDITIONS[act["action"]],
                )
                for act in change["actions"]
                if act["action"] in _CONDITIONS
            )
            if items:
                ref = f"{self.connection}:receipt:{change['id']}"
                body = ItemsReceived(ref, place, items, complete=False)
                refs = (return_ref(self.connection, ret["id"]), ref)
                yield self._fact(body, change["id"], change["confirmed_at"], refs, now, "person")

    def _fact(
        self, body: Body, their_id: str, at: str, refs: tuple[str, ...], now: datetime, origin: str = "channel"
    ) -> Fact:
        """Medusa numbers no states: one that says the same is the same fact."""
        id_ = fact_id(self.connection, type(body).__name__, their_id, repr(body))
        return Fact(id_, self.connection, instant(at), now, refs, body, origin, adapter=MANIFEST.version)


def outbound(exchange: Json, order: Json) -> list[Json]:
    """The items of the order that an exchange sends out."""
    wanted = {row["item_id"] for row in exchange["additional_items"]}
    return [row for row in order["items"] if row["id"] in wanted]


def paired(quantities: Sequence[int], picks: Sequence[Json]) -> list[Json | None]:
    """Which returned line an item sent out replaces; Medusa does not say: one of the same quantity, else in order."""
    chosen: list[Json | None] = [None] * len(quantities)
    left = list(picks)
    for fits in (True, False):
        for i, quantity in enumerate(quantities):
            if chosen[i] is None:
                pick = next((p for p in left if not fits or int(p["quantity"]) == quantity), None)
                if pick is not None:
                    chosen[i] = pick
                    left.remove(pick)
    return chosen
