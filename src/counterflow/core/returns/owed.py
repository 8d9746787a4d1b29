"""What the customer is owed now: the entitlement over the units whose moment has come, on the terms of the fees table."""

from counterflow.core.facts import GoodwillGranted, LotRecalled
from counterflow.core.money import Money
from counterflow.core.policy import Review
from counterflow.core.policy.vocabulary import SELLER_FAULT
from counterflow.core.refunds import ReturnedItem, entitle
from counterflow.core.refunds.exchange import settle_exchange
from counterflow.core.returns.authorise import ask, inputs_of
from counterflow.core.returns.case import ComponentView
from counterflow.core.returns.states import GOODS_HERE, GOODS_INSPECTED
from counterflow.core.returns.work import Line, Unit, Work

_EXCHANGES = ("exchange", "replacement")
_HANDED_OVER = GOODS_HERE | {"handed_over", "in_transit", "delivered_unreceived", "with_third_party"}
# From which goods state on money is due, by the policy's refund moment.
_DUE: dict[str, frozenset[str]] = {
    "first_scan": _HANDED_OVER,
    "receipt": GOODS_HERE,
    "inspection": GOODS_INSPECTED,
}


def owed(work: Work) -> None:
    """Mark payable units, then fill `work.components` and `work.entitled_minor`; exchanges take their offset first."""
    if work.sale is None:
        return
    recalled = any(isinstance(f.body, LotRecalled) and f.body.refund_regardless for f in work.facts)
    items: list[ReturnedItem] = []
    for unit in work.units.values():
        line = unit.line
        if line is None or line.sold is None or line.authorisation != "approved" or unit.claimed_elsewhere:
            continue
        unit.payable = _due(unit, line) or (recalled and unit.lot_status == "recalled")
        if unit.payable and line.wanted.remedy not in ("repair", "none"):
            items.append(_item(work, unit, line))
    goodwill = sum(f.body.amount_minor for f in work.facts if isinstance(f.body, GoodwillGranted))
    if not items and not goodwill:
        return
    prior = [ReturnedItem(ref, piece) for (ref, piece) in sorted(work.claimed_by_siblings) if ":" not in ref]
    result = entitle(work.sale, items, prior) if items else None
    rows = list(result.components) if result else []
    views = [ComponentView(row.line_ref, row.component, row.amount_minor, row.basis) for row in rows]
    if goodwill:
        views.append(ComponentView("", "goodwill", goodwill, "goodwill granted by a person"))
    work.components = tuple(views)
    work.goodwill_minor = goodwill
    work.entitled_minor = (result.payable_minor if result else 0) + goodwill
    _exchange(work)


def _due(unit: Unit, line: Line) -> bool:
    if unit.goods in ("wrong_item", "received_unidentified", "denied_goods", "not_in_parcel"):
        return False
    if unit.waived or (unit.goods == "lost" and unit.handed_over_at is not None):
        return True  # nothing is to come back, or it was lost with our label after it was handed over (edge case 35)
    if line.moment == "request":
        return unit.goods not in ("cancelled", "expired")
    return unit.goods in _DUE[line.moment]


def _item(work: Work, unit: Unit, line: Line) -> ReturnedItem:
    """The unit on the terms of the fees table, asked with what the inspection found."""
    at = work.requested_at or work.opened_at or work.now
    inputs = inputs_of(work, line, at)
    inputs.update(
        {"grade": unit.grade or "not_graded", "serial_result": unit.serial_result, "lot_status": unit.lot_status}
    )
    inputs.update({finding: True for finding in unit.findings if finding in inputs})
    answer = ask(work, "fees", unit.unit_id, inputs)
    fault = line.wanted.reason in SELLER_FAULT
    part = {"part_sku": line.wanted.part_sku, "part_piece": unit.part} if line.wanted.part_sku else {}
    if isinstance(answer, Review):
        work.trouble("terms_unclear", unit.unit_id, f"the fees table needs a person: {answer.why}")
        return ReturnedItem(line.wanted.line_ref, unit.piece, reason=line.wanted.reason, seller_fault=fault, **part)  # type: ignore[arg-type]
    out = answer.outputs
    loss = out.get("value_loss_ppm", {})
    fixed = out.get("restocking_fee")
    return ReturnedItem(
        line.wanted.line_ref,
        unit.piece,
        part_sku=line.wanted.part_sku,
        part_piece=unit.part if line.wanted.part_sku else 0,
        reason=line.wanted.reason,
        seller_fault=fault,
        withdrawal=work.kind == "withdrawal",
        restocking_fee_ppm=_whole(out.get("restocking_fee_ppm", 0)),
        restocking_fee_minor=fixed.minor if isinstance(fixed, Money) and fixed.currency == inputs["currency"] else 0,
        value_loss_ppm=loss.get(unit.grade, 0) if isinstance(loss, dict) else 0,
        shipping=str(out.get("shipping_refund", "none")),
        promotion=str(out.get("promotion", "keep_benefit")),
    )


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0


def _exchange(work: Work) -> None:
    """Take the price of the replacements out of the entitlement; what is left is paid, what is missing is asked for."""
    wanted = [
        line for line in work.lines.values() if line.wanted.remedy in _EXCHANGES and line.authorisation == "approved"
    ]
    if not wanted:
        return
    payable = {u.line.key for u in work.units.values() if u.payable and u.line is not None}
    price = sum(replacement_price_of(line) * line.wanted.quantity for line in wanted if line.key in payable)
    state = next((state for state, _, _ in reversed(list(work.replacement.values()))), "")
    settled = settle_exchange(work.entitled_minor, price, replacement=state if state in _FALLEN else "available")
    work.offset_minor, work.customer_pays_minor = settled.offset_minor, settled.customer_pays_minor
    if state in _FALLEN:
        work.exchange_state = "withdrawn"
        work.because.append(settled.basis)
    elif state in ("shipped", "delivered"):
        work.exchange_state = state
    elif state == "created":
        work.exchange_state = "ordered"
    elif not price:
        work.exchange_state = "quoted"
    else:
        paid = work.customer_paid_minor >= settled.customer_pays_minor
        work.exchange_state = "covered" if paid else "awaiting_payment"


_FALLEN = ("out_of_stock", "cancelled")


def replacement_price_of(line: Line) -> int:
    """Minor units for one piece. The same product costs what it cost at the sale, another one today's price (case 64)."""
    sold, wanted = line.sold, line.wanted
    assert sold is not None
    if wanted.replacement_sku in ("", sold.sku) or not wanted.replacement_unit_minor:
        return sold.paid_minor // max(sold.quantity, 1)
    return wanted.replacement_unit_minor
