"""What the customer is owed now: the entitlement over the units whose moment has come, on the terms of the fees."""

from collections import Counter
from dataclasses import replace

from counterflow.core.money import Money
from counterflow.core.policy import Review
from counterflow.core.policy.vocabulary import SELLER_FAULT
from counterflow.core.refunds import ReturnedItem, entitle
from counterflow.core.returns.authorise import ask, inputs_of
from counterflow.core.returns.case import ComponentView
from counterflow.core.returns.exchange import exchange
from counterflow.core.returns.states import GOODS_HERE, GOODS_INSPECTED, LEG_PAID
from counterflow.core.returns.work import Line, Unit, Work

_HANDED_OVER = GOODS_HERE | {"handed_over", "in_transit", "delivered_unreceived", "with_third_party"}
# From which goods state on money is due, by the policy's refund moment.
_DUE: dict[str, frozenset[str]] = {
    "first_scan": _HANDED_OVER,
    "receipt": GOODS_HERE,
    "inspection": GOODS_INSPECTED,
}
# Nothing of ours has come, or it is not what was sold: not due whatever the moment.
_NOT_DUE = frozenset({"wrong_item", "received_unidentified", "denied_goods", "not_in_parcel", "cancelled", "expired"})


def owed(work: Work) -> None:
    """Mark payable units, then fill `work.components` and `work.entitled_minor`; exchanges take their offset first."""
    if work.sale is None:
        return
    items: list[ReturnedItem] = []
    for unit in work.units.values():
        line = unit.line
        if line is None or line.sold is None or line.authorisation != "approved" or unit.claimed_elsewhere:
            continue
        unit.payable = _due(work, unit, line)
        if unit.payable and line.wanted.remedy not in ("repair", "none"):
            items.append(_item(work, unit, line))
    views: list[ComponentView] = []
    if items:
        result = entitle(work.sale, items, _prior(work))
        views = [ComponentView(row.line_ref, row.component, row.amount_minor, row.basis) for row in result.components]
        work.entitled_minor = result.payable_minor
        work.unpaid_minor = result.total_minor - result.payable_minor
    if work.goodwill_minor:
        views.append(ComponentView("", "goodwill", work.goodwill_minor, "goodwill granted by a person"))
        work.entitled_minor += work.goodwill_minor
    work.components = tuple(views)
    _marketplace_terms(work)
    exchange(work)


def _prior(work: Work) -> list[ReturnedItem]:
    """What the other cases over the sale hold; a part of a kit is counted through (units.claim_of)."""
    assert work.sale is not None
    prior = []
    for key, n in sorted(work.claimed_by_siblings):
        sold, part_sku = work.sale.line(key), ""
        if sold is None:
            line_ref, _, part_sku = key.rpartition(":")
            sold = work.sale.line(line_ref)
        if sold is None:
            continue
        each = next((part.quantity for part in sold.kit if part.sku == part_sku), 1)
        if n // each < sold.quantity:
            prior.append(ReturnedItem(sold.line_ref, n // each, part_sku, n % each if part_sku else 0))
    return prior


def _due(work: Work, unit: Unit, line: Line) -> bool:
    if unit.goods in _NOT_DUE:
        return False
    if unit.goods == "lost":
        # With proof that it was handed over the risk is ours (35); without it a person decides.
        proven = unit.handed_over_at is not None
        return proven or work.resolution("missing_goods", unit.unit_id, unit.since) == "accept"
    if "empty_box" in unit.findings and work.resolution("empty_box", unit.unit_id) != "accept":
        return False
    if unit.serial_result in ("mismatch", "already_returned", "missing"):
        return False
    if unit.waived or line.moment == "request":
        return True
    if unit.lot_status == "recalled" and work.recalled.get(unit.lot, any(work.recalled.values())):
        return unit.goods in GOODS_HERE or not unit.lot
    return unit.goods in _DUE[line.moment]


def _item(work: Work, unit: Unit, line: Line) -> ReturnedItem:
    """The unit on the terms of the fees table, asked with what the inspection found."""
    findings = {finding: True for finding in unit.findings if finding in line.inputs}
    inputs = inputs_of(
        work,
        line,
        grade=unit.grade or "not_graded",
        serial_result=unit.serial_result,
        lot_status=unit.lot_status,
        **findings,
    )
    answer = ask(work, "fees", unit.unit_id, inputs)
    item = ReturnedItem(
        line.wanted.line_ref,
        unit.piece,
        part_sku=unit.part_sku,
        part_piece=unit.part,
        reason=line.wanted.reason,
        seller_fault=line.wanted.reason in SELLER_FAULT,
    )
    if isinstance(answer, Review):
        work.trouble("terms_unclear", unit.unit_id, f"the fees table needs a person: {answer.why}")
        return item
    out = answer.outputs
    loss = out.get("value_loss_ppm", {})
    fixed = out.get("restocking_fee")
    return replace(
        item,
        withdrawal=work.kind == "withdrawal",
        restocking_fee_ppm=_whole(out.get("restocking_fee_ppm", 0)),
        restocking_fee_minor=fixed.minor if isinstance(fixed, Money) and fixed.currency == inputs["currency"] else 0,
        value_loss_ppm=loss.get(unit.grade, 0) if isinstance(loss, dict) else 0,
        shipping=str(out.get("shipping_refund", "none")),
        promotion=str(out.get("promotion", "keep_benefit")),
    )


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0


def _marketplace_terms(work: Work) -> None:
    """Where the marketplace decides, what it paid is what was owed: its difference to our terms is a row (71, 77).

    It also decides where it paid and the customer then kept the goods: the money is gone, and is claimed there.
    """
    paid = [leg for leg in work.legs.values() if leg.rail == "marketplace" and leg.state in LEG_PAID]
    kept = bool(work.units) and all(unit.goods in ("cancelled", "expired") for unit in work.units.values())
    if not paid or not (kept or work.kind == "marketplace_return"):
        return
    difference = sum(leg.amount_minor for leg in paid) - work.entitled_minor
    if difference:
        work.owe("marketplace_terms", difference, "the marketplace decided what the customer gets")


def rows_of(work: Work) -> Counter[tuple[str, str]]:
    """(line, component) -> what is owed."""
    rows: Counter[tuple[str, str]] = Counter()
    for component in work.components:
        rows[component.line_ref, component.component] += component.amount_minor
    return rows
