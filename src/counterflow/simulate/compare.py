"""What the outside systems hold of each story at the end, and where that is not what the oracle foresaw."""

from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from counterflow.core.money import exponent
from counterflow.core.returns.case import View
from counterflow.simulate import oracle
from counterflow.simulate.oracle import Ends, Range
from counterflow.simulate.script import Story

Rows = list[dict[str, Any]]

# The ERP's places by class, as the town names them (sandbox/home.py); what is inside the ERP at the start is no change.
PLACES = {
    "WH/Stock": "sellable",
    "WH/Quarantine": "returns",
    "WH/Refurbish": "refurbishment",
    "ST1/Returns": "store",
    "ST1/Stock": "sellable",
    "Write-off": "scrap",
    "Vendors": "vendor",
    "Customers": "customer",
}
_SETUP = "Inventory adjustment"


@dataclass(frozen=True, slots=True)
class World:
    """Everything that the outside systems hold, as they tell it; `cases` are ours, by the number of the order."""

    refunds: Rows  # at the provider
    disputes: Rows
    orders: Rows  # in the shop
    credit: Rows  # accounts of store credit
    books: Mapping[str, Any]  # the ERP
    messages: Rows  # to customers
    cases: Mapping[str, Sequence[View]]


async def look(get: Callable[[str], Awaitable[Any]], views: Iterable[View]) -> World:
    """Ask all systems; `get` answers the JSON of a path of the outside world."""
    cases: dict[str, list[View]] = {}
    for view in views:
        cases.setdefault(view.order_number, []).append(view)
    return World(
        refunds=await get("/psp/_sim/truth/refunds"),
        disputes=await get("/psp/_sim/truth/disputes"),
        orders=await get("/shop/_sim/truth/orders"),
        credit=await get("/shop/_sim/truth/store_credit"),
        books=await get("/odoo/_sim/books"),
        messages=await get("/mail/_sim/truth/messages"),
        cases=cases,
    )


def disagreements(
    world: World, foreseen: Sequence[tuple[Story, tuple[Ends, ...]]], unforeseen: Collection[str] = ()
) -> list[str]:
    """Sentences, each with the story: what was foreseen and what is there. None: everybody holds what they should.

    Of several ends that may be, one has to be there in all its parts. `unforeseen`: goods whose stock nobody can tell.
    """
    found: list[str] = []
    for story, ends in foreseen:
        said = [list(_story(world, story, each)) for each in ends]
        if all(said):
            found += [f"{story.title}: {each}" for each in said[0]]
    return [*found, *_stock(world, [ends[0] for _, ends in foreseen], unforeseen)]


def _story(world: World, story: Story, ends: Ends) -> Iterable[str]:
    mail = f"pi_{story.number:06d}@example.com"
    order = next((each for each in world.orders if each["email"] == mail and not each["source_identifier"]), None)
    if order is None:
        yield "the shop has no order of it"
        return
    got = _refunded(world, story, order)
    for tender in sorted({*got, *ends.refunded}):
        yield from _within(f"refunded by {tender}", got.get(tender, 0), ends.refunded.get(tender, oracle.NOTHING))
    total = sum(got.values())
    yield from _within("refunded in all", total, ends.total)
    credited = _credited(world, story, order)
    if not any(low <= credited <= high for low, high in ends.credited):
        yield f"credit notes of {credited}, foreseen {' or '.join(map(_shown, ends.credited))}"
    if len(ends.credited) == 1 and credited != total + ends.offset:
        yield f"credit notes of {credited}, and {total} refunded + {ends.offset} in goods"
    told = Counter(m["data"]["template"] for m in world.messages if m["data"]["order_number"] == order["name"])
    cases = world.cases.get(order["name"], ())
    for template in sorted({*told, *ends.notices}):
        low, high = ends.notices.get(template, oracle.NOTHING)
        if template == "return_approved" and high:
            high = max(high, len(cases))  # two people who opened the same return have made two of it
            low = low if all(case.return_ref for case in cases) else 0  # the goods were here before it was heard
        yield from _within(f"messages {template}", told[template], (low, high))
    yield from _cases(cases, ends)


def _refunded(world: World, story: Story, order: Mapping[str, Any]) -> Counter[str]:
    """Tender -> what the customer has really got."""
    got: Counter[str] = Counter()
    mine = (f"pi_{story.number:06d}", f"pi_{story.number:06d}_up")
    for refund in world.refunds:
        if refund["payment_intent"] in mine and refund["status"] == "succeeded":
            got["card"] += refund["amount"]
    for row in order["transactions"]:
        if row["kind"] == "REFUND" and row["status"] == "SUCCESS" and row["gateway"] != "stripe":
            got[row["gateway"]] += row["amount"]["presentment"]
    for account in world.credit:
        if account["owner"] == order["customer_id"]:
            got["store_credit"] += sum(move["amount_minor"] for move in account["movements"])
    return got


def _credited(world: World, story: Story, order: Mapping[str, Any]) -> int:
    """Posted credit notes over the invoices of the order, in minor units of its currency."""
    documents = world.books["documents"]
    sales = {d["name"] for d in documents if d["model"] == "sale.order" and d["ref"] == order["name"]}
    notes = [
        d
        for d in documents
        if d.get("move_type") == "out_refund" and d["state"] == "posted" and d["invoice_origin"] in sales
    ]
    return sum(round(note["amount"] * 10 ** exponent(story.currency)) for note in notes)


def _cases(views: Sequence[View], ends: Ends) -> Iterable[str]:
    waiting = frozenset(each.kind for view in views for each in view.exceptions)
    if waiting != ends.waits_for:
        yield f"waits for {sorted(waiting) or 'nobody'}, foreseen {sorted(ends.waits_for) or 'nobody'}"
    statuses = sorted({view.status for view in views})
    if not ends.waits_for and statuses != [ends.status]:
        yield f"its cases are {statuses or 'not there'}, foreseen {ends.status}"


def _stock(world: World, ends: Sequence[Ends], unforeseen: Collection[str]) -> Iterable[str]:
    """The ERP's stock of all stories together: what was there at the start and what changed."""
    changed: Counter[tuple[str, str]] = Counter()
    for row in world.books["stock"]:
        quantity = round(row["quantity"])
        if row["location"] == _SETUP:
            changed["sellable", row["sku"]] += quantity  # it went into the stock that the story began with
        else:
            changed[PLACES.get(row["location"], row["location"]), row["sku"]] += quantity
    foreseen = oracle.stock(ends)
    for place, sku in sorted({*changed, *foreseen}):
        if sku not in unforeseen and changed[place, sku] != foreseen[place, sku]:
            yield f"{sku} in {place}: {changed[place, sku]:+} pieces, foreseen {foreseen[place, sku]:+}"


def _within(what: str, found: int, foreseen: Range) -> Iterable[str]:
    if not foreseen[0] <= found <= foreseen[1]:
        yield f"{what}: {found}, foreseen {_shown(foreseen)}"


def _shown(bounds: Range) -> str:
    return str(bounds[0]) if bounds[0] == bounds[1] else f"{bounds[0]} to {bounds[1]}"
