"""Which lines may come back: the lines of the request, judged by the eligibility table, a person, or the channel."""

from datetime import UTC, datetime, timedelta, timezone, tzinfo

from counterflow.core.facts import ItemsReceived, LotRecalled, MarketplaceRefunded, ParcelMoved, RequestedLine
from counterflow.core.policy import CONTRACT_BY_CHANNEL, NO_FLAGS, Review, evaluate
from counterflow.core.policy.evaluate import show
from counterflow.core.policy.floor import Floored, apply, clocks, explain_floor
from counterflow.core.returns.case import PolicyHit
from counterflow.core.returns.work import Line, Unit, Work
from counterflow.core.sale import SoldLine

# Directive 2011/83/EU art. 9 and 2019/771 art. 10. Art. 3(4) of Regulation 1182/71 (a period that ends on a holiday ends
# on the next working day) needs the country's calendar and is applied where the holidays are configured.
WITHDRAWAL_DAYS, GUARANTEE_DAYS = 14, 730


def lines(work: Work) -> None:
    """Make the return lines: what was asked for, else what arrived (a blind return), with their sold lines."""
    if work.request is not None:
        for wanted in work.request.lines:
            line = Line(wanted, work.sale.line(wanted.line_ref) if work.sale else None)
            work.lines[line.key] = line
    elif work.sale is not None:
        for wanted in _implied(work, work.sale.lines):
            line = Line(wanted, work.sale.line(wanted.line_ref), implied=True)
            work.lines[line.key] = line


def _implied(work: Work, sold: tuple[SoldLine, ...]) -> list[RequestedLine]:
    """Without a request: the sold lines that the received goods, a marketplace's refund or a recall point to."""
    wanted: dict[str, int] = {}
    for receipt, _ in work.receipts:
        for item in receipt.items:
            line = next(
                (s for s in sold if s.line_ref == item.line_ref or (not item.line_ref and s.sku == item.sku)), None
            )
            if line is not None:
                wanted[line.line_ref] = min(line.quantity, wanted.get(line.line_ref, 0) + item.quantity)
    for fact in work.facts:
        if isinstance(fact.body, MarketplaceRefunded):
            refs = fact.body.line_refs or tuple(s.line_ref for s in sold if s.component == "goods")
            for ref in refs:
                line = next((s for s in sold if s.line_ref == ref), None)
                if line is not None:
                    wanted.setdefault(ref, line.quantity)
        elif isinstance(fact.body, LotRecalled):
            for line in sold:
                if fact.body.lot in line.lots:
                    wanted.setdefault(line.line_ref, line.quantity)
    reason = {"recall": "recalled", "return_to_sender": "undeliverable"}.get(work.kind, "none_given")
    return [RequestedLine(ref, quantity, reason=reason, stated_condition="unknown") for ref, quantity in wanted.items()]


def authorise(work: Work) -> None:
    """Answer every line, then make its units. An answer that has gone out is kept: nothing later worsens the case."""
    told = next((e.command for e in work.effects if e.kind == "AnswerReturn"), None)
    recalled = {f.body.lot for f in work.facts if isinstance(f.body, LotRecalled) and f.body.refund_regardless}
    for line in work.lines.values():
        line.decided_at = work.requested_at or work.opened_at
        person = next(
            (g for g in reversed(work.given) if not g[0].line_refs or line.wanted.line_ref in g[0].line_refs), None
        )
        _judge(work, line)
        if person is not None:
            body, line.decided_at, _ = person
            line.authorisation = "approved" if body.decision == "approve" else "declined"
            line.because = f"{body.by} decided: {body.reason or body.decision}"
        elif line.sold is not None and recalled.intersection(line.sold.lots):
            line.authorisation, line.because = "approved", "the lot is recalled: refunded whatever the window"
        elif work.request is not None and work.request.authorised_by_channel:
            line.authorisation, line.because = "approved", f"{work.request_connection} had authorised it"
        elif told is not None and getattr(told, "decision", "") == "approve" and line.authorisation != "approved":
            line.authorisation, line.because = "approved", "approved before, and a later fact never worsens a case"
        _make_units(work, line)


def inputs_of(work: Work, line: Line, at: datetime) -> dict[str, object]:
    """What the tables may ask about a line; a missing delivery date is left out, so that the table needs a review."""
    sale, sold, wanted = work.sale, line.sold, line.wanted
    assert sale is not None and sold is not None
    inputs: dict[str, object] = {
        **NO_FLAGS,
        **dict.fromkeys(sold.flags, True),
        "promotion": bool(sold.discounts),
        "gift": sale.gift,
        "kit": bool(sold.kit),
        "informed": True,
        "channel": sale.channel,
        "country": sale.country,
        "regime": sale.regime,
        "case_kind": work.kind,
        "reason": wanted.reason,
        "stated_condition": wanted.stated_condition,
        "grade": "not_graded",
        "category": sold.category,
        "remedy": wanted.remedy,
        "tender": sale.payments[0].tender if sale.payments else "card",
        "serial_result": "ok",
        "lot_status": "ok",
        "currency": sale.currency,
        "amount_minor": sold.paid_minor,
        "quantity": max(wanted.quantity, 1),
        "contract": CONTRACT_BY_CHANNEL.get(sale.channel, "distance"),
    }
    zone = zone_of(work)
    delivered = sale.delivered_at.astimezone(zone).date() if sale.delivered_at is not None else None
    # What counts for the law is the day of the declaration, where there is one (art. 11 of 2011/83/EU).
    declared = (work.withdrawal_at or at).astimezone(zone).date()
    if delivered is not None:
        inputs["days_since_delivery"] = max(0, (declared - delivered).days)
        handed = handed_over(work) or at
        inputs["days_since_handover"] = max(0, (handed.astimezone(zone).date() - delivered).days)
    inputs.update(
        clocks(
            declared,
            delivered + timedelta(days=WITHDRAWAL_DAYS) if delivered else None,
            delivered + timedelta(days=GUARANTEE_DAYS) if delivered else None,
        )
    )
    return inputs


def zone_of(work: Work) -> tzinfo:
    """The customer's offset from UTC, as the channel told it ("+02:00"); a day ends at the customer's midnight."""
    text = work.request.zone if work.request is not None else "UTC"
    if len(text) == 6 and text[0] in "+-" and text[1:3].isdigit() and text[4:].isdigit():
        minutes = int(text[1:3]) * 60 + int(text[4:])
        return timezone(timedelta(minutes=minutes if text[0] == "+" else -minutes))
    return UTC


def handed_over(work: Work) -> datetime | None:
    """When the customer first parted with the goods: the first carrier scan, drop-off or receipt."""
    times = [
        fact.occurred_at
        for fact in work.facts
        if isinstance(fact.body, ItemsReceived)
        or (isinstance(fact.body, ParcelMoved) and fact.body.stage in ("handed_over", "in_transit", "delivered"))
    ]
    return min(times, default=None)


def ask(work: Work, table: str, subject: str, inputs: dict[str, object]) -> Floored | Review:
    """Evaluate a table, keep the law below its answer, and note which row and rule answered for the log."""
    assert work.policies is not None
    hit = evaluate(work.policies.tables[table], inputs)
    answer = hit if isinstance(hit, Review) else apply(hit, inputs)
    if isinstance(answer, Review):
        said, floor = answer.why, ""
    else:
        said = ", ".join(f"{name} {show(value)}" for name, value in answer.outputs.items())
        floor = "; ".join(dict.fromkeys(ground for each in answer.overrides for ground in each.grounds))
    work.hits.append(PolicyHit(table, hit.version, hit.row, subject, said, floor))
    return answer


def _judge(work: Work, line: Line) -> None:
    if line.sold is None or work.sale is None or work.policies is None:
        line.authorisation = "review" if work.sale is not None else "pending"
        line.because = "the sold line is unknown" if work.sale is not None else "the sale is not known yet"
        return
    at = work.requested_at or work.opened_at or work.now
    inputs = inputs_of(work, line, at)
    answer = ask(work, "eligibility", line.key, inputs)
    if isinstance(answer, Review):
        line.authorisation, line.because = "review", answer.why
    else:
        decision = str(answer.outputs["decision"])
        line.authorisation = {"approve": "approved", "decline": "declined"}.get(decision, "review")
        line.because = (
            f"row {answer.hit.row} ({', '.join(answer.hit.because) or 'fallback'}) {explain_floor(answer)}".strip()
        )
    moment = ask(work, "refund_moment", line.key, inputs)
    if not isinstance(moment, Review):
        line.moment = str(moment.outputs["moment"])
        line.credit_moment = str(moment.outputs.get("credit_note_moment", "refund_confirmed"))


def _make_units(work: Work, line: Line) -> None:
    """One unit per piece asked for. Pieces that another case over the sale holds are left to it (edge cases 19, 59)."""
    wanted, sold = line.wanted, line.sold
    each = 1
    if wanted.part_sku and sold is not None:
        each = next((part.quantity for part in sold.kit if part.sku == wanted.part_sku), 1)
    at = line.decided_at or work.now
    taken = {
        (u.line.wanted.line_ref, u.piece)
        for u in work.units.values()
        if u.line is not None and not u.line.wanted.part_sku
    }
    for n in range(min(wanted.quantity, 1000)):
        piece, part = (n // each, n % each) if wanted.part_sku else (_piece(work, line, n, taken), 0)
        claimed = work.claimed_by_siblings.get((line.key, piece), "") if piece >= 0 else ""
        if not wanted.part_sku:
            taken.add((wanted.line_ref, piece))
        unit = Unit(
            f"{line.key}#{n}",
            line,
            wanted.part_sku or (sold.sku if sold else ""),
            piece,
            at,
            part=part,
            expected_serial=wanted.serials[n] if n < len(wanted.serials) else "",
        )
        if sold is not None and piece < 0:
            unit.claimed_elsewhere = next(
                (case for (ref, _), case in work.claimed_by_siblings.items() if ref == wanted.line_ref), "nothing left"
            )
        elif claimed:
            unit.claimed_elsewhere = claimed
        if line.authorisation == "approved":
            unit.move("expected", at)
        work.units[unit.unit_id] = unit


def _piece(work: Work, line: Line, n: int, taken: set[tuple[str, int]]) -> int:
    """Which sold piece the n-th unit is: by its serial, else the first that nobody ever claimed, else one set free; -1 none."""
    sold, ref = line.sold, line.wanted.line_ref
    if sold is None:
        return n
    if n < len(line.wanted.serials) and line.wanted.serials[n] in sold.serials:
        piece = sold.serials.index(line.wanted.serials[n])
        return piece if (ref, piece) not in work.claimed_by_siblings else -1
    for claimed in (work.ever_claimed, work.claimed_by_siblings):
        for piece in range(sold.quantity):
            if (ref, piece) not in taken and (ref, piece) not in claimed:
                return piece
    return -1
