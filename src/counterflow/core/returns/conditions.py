"""The exceptions that follow from the whole state of a case; the passes before have added what they met on the way."""

from counterflow.core.effects import MoveGoods, PayLeg, ReceiveGoods
from counterflow.core.returns.exchange import REMEDIES
from counterflow.core.returns.states import GOODS_HERE, LEG_DEAD, LEG_PAID
from counterflow.core.returns.work import Unit, Work


def raise_conditions(work: Work) -> None:
    """Add the troubles that hold now; exceptions.py knows what each class is."""
    for line in work.lines.values():
        if line.authorisation == "review":
            work.trouble(
                "authorisation_review", line.key, f"decide by hand whether {line.key} may come back: {line.because}"
            )
    for unit in work.units.values():
        _claims(work, unit)
        _goods(work, unit)
    _delivered(work)
    if work.cancelled is not None and any(u.goods not in ("cancelled", "not_expected") for u in work.units.values()):
        work.trouble(
            "cancelled_after_receipt",
            "case",
            f"{work.cancelled[0]} cancelled the return after goods were on their way: the case goes on; re-open it in "
            "the channel",
        )
    _effects(work)
    _legs(work)
    _periods(work)
    _counts(work)
    _exchange(work)


def _claims(work: Work, unit: Unit) -> None:
    line = unit.line
    if unit.claimed_elsewhere == "nothing left":
        work.trouble(
            "claimed_twice",
            unit.unit_id,
            f"more of {unit.sku} is asked back than was sold: correct the request or decline the line",
            line.unit_minor if line is not None else 0,
        )
    elif unit.claimed_elsewhere:
        work.trouble(
            "claimed_twice",
            unit.unit_id,
            f"{unit.sku} is asked back twice: {unit.claimed_elsewhere} holds the same piece. Nothing is paid here "
            "until one of both is declined",
            line.unit_minor if line is not None else 0,
        )


def _goods(work: Work, unit: Unit) -> None:
    line, here = unit.line, unit.goods in GOODS_HERE
    if unit.goods == "not_in_parcel":
        work.trouble(
            "missing_goods",
            unit.unit_id,
            f"{unit.sku} was announced and was not in the parcel: search for it",
            since=unit.since,
        )
    elif unit.goods == "lost" and unit.handed_over_at is None:
        work.trouble(
            "missing_goods",
            unit.unit_id,
            f"{unit.sku} was lost on its way back and nothing proves that it was sent: ask for the proof of dispatch, "
            "then accept or deny it",
            since=unit.since,
        )
    elif unit.goods == "lost" and line is not None:
        work.trouble(
            "recovery_claim",
            unit.unit_id,
            f"{unit.sku} was lost on its way back with the carrier: claim its value from it",
            line.unit_minor,
        )
    elif unit.goods == "quarantined":
        work.trouble(
            "quarantine",
            unit.unit_id,
            f"{unit.sku} is locked in quarantine ({unit.disposition_because}): release or scrap it",
            since=unit.since,
        )
    if line is None or not here:
        return
    if line.authorisation == "declined" and unit.goods not in ("disposition_decided", "dispositioned"):
        work.trouble(
            "declined_goods",
            unit.unit_id,
            f"{unit.sku} has arrived although its return was declined: approve it after all, or send it back",
            line.unit_minor,
        )
    if unit.legal_entity:
        work.trouble(
            "other_legal_entity",
            unit.unit_id,
            f"{unit.sku} is with {unit.legal_entity}: book a sale between the companies or custody, no plain move; "
            "then report it received at home",
            line.unit_minor,
        )
    if unit.goods == "inspected" and line.authorisation == "approved" and unit.disposition_because:
        work.trouble(
            "disposition_hold", unit.unit_id, f"{unit.sku} is on hold by {unit.disposition_because}: choose one"
        )
    if unit.lot_sold:
        work.trouble(
            "lot_swap",
            unit.unit_id,
            f"lot {unit.lot} of {unit.sku} came back, {unit.lot_sold} is on the delivery: they are swapped on record "
            "with the receipt; find out how it was picked",
        )
    _identity(work, unit)


def _identity(work: Work, unit: Unit) -> None:
    value = unit.line.unit_minor if unit.line is not None else 0
    if unit.serial_result == "missing":
        work.trouble(
            "serial_missing",
            unit.unit_id,
            f"no serial could be read on {unit.sku}: identify it by its IMEI, box or photo, then accept it",
            value,
        )
    elif unit.serial_result in ("mismatch", "already_returned"):
        work.trouble(
            "serial_mismatch",
            unit.unit_id,
            f"serial {unit.serial} of {unit.sku} is not what was sold. The refund is held: compare photos and weights, "
            "then accept it or send it back",
            value,
        )
    if "empty_box" in unit.findings:
        work.trouble(
            "empty_box",
            unit.unit_id,
            f"the parcel for {unit.sku} was empty: compare weights and photos, then claim from the carrier or deny",
            value,
        )


def _delivered(work: Work) -> None:
    """More came back than ever left us (D1)."""
    for line in work.lines.values():
        if line.sold is None or line.wanted.part_sku or line.sold.kit:
            continue
        back = sum(u.line is line and u.goods in GOODS_HERE for u in work.units.values())
        if back > line.sold.delivered:
            work.trouble(
                "not_delivered",
                line.key,
                f"{back} of {line.sold.sku} came back and {line.sold.delivered} were delivered: correct the delivery "
                "in the channel, or find out whose they are",
                line.unit_minor * (back - line.sold.delivered),
            )


def _effects(work: Work) -> None:
    for effect in work.effects:
        state = work.state_of(effect.effect_id)
        if state not in ("rejected", "parked"):
            continue
        report, at = work.outcomes[effect.effect_id][-1]
        if isinstance(effect.command, PayLeg) and state == "rejected" and _covered(work, effect.command.leg_id):
            continue  # somebody else has paid meanwhile (a lost dispute): nothing is left to be done by another way
        kind = "refund_rejected" if isinstance(effect.command, PayLeg) and state == "rejected" else "effect_stopped"
        if effect.kind == "CreateReplacement":
            kind = "replacement_failed"
        amount = getattr(effect.command, "amount_minor", 0)
        said = report.message or report.code or "no reason given"
        message = f"{effect.kind} at {effect.connection} {state}: {said}"
        work.trouble(kind, effect.effect_id, message, amount, at)


def _legs(work: Work) -> None:
    for leg in work.legs.values():
        if leg.state in ("failed_after_success", "failed", "reversed") and leg.origin == "ours":
            if not _covered(work, leg.leg_id):
                work.trouble(
                    "refund_failed",
                    leg.leg_id,
                    f"the refund by {leg.rail} came back ({leg.reason or 'no reason given'}): ask the customer for "
                    "another way, then resolve with pay_store_credit or pay_bank",
                    leg.amount_minor,
                )
        elif leg.state == "requires_action":
            work.trouble(
                "refund_stuck", leg.leg_id, "the customer has to act before the refund can be paid", leg.amount_minor
            )
        elif leg.state == "accepted" and leg.reason == "insufficient_funds":
            work.trouble(
                "refund_stuck",
                leg.leg_id,
                "the balance at the provider is too low: top it up, the refund waits",
                leg.amount_minor,
            )
        if leg.rail == "marketplace" and leg.state in LEG_PAID and _still_out(work):
            work.trouble(
                "recovery_claim",
                leg.leg_id,
                "the marketplace has refunded before the goods are back: claim it there if they do not come",
                leg.amount_minor,
            )


def _covered(work: Work, leg_id: str) -> bool:
    """The legs beside this one pay all that is owed."""
    others = (leg for leg in work.legs.values() if leg.leg_id != leg_id and leg.state not in LEG_DEAD)
    return sum(leg.amount_minor for leg in others) >= work.entitled_minor - work.offset_minor


def _still_out(work: Work) -> bool:
    """Goods are owed to us and are not here; who cancels the return after the money has left keeps both."""
    return any(
        u.line is not None and u.goods not in GOODS_HERE and u.goods not in ("not_expected", "with_third_party")
        for u in work.units.values()
    )


def _periods(work: Work) -> None:
    asked = {effect.effect_id: getattr(effect.command, "occurred_at", None) for effect in work.effects}
    for posting in work.postings.values():
        wanted = asked.get(posting.effect_id)
        if posting.accounting_on and wanted is not None and posting.accounting_on[:7] != wanted.date().isoformat()[:7]:
            work.trouble(
                "shifted_period",
                posting.posting_id,
                f"{posting.kind.replace('_', ' ')} {posting.document_name} was posted on {posting.accounting_on} "
                f"instead of {wanted.date()}: the period is locked, mention it in the tax report",
                posting.amount_minor,
            )


def _counts(work: Work) -> None:
    """Late goods may have been counted before they were booked, and are then there twice (requirement 133)."""
    commands = {effect.effect_id: effect.command for effect in work.effects}
    for posting in work.postings.values():
        command = commands.get(posting.effect_id)
        if not posting.counted or not isinstance(command, ReceiveGoods | MoveGoods):
            continue
        place = command.place if isinstance(command, ReceiveGoods) else command.place_to
        goods = ", ".join(f"{item.quantity} x {item.sku}" for item in command.items)
        work.trouble(
            "counted_meanwhile",
            posting.posting_id,
            f"{goods} came on {command.occurred_at:%Y-%m-%d}; the ERP's stock at {place} was counted on "
            f"{posting.counted}, before {posting.document_name} booked them. If that count has found them, the ERP has "
            "them twice: count them there again, then resolve this",
            since=posting.since,
        )


def _exchange(work: Work) -> None:
    for ref, (state, at, total) in work.replacement.items():
        if state == "returned":
            work.trouble(
                "replacement_returned",
                ref,
                f"replacement {ref} came back: if the original is kept, undo only the difference; else return it as a "
                "sale of its own",
                since=at,
            )
        asked = work.offset_minor + work.customer_pays_minor
        if total and asked and total != asked and state != "cancelled":
            work.trouble(
                "amount_mismatch",
                ref,
                f"replacement {ref} costs {total} in the channel and {asked} here: correct one before it is booked",
                abs(total - asked),
            )
        sent = state in ("shipped", "delivered")
        lines = [ln for ln in work.lines.values() if ln.wanted.remedy in REMEDIES]
        mine = [u for u in work.units.values() if u.line in lines]
        if sent and mine and all(u.goods in ("expired", "lost", "not_in_parcel", "denied_goods") for u in mine):
            paid = sum(payment.captured_minor for payment in work.paid_in.values())
            value = total or sum(line.unit_minor * line.wanted.quantity for line in lines)
            if value > paid:
                work.trouble(
                    "guarantee_due",
                    ref,
                    f"replacement {ref} was sent and the original never came: capture the guarantee, or write it off",
                    value - paid,
                )
