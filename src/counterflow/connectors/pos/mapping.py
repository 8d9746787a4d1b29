"""What a till says, in our words. Pure; the fields are explained in docs/connectors/pos.md."""

import re
from collections import Counter
from collections.abc import Mapping
from datetime import datetime

from counterflow.connectors.pos.manifest import MANIFEST, PosConfig
from counterflow.core.facts import (
    Counted,
    Fact,
    ItemInspected,
    ItemsReceived,
    RefundReported,
    RequestedLine,
    ReturnRequested,
    SaleRecorded,
)
from counterflow.core.ids import fact_id
from counterflow.core.money import MoneyError, exponent
from counterflow.core.sale import Payment, Sale, SoldLine, Tax
from counterflow.sdk.fields import AMOUNT_MOST, Fields
from counterflow.sdk.goods import GRADES, findings_of, lot_status_of, pieces
from counterflow.sdk.site import Event, Translate

OUR_KEYS = "ef_"  # a key that starts otherwise is the till's own, and says nothing about our effects
TENDERS = ("cash", "card")
DAMAGED = ("damaged", "damaged_parcel")
REMEDIES = ("refund", "exchange", "store_credit", "replacement", "repair", "none")
TRACKING = ("none", "serial", "lot")


class Translation:
    """`events` is the table of everything that is understood."""

    def __init__(self, config: PosConfig) -> None:
        self._places, self._shop, self._country = config.places, config.shop, config.country
        self.events: Mapping[str, Translate] = {
            "return.requested": self._requested,
            "return.received": self._received,
            "return.inspected": self._inspected,
            "refund.paid": self._refund,
            "refund.failed": self._refund,
            "sale.recorded": self._sale,
        }

    # ---- goods -------------------------------------------------------------------------------------------------------

    def _requested(self, event: Event) -> list[Fact]:
        """A return that starts at the till: the customer asks in person; it is permitted only if the till says so."""
        data = event.data
        lines = tuple(_requested_line(row) for row in data.rows("lines", needed=True))
        if not lines:
            raise data.wrong("lines", "at least one line")
        sale_ref = data.text("order_ref", "")
        if not sale_ref and data.has("sale_id"):
            sale_ref = event.ref("order", data.text("sale_id"))
        body = ReturnRequested(
            return_ref=event.ref("return", data.text("return_id")),
            sale_ref=sale_ref or self._by_number(data),
            lines=lines,
            version=event.sequence,
            rma_number=data.text("rma_number", ""),
            authorised_by_channel=data.flag("authorised", False),
            zone=_zone(data),
        )
        serials = [serial for line in lines for serial in line.serials]
        return [event.fact(body, self._refs(event, serials), "store")]

    def _received(self, event: Event) -> list[Fact]:
        """Goods over the counter; a till does not judge what belongs to what, it says what it saw."""
        data = event.data
        items = tuple(
            Counted(
                sku=row.text("sku", "") or row.text("barcode", "unknown"),
                quantity=pieces(row),
                serial=row.text("serial", ""),
                lot=row.text("lot", ""),
                line_ref=row.text("line_ref", ""),
                condition="damaged_parcel" if row.text("condition", "") in DAMAGED else "ok",
            )
            for row in data.rows("lines", needed=True)
        )
        body = ItemsReceived(
            receipt_ref=event.ref("receipt", data.text("receipt_id")),
            place=self._place(data),
            items=items,
            complete=data.flag("complete", False),  # who hands in one piece may send the others by post
        )
        return [event.fact(body, self._refs(event, [item.serial for item in items]), "store")]

    def _inspected(self, event: Event) -> list[Fact]:
        data = event.data
        findings = findings_of(data)
        body = ItemInspected(
            inspection_ref=event.ref("inspection", data.text("supersedes", "") or data.text("inspection_id")),
            place=self._place(data),
            sku=data.text("sku"),
            grade=data.word("grade", GRADES),
            quantity=pieces(data),
            serial=data.text("serial", ""),
            lot=data.text("lot", ""),
            line_ref=data.text("line_ref", ""),
            findings=findings,
            lot_status=lot_status_of(findings),
            inspector=data.text("inspected_by", ""),
        )
        return [event.fact(body, self._refs(event, [body.serial]), "store")]

    # ---- money -------------------------------------------------------------------------------------------------------

    def _refund(self, event: Event) -> list[Fact]:
        data = event.data
        key = data.text("key", "")
        body = RefundReported(
            refund_ref=event.ref("refund", data.text("refund_id")),
            payment_ref=payment_ref(event.connection, data.text("sale_id", ""), data.word("method", TENDERS)),
            amount_minor=data.amount("amount_minor"),
            currency=currency_of(data),
            status="succeeded" if event.type == "refund.paid" else "failed",
            version=event.sequence,
            key=key if key.startswith(OUR_KEYS) else "",
            reason=data.text("reason", ""),
            tender=data.text("method"),
            acquirer_ref=data.text("reference", ""),
            place=self._place(data, ""),
        )
        sale = event.ref("order", data.text("sale_id", ""))
        return [event.fact(body, self._refs(event, (), body.refund_ref, sale), "ours" if body.key else "store")]

    def _sale(self, event: Event) -> list[Fact]:
        sale = self.sale(event.connection, event.data, event.occurred_at, event.sequence)
        return [event.fact(SaleRecorded(sale), (sale.sale_ref,), "store")]

    def read_sale(self, connection: str, data: Fields, now: datetime) -> Fact:
        """The sale as the till has it now."""
        at = min(data.instant("occurred_at"), now)
        sale = self.sale(connection, data, at, data.whole("sequence", 0, 2**53, 0))
        id_ = fact_id(connection, "SaleRecorded", sale.sale_ref, f"read/{sale.version}")
        body = SaleRecorded(sale)
        return Fact(id_, connection, at, now, (sale.sale_ref,), body, "store", adapter=MANIFEST.version)

    def sale(self, connection: str, data: Fields, at: datetime, version: int) -> Sale:
        """A sale at the counter: paid and handed over in one moment."""
        sale_id = data.text("sale_id")
        paid: Counter[str] = Counter()
        for row in data.rows("tenders"):
            paid[row.text("method")] += row.amount("amount_minor", least=-AMOUNT_MOST)  # change given is negative
        payments = [
            Payment(payment_ref(connection, sale_id, tender), tender, amount, connection)
            for tender, amount in sorted(paid.items())
            if amount > 0
        ]
        return Sale(
            sale_ref=f"{connection}:order:{sale_id}",
            connection=connection,
            channel="store",
            currency=currency_of(data),
            ordered_at=at,
            lines=tuple(_sold_line(sale_id, n, row) for n, row in enumerate(data.rows("lines", needed=True), start=1)),
            payments=tuple(payments),
            prices_include_tax=data.flag("prices_include_tax", True),
            delivered_at=at,
            country=data.text("country", self._country),
            customer_ref=data.text("customer_ref", ""),
            order_number=data.text("order_number", sale_id),
            version=version,
            place=self._place(data, ""),
        )

    # ---- names -------------------------------------------------------------------------------------------------------

    def _place(self, data: Fields, *absent: str) -> str:
        store = data.text("store", *absent)
        return self._places.get(store, store)

    def _by_number(self, data: Fields) -> str:
        number = data.text("order_number", "")
        return f"{self._shop}:order:{number}" if self._shop and number else ""

    def _refs(self, event: Event, serials: list[str] | tuple[()], *more: str) -> tuple[str, ...]:
        """A shop's order comes last: it leads to the sale when nothing else leads to a case."""
        found = event.refs(*more, serials=serials)
        by_number = self._by_number(event.data)
        return (*found, by_number) if by_number else found


def payment_ref(connection: str, sale_id: str, tender: str) -> str:
    """The payment of one tender of a sale made here; money for a sale made elsewhere belongs to no payment of ours."""
    return f"{connection}:payment:{sale_id}/{tender}" if sale_id else tender


def currency_of(data: Fields) -> str:
    currency = data.text("currency")
    try:
        exponent(currency)
    except MoneyError:
        raise data.wrong("currency", "an ISO 4217 code, such as EUR") from None
    return currency


def _zone(data: Fields) -> str:
    zone = data.text("zone", "UTC")
    if not re.fullmatch(r"UTC|[+-](0\d|1[0-4]):[0-5]\d", zone):
        raise data.wrong("zone", "UTC or an offset from it, such as +01:00")
    return zone


def _requested_line(row: Fields) -> RequestedLine:
    return RequestedLine(
        line_ref=row.text("line_ref"),
        quantity=pieces(row),
        reason=row.text("reason", "none_given"),
        stated_condition=row.text("stated_condition", "unknown"),
        remedy=row.word("remedy", REMEDIES, "refund"),
        serials=(row.text("serial"),) if row.has("serial") else (),
        part_sku=row.text("part_sku", ""),
    )


def _sold_line(sale_id: str, number: int, row: Fields) -> SoldLine:
    quantity, unit = row.quantity(), row.amount("unit_price_minor", least=0)
    serials = (row.text("serial"),) if row.has("serial") else ()
    lots = (row.text("lot"),) if row.has("lot") else ()
    taxes = [
        Tax(tax.text("code"), tax.whole("rate_ppm", 0, 10**7), tax.amount("amount_minor", least=0))
        for tax in row.rows("taxes")
    ]
    return SoldLine(
        line_ref=row.text("line_ref", f"{sale_id}/{number}"),
        sku=row.text("sku"),
        quantity=quantity,
        delivered=quantity,
        unit_price_minor=unit,
        paid_minor=row.amount("paid_minor", least=0, default=quantity * unit),
        taxes=tuple(taxes),
        title=row.text("title", ""),
        category=row.text("category", "general"),
        tracking="serial" if serials else "lot" if lots else row.word("tracking", TRACKING, "none"),
        serials=serials,
        lots=lots,
    )
