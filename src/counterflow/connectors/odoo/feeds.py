"""The feed `documents`: credit notes, returns and refund payments that changed in Odoo, ours and other people's.

Polled by `write_date` (an automation rule may tell it sooner). A sweep starts before the last one ended: a slow
transaction commits rows with an older date; within a sweep the pages follow each other by second, so a second is read
again rather than cut in two. What is deleted leaves no row: the cursor remembers the documents that were told last, and
each sweep asks which of them are still there.
"""

import json
import re
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from counterflow.connectors.odoo.session import Odoo
from counterflow.core.facts import Counted, DocumentMoved, Fact
from counterflow.core.ids import fact_id
from counterflow.core.money import MoneyError, number_to_minor
from counterflow.sdk.connector import Page
from counterflow.sdk.outcomes import Malformed, NotFound, Rejected

FEED = "documents"
WATCHED_MOST = 300  # documents of one kind whose deletion is noticed: the ones that changed last
_KEY = re.compile(r"cf\.(ef_[0-9a-z]{26})(_\d+)?")
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Source:
    """How one model becomes DocumentMoved."""

    model: str
    posting: str
    domain: tuple[Any, ...]
    fields: tuple[str, ...]
    states: dict[str, str]


SOURCES = (
    Source(
        "account.move",
        "credit_note",
        (["move_type", "=", "out_refund"],),
        ("name", "state", "payment_state", "amount_total", "currency_id", "date", "invoice_origin", "write_uid"),
        {"draft": "drafted", "posted": "posted", "cancel": "cancelled"},
    ),
    Source(
        "stock.picking",
        "receive_goods",
        (["location_id.usage", "=", "customer"],),
        ("name", "state", "sale_id", "return_id", "date_done", "write_uid"),
        {"done": "posted", "cancel": "cancelled"},
    ),
    Source(
        "account.payment",
        "refund_payment",
        (["payment_type", "=", "outbound"], ["partner_type", "=", "customer"]),
        ("name", "state", "amount", "currency_id", "date", "reconciled_invoice_ids", "write_uid"),
        {"in_process": "posted", "paid": "applied", "canceled": "cancelled", "rejected": "cancelled"},
    ),
)
# What Odoo's own tills have made: the feed of the tills tells of it.
_OF_TILLS = {"account.move": ["pos_order_ids", "!=", False], "account.payment": ["pos_session_id", "!=", False]}


async def fetch(odoo: Odoo, feed: str, ref: str) -> list[Fact]:
    """One document by its reference, or by `<model>,<id>`."""
    model, *ids = ref.rpartition(":")[2].split(",")
    source = next((source for source in SOURCES if source.model == model), None)
    if feed != FEED or source is None:
        raise Rejected(f"{feed} {ref!r} cannot be fetched: it is one of {', '.join(s.model for s in SOURCES)}")
    wanted = ["id", "in", odoo.ids(f":{model},{','.join(ids)}", model)]
    rows = await odoo.client.search(model, [wanted, *source.domain], [*source.fields, "write_date"])
    if not rows and await odoo.client.ask(model, "search_count", domain=[wanted]):
        return []  # it is there and none of ours: an invoice, a delivery, what a customer paid
    if not rows:
        raise NotFound(f"{ref} is not in Odoo any more")
    return await _facts(odoo, source, rows)


async def pull(odoo: Odoo, cursor: str, lag_seconds: int) -> Page:
    """The next page of all three models. The cursor is JSON: the last second read per model, whether it goes on, how
    many rows that second needs (more than a page may change at once), and the ids that were told last."""
    state: dict[str, Any] = json.loads(cursor) if cursor else {}
    size = odoo.config.page_size
    items: list[Fact] = []
    after: dict[str, Any] = {}
    for source in SOURCES:
        seen, more, limit, *rest = state.get(source.model, ("", False, size))
        watched: list[int] = rest[0] if rest else []  # a cursor from before has none
        if more is False and any(entry[1] for entry in state.values()):
            after[source.model] = [seen, False, size, watched]  # this model is read; another one still goes on
            continue
        if not more and watched:
            gone = await _gone(odoo, source, watched)
            items += [_deleted(odoo, source, id) for id in gone]
            watched = [id for id in watched if id not in gone]
        start = seen if more or not seen else earlier(seen, lag_seconds)
        domain = [*source.domain, *([["write_date", ">=", start]] if start else [])]
        rows = await odoo.client.search(
            source.model, domain, [*source.fields, "write_date"], limit=limit, order="write_date, id"
        )
        items += await _facts(odoo, source, rows)
        last = max(seen, rows[-1]["write_date"]) if rows else seen
        full = len(rows) == limit
        stuck = full and rows[-1]["write_date"] == rows[0]["write_date"]
        told = [row["id"] for row in rows]
        watched = [*(id for id in watched if id not in told), *told][-WATCHED_MOST:]
        after[source.model] = [rows[-1]["write_date"] if full else last, full, limit * 2 if stuck else size, watched]
    return Page(tuple(items), json.dumps(after), any(entry[1] for entry in after.values()))


async def _gone(odoo: Odoo, source: Source, watched: list[int]) -> list[int]:
    there = await odoo.client.ask(source.model, "search", domain=[["id", "in", watched]])
    return sorted(set(watched) - set(there))


def _deleted(odoo: Odoo, source: Source, id: int) -> Fact:
    """Somebody deleted it. Nobody knows who and when: only its reference leads to its case."""
    ref, now = odoo.ref(source.model, id), odoo.now()
    body = DocumentMoved(ref, source.posting, "cancelled", version=int(now.timestamp()))
    id_ = fact_id(odoo.connection, "DocumentMoved", ref, "deleted")
    return Fact(id_, odoo.connection, now, now, (ref,), body, "erp_user", adapter=odoo.adapter)


def minor(amount: float, currency: str, ref: str) -> int:
    """An amount of Odoo in minor units. Raises Malformed for what the currency cannot hold."""
    try:
        return number_to_minor(amount, currency)
    except MoneyError as error:
        raise Malformed(f"{ref} has the amount {error}", field="amount") from None


def earlier(stamp: str, seconds: int) -> str:
    """A moment of Odoo, so many seconds before."""
    return (datetime.fromisoformat(stamp) - timedelta(seconds=seconds)).isoformat(" ")


async def _facts(odoo: Odoo, source: Source, rows: list[Row]) -> list[Fact]:
    if not rows:
        return []
    ids = [row["id"] for row in rows]
    names = await odoo.client.ask(source.model, "get_external_id", ids=ids)
    orders = await _orders(odoo, source, rows)
    people = await _named(odoo, "res.users", {row["write_uid"] for row in rows if row["write_uid"]})
    currencies = await _named(odoo, "res.currency", {row["currency_id"] for row in rows if row.get("currency_id")})
    held = await _pieces(odoo, source, ids)
    tills = await _of_tills(odoo, source, ids)
    facts = []
    for row in rows:
        if "sale_id" in row and not (row["sale_id"] or row["return_id"]):
            continue  # goods that came in without a sale: a till's, or a piece too many
        if row["id"] in tills:
            continue
        ours = _KEY.fullmatch(str(names.get(str(row["id"])) or ""))
        state = source.states.get(row["state"], "drafted")
        if row.get("payment_state") in ("paid", "in_payment", "reversed") and state == "posted":
            state = "applied"
        currency = currencies.get(row.get("currency_id") or 0, "")
        amount = row.get("amount_total", row.get("amount")) or 0.0
        changed = datetime.fromisoformat(row["write_date"]).replace(tzinfo=UTC)
        ref = odoo.ref(source.model, row["id"])
        # By its order alone one of ours would be taken for a stranger's by another case over the same order.
        key_refs = (f"effect:{ours.group(1)}",) if ours else ()
        pieces = held.get(row["id"], ())
        alone = pieces[0] if len({piece.sku for piece in pieces}) == 1 else Counted("", 0)
        body = DocumentMoved(
            document_ref=ref,
            posting=source.posting,
            state=state,
            version=int(changed.timestamp()),
            key=ours.group(1) if ours else "",
            amount_minor=minor(amount, currency, ref) if currency else 0,
            currency=currency,
            accounting_on=str(row.get("date") or row.get("date_done") or "")[:10],
            by=people.get(row["write_uid"] or 0, ""),
            sku=alone.sku,
            quantity=sum(piece.quantity for piece in pieces) if alone.sku else 0,
            pieces=pieces,
        )
        facts.append(
            Fact(
                fact_id=fact_id(odoo.connection, "DocumentMoved", ref, f"{body.version}/{state}"),
                connection=odoo.connection,
                occurred_at=changed,
                seen_at=odoo.now(),
                refs=(*key_refs, *(f"order:{number}" for number in orders.get(row["id"], ())), ref),
                body=body,
                origin="erp" if ours else "erp_user",
                adapter=odoo.adapter,
            )
        )
    return facts


async def _of_tills(odoo: Odoo, source: Source, ids: list[int]) -> set[int]:
    """Those that a till has made, where tills are read: without their app Odoo does not know the fields."""
    if not odoo.config.points_of_sale or source.model not in _OF_TILLS:
        return set()
    domain = [["id", "in", ids], _OF_TILLS[source.model]]
    return set(await odoo.client.ask(source.model, "search", domain=domain))


async def _orders(odoo: Odoo, source: Source, rows: list[Row]) -> dict[int, list[str]]:
    """Document -> numbers of the sales it belongs to, as people and the channel know them."""
    if source.model == "stock.picking":
        found = {row["id"]: [row["sale_id"]] for row in rows if row["sale_id"]}
        wanted = [["id", "in", sorted({id for ids in found.values() for id in ids})]]
        by = "id"
    else:
        origins = {row["id"]: row.get("invoice_origin") for row in rows}
        if source.model == "account.payment":
            notes = sorted({id for row in rows for id in row["reconciled_invoice_ids"]})
            named = {
                n["id"]: n["invoice_origin"] for n in await odoo.client.read("account.move", notes, ["invoice_origin"])
            }
            origins = {
                row["id"]: ", ".join(str(named[id]) for id in row["reconciled_invoice_ids"] if named.get(id))
                for row in rows
            }
        found = {id: str(origin).split(", ") for id, origin in origins.items() if origin}
        wanted, by = [["name", "in", sorted({name for names in found.values() for name in names})]], "name"
    if not found:
        return {}
    field = odoo.config.order_field
    numbers = {
        row[by]: _number(odoo, str(row[field]))
        for row in await odoo.client.search("sale.order", wanted, ["name", field])
        if row[field]
    }
    return {id: list(dict.fromkeys(numbers[key] for key in keys if numbers.get(key))) for id, keys in found.items()}


def _number(odoo: Odoo, reference: str) -> str:
    """The order number inside the reference field, by the template; empty when it is of somebody else."""
    before, placeholder, after = odoo.config.order_reference.partition("{order_number}")
    if not placeholder or "{order_ref}" in before + after:
        return ""
    if not (reference.startswith(before) and reference.endswith(after)):
        return ""
    return reference[len(before) : len(reference) - len(after)]


async def _named(odoo: Odoo, model: str, ids: set[int]) -> dict[int, str]:
    return {row["id"]: str(row["name"]) for row in await odoo.client.read(model, sorted(ids), ["name"])} if ids else {}


async def _pieces(odoo: Odoo, source: Source, ids: list[int]) -> dict[int, tuple[Counted, ...]]:
    """Transfer -> what it holds."""
    if source.model != "stock.picking":
        return {}
    fields = ["picking_id", "product_id", "quantity", "lot_id"]
    lines = await odoo.client.search("stock.move.line", [["picking_id", "in", ids]], fields, order="id")
    key = odoo.config.product_key
    products = {
        row["id"]: (str(row[key] or ""), row["tracking"])
        for row in await odoo.client.read(
            "product.product", sorted({m["product_id"] for m in lines}), [key, "tracking"]
        )
    }
    lots = await _named(odoo, "stock.lot", {line["lot_id"] for line in lines if line["lot_id"]})
    found: dict[int, Counter[tuple[str, str, str]]] = {}
    for line in lines:
        sku, tracking = products.get(line["product_id"], ("", "none"))
        lot = lots.get(line["lot_id"] or 0, "")
        thing = (sku, lot if tracking == "serial" else "", lot if tracking == "lot" else "")
        found.setdefault(line["picking_id"], Counter())[thing] += int(line["quantity"])
    return {
        id: tuple(Counted(sku, quantity, serial, lot) for (sku, serial, lot), quantity in things.items())
        for id, things in found.items()
    }
