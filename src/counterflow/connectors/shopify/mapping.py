"""The shop's orders and returns -> facts. Pure; `now` is when we learned it.

A fact's references find its case, the strongest first, so a return is known by itself alone: by its order it would be
taken for a part of an older case over the same order.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from counterflow.connectors.shopify.manifest import MANIFEST, Config
from counterflow.connectors.shopify.references import (
    SOLD_LINE,
    answered_tag,
    exchange_ref,
    instant,
    key_in,
    opening_key,
    refund_ref,
    return_ref,
    sale_ref,
    version,
)
from counterflow.connectors.shopify.sale import (
    EXCHANGE_GATEWAY,
    SHIPPED,
    line_refs,
    money,
    payment_ref,
    price_of,
    sale_of,
    tender_of,
)
from counterflow.core.facts import (
    AuthorisationGiven,
    Body,
    Fact,
    MarketplaceRefunded,
    ParcelMoved,
    RefundReported,
    ReplacementMoved,
    RequestedLine,
    ReturnCancelled,
    ReturnRequested,
    SaleRecorded,
)
from counterflow.core.ids import fact_id
from counterflow.core.money import exponent, to_minor
from counterflow.core.sale import Sale

Json = dict[str, Any]

REASONS = {  # Shopify's return reason -> the policy's word; what is not here is "other"
    "UNKNOWN": "none_given",
    "UNWANTED": "changed_mind",
    "COLOR": "changed_mind",
    "STYLE": "changed_mind",
    "SIZE_TOO_SMALL": "does_not_fit",
    "SIZE_TOO_LARGE": "does_not_fit",
    "DEFECTIVE": "defective",
    "NOT_AS_DESCRIBED": "not_as_described",
    "WRONG_ITEM": "wrong_item",
}
STATUSES = {"SUCCESS": "succeeded", "FAILURE": "failed", "ERROR": "failed"}  # of a transaction; else still pending
_RANK = {"pending": 0, "succeeded": 1, "failed": 2}
_REMEDIES = ("refund", "exchange", "store_credit", "replacement", "repair", "none")
RETURNLESS = "returnless"  # in the note of a marketplace's refund, or a tag: nothing is to come back


@dataclass(frozen=True, slots=True)
class Mapper:
    config: Config
    connection: str

    # ---- orders ------------------------------------------------------------------------------------------------------

    def order(self, order: Json, now: datetime) -> list[Fact]:
        """The sale, its refunds, and the replacement that it is or carries."""
        sale = sale_of(order, self.config, self.connection)
        at, refs = order["updatedAt"], (sale.sale_ref,)
        facts = [self.fact(SaleRecorded(sale), order["id"], sale.version, at, refs, now)]
        for refund in order["refunds"]:
            facts += self._refund(refund, order, sale, now)
        facts += self._replacement(order, sale, now)
        for ret in order["returns"]["nodes"]:
            facts += self._exchange(ret, order, sale, now)
        return facts

    def _refund(self, refund: Json, order: Json, sale: Sale, now: datetime) -> Iterable[Fact]:
        """Money that the shop or a marketplace gave back.

        What goes through a gateway with a connection of its own is told by that provider: here it would count twice.
        """
        lines = self._lines_of(refund, order)
        key = key_in(refund["note"])
        refs = self._refund_refs(refund, sale, key)
        payments = {row["id"]: row for row in order["transactions"]}
        marketplace, success = 0, 0
        for row in refund["transactions"]["nodes"]:
            gateway, amount = row["gateway"] or "", money(row["amountSet"], sale.currency)
            status = STATUSES.get(row["status"], "pending")
            tender = tender_of(gateway, self.config)
            success += amount if status == "succeeded" else 0
            if tender == "marketplace":
                marketplace += amount if status == "succeeded" else 0
                continue
            elsewhere = self.config.gateways.get(gateway, self.connection) != self.connection
            if row["kind"] != "REFUND" or elsewhere or gateway == EXCHANGE_GATEWAY or not amount:
                continue
            body = RefundReported(
                refund_ref=row["id"],
                payment_ref=self._paid_with(row, payments),
                amount_minor=amount,
                currency=sale.currency,
                status=status,
                version=_RANK[status],
                key=key,
                reason=(row["errorCode"] or "").lower(),
                tender=tender,
                line_refs=lines,
            )
            at = row["processedAt"] or refund["createdAt"]
            yield self.fact(body, row["id"], status, at, refs, now, "ours" if key else "channel")
        credit = money(refund["totalRefundedSet"], sale.currency) - success
        if credit > 0:  # store credit is given without a transaction
            body = RefundReported(
                refund["id"], "", credit, sale.currency, "succeeded", 1, key, tender="store_credit", line_refs=lines
            )
            yield self.fact(body, refund["id"], "credit", refund["createdAt"], refs, now, "ours" if key else "channel")
        if marketplace:
            told = f"{refund['note'] or ''} {' '.join(order['tags'])}".lower()
            paid = next((p.payment_ref for p in sale.payments if p.tender == "marketplace"), "")
            yield self.fact(
                MarketplaceRefunded(refund["id"], marketplace, sale.currency, RETURNLESS in told, lines, paid),
                refund["id"],
                0,
                refund["createdAt"],
                refs,
                now,
                origin="marketplace",
            )

    def _refund_refs(self, refund: Json, sale: Sale, key: str) -> tuple[str, ...]:
        ours = (f"effect:{key}",) if key else ()
        ret = (return_ref(self.connection, refund["return"]["id"]),) if refund["return"] else ()
        named = (refund["id"], *(row["id"] for row in refund["transactions"]["nodes"]))
        refunds = [refund_ref(self.connection, id_) for id_ in named]
        return (*ours, *ret, *refunds, sale.sale_ref, f"order:{sale.order_number}")

    def _paid_with(self, row: Json, payments: dict[str, Json]) -> str:
        parent = payments.get((row["parentTransaction"] or {}).get("id", ""))
        return payment_ref(parent, self.config) if parent else ""

    def _lines_of(self, refund: Json, order: Json) -> tuple[str, ...]:
        known = line_refs(order)
        rows = refund["refundLineItems"]["nodes"]
        return tuple(dict.fromkeys(known[r["lineItem"]["id"]][0] for r in rows if r["lineItem"]["id"] in known))

    # ---- replacements ------------------------------------------------------------------------------------------------

    def _replacement(self, order: Json, sale: Sale, now: datetime) -> Iterable[Fact]:
        """The order that we made for an exchange: it carries our key as its source identifier."""
        key = key_in(order["sourceIdentifier"])
        if not key:
            return
        refs = (f"effect:{key}", sale.sale_ref)
        pieces = sum(int(row["quantity"]) for row in order["lineItems"]["nodes"])
        for state, at in _states(order, order["createdAt"], pieces):
            body = ReplacementMoved(sale.sale_ref, state, sale.paid_minor)
            yield self.fact(body, order["id"], state, at, refs, now)

    def _exchange(self, ret: Json, order: Json, sale: Sale, now: datetime) -> Iterable[Fact]:
        """A replacement within the order itself: lines that the shop added when the exchange was processed."""
        rows = [row for item in ret["exchangeLineItems"]["nodes"] for row in item["lineItems"] or ()]
        if not rows:
            return
        ref, refs = exchange_ref(self.connection, ret["id"]), (return_ref(self.connection, ret["id"]),)
        wanted = {row["id"] for row in rows}
        for state, at in _states(order, ret["createdAt"], sum(int(row["quantity"]) for row in rows), wanted):
            body = ReplacementMoved(ref, state, sum(price_of(row, sale.currency) for row in rows))
            yield self.fact(body, ret["id"], state, at, refs, now)

    # ---- returns -----------------------------------------------------------------------------------------------------

    def ret(self, ret: Json, variants: dict[str, Json], now: datetime) -> list[Fact]:
        """The request with its lines, and what somebody else than we decided about it. `variants` by gid."""
        order = ret["order"]
        facts = self.order(order, now)
        ref = return_ref(self.connection, ret["id"])
        ours = {verb: answered_tag(verb, ret["id"]) in order["tags"] for verb in ("approve", "decline")}
        at = ret["createdAt"]
        key = opening_key(ret["returnLineItems"]["nodes"])
        opened = (f"effect:{key}",) if key else ()  # by us: known before we have the answer to our call
        # a pick or an answer may share the request's second
        progress = len(ret["exchangeLineItems"]["nodes"]) + bool(_remedy(order)) + (ret["status"] != "REQUESTED")
        request = ReturnRequested(
            return_ref=ref,
            sale_ref=sale_ref(self.connection, order["id"]),
            lines=tuple(self._requested(ret, order, variants)),
            version=version(order["updatedAt"], progress),
            rma_number=ret["name"],
            authorised_by_channel=ret["status"] in ("OPEN", "CLOSED") and not ours["approve"],
            key=key,
        )
        facts.append(self.fact(request, ret["id"], request.version, at, (*opened, ref, f"rma:{ret['name']}"), now))
        for parcel in (d for r in ret["reverseFulfillmentOrders"]["nodes"] for d in r["reverseDeliveries"]["nodes"]):
            way = parcel["deliverable"] or {}
            if tracking := (way.get("tracking") or {}).get("number"):
                issued = (way.get("label") or {}).get("createdAt") or ret["requestApprovedAt"] or at
                label = ParcelMoved("label_issued", tracking)
                facts.append(
                    self.fact(label, parcel["id"], tracking, issued, (*opened, ref, f"tracking:{tracking}"), now)
                )
        if ret["status"] == "CANCELED":
            by = ReturnCancelled("channel", "cancelled in the shop")
            facts.append(self.fact(by, ret["id"], 0, order["updatedAt"], (*opened, ref), now))
        if ret["status"] == "DECLINED" and not ours["decline"]:
            reason = (ret["decline"] or {}).get("reason", "OTHER").lower().replace("_", " ")
            no = AuthorisationGiven("decline", "channel", reason)
            facts.append(self.fact(no, ret["id"], 0, order["updatedAt"], (ref,), now))
        return facts

    def _requested(self, ret: Json, order: Json, variants: dict[str, Json]) -> Iterable[RequestedLine]:
        known = line_refs(order)
        rows = [row for row in ret["returnLineItems"]["nodes"] if row["__typename"] == SOLD_LINE]
        picks = _pair([int(row["quantity"]) for row in rows], ret["exchangeLineItems"]["nodes"])
        chosen = _remedy(order)
        sale = sale_of(order, self.config, self.connection)
        merged: dict[tuple[str, str], RequestedLine] = {}
        for row, pick in zip(rows, picks, strict=True):
            line_ref, part = known[row["fulfillmentLineItem"]["lineItem"]["id"]]
            sold = sale.line(line_ref)
            quantity = int(row["quantity"])
            if before := merged.get((line_ref, part)):  # the pieces came in two parcels
                quantity += before.quantity
            whole = sold is not None and not part and quantity == sold.quantity
            variant = variants.get(pick["variantId"] or "") if pick else None
            merged[line_ref, part] = RequestedLine(
                line_ref=line_ref,
                quantity=quantity,
                reason=REASONS.get(row["returnReason"], "other"),
                remedy="exchange" if pick else chosen if chosen in _REMEDIES else "refund",
                serials=sold.serials if whole and sold is not None else (),
                part_sku=part,
                replacement_sku=(variant or {}).get("sku") or "",
                replacement_unit_minor=self._price_today(pick, variant, order, sale, line_ref) if pick else 0,
            )
        yield from merged.values()

    def _price_today(self, pick: Json, variant: Json | None, order: Json, sale: Sale, line_ref: str) -> int:
        """One replacement piece in the sale's currency, tax included: as it was charged, else the catalogue's price."""
        if charged := pick["lineItems"]:
            return sum(price_of(row, sale.currency) for row in charged) // max(1, int(pick["quantity"]))
        if variant is None:
            return 0
        total = order["originalTotalPriceSet"]
        shop = total["shopMoney"]["currencyCode"]
        price = to_minor(str(variant["price"]), shop)
        if shop != sale.currency:  # at the rate of the order
            theirs = to_minor(str(total["shopMoney"]["amount"]), shop)
            price = price * money(total, sale.currency) // theirs if theirs else price * 10 ** exponent(sale.currency)
        sold = sale.line(line_ref)
        if sale.prices_include_tax or sold is None:
            return price
        return price + sum(price * tax.rate_ppm // 1_000_000 for tax in sold.taxes)

    def fact(
        self,
        body: Body,
        their_id: str,
        version: str | int,
        at: str,
        refs: tuple[str, ...],
        now: datetime,
        origin: str = "channel",
    ) -> Fact:
        """The envelope of one body, from Shopify's id, version and time of what it tells."""
        id_ = fact_id(self.connection, type(body).__name__, their_id, version)
        return Fact(id_, self.connection, instant(at), now, refs, body, origin, adapter=MANIFEST.version)


def _remedy(order: Json) -> str:
    """What the shopper chose instead of money, by the tag `remedy:...` of the shop's portal; empty if nothing."""
    return next((tag.partition(":")[2] for tag in order["tags"] if tag.startswith("remedy:")), "")


def _states(order: Json, since: str, pieces: int, only: set[str] | None = None) -> Iterable[tuple[str, str]]:
    """How far the pieces of an order, or of some of its lines, have come: each state with its time, newest last."""
    yield "created", since
    if order["cancelledAt"]:
        yield "cancelled", order["cancelledAt"]
        return
    shipped = delivered = 0
    left: list[str] = []
    there: list[str] = []
    for move in order["fulfillments"]:
        if move["status"] in SHIPPED:
            items = move["fulfillmentLineItems"]["nodes"]
            count = sum(int(i["quantity"] or 0) for i in items if only is None or i["lineItem"]["id"] in only)
            shipped += count
            left += [move["createdAt"]] if count else []
            if move["deliveredAt"] and count:
                delivered += count
                there.append(move["deliveredAt"])
    if pieces and shipped >= pieces:
        yield "shipped", max(left)
    if pieces and delivered >= pieces:
        yield "delivered", max(there)


def _pair(quantities: Sequence[int], picks: Sequence[Json]) -> list[Json | None]:
    """Which return line an exchange line replaces; Shopify does not say: one of the same quantity, else in order."""
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
