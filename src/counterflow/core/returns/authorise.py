"""Which lines may come back: the lines of the request, judged by the eligibility table, a person, or the channel."""

from collections.abc import Mapping
from datetime import UTC, date, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import cast

from counterflow.core.effects import AnnounceReturn, AnswerReturn
from counterflow.core.facts import LotRecalled, MarketplaceRefunded, RequestedLine
from counterflow.core.inventory import serial_word
from counterflow.core.policy import CONTRACT_BY_CHANNEL, NO_FLAGS, PolicySet, Review, evaluate, never_worse
from counterflow.core.policy.evaluate import show
from counterflow.core.policy.floor import Floored, apply, clocks, explain_floor
from counterflow.core.policy.periods import guarantee_end, withdrawal_deadline
from counterflow.core.returns.case import PolicyHit
from counterflow.core.returns.work import Line, Work
from counterflow.core.sale import Sale, SoldLine

_MEMO = 20_000  # policy answers kept


def lines(work: Work) -> None:
    """Make the return lines: what was asked for, else what arrived (a blind return), with their sold lines."""
    if work.request is not None:
        for wanted in work.request.lines:
            line = Line(wanted, work.sale.line(wanted.line_ref) if work.sale else None)
            work.lines[line.key] = line
    elif work.sale is not None:
        for wanted in _implied(work, work.sale.lines):
            line = Line(wanted, work.sale.line(wanted.line_ref))
            work.lines[line.key] = line


def _implied(work: Work, sold: tuple[SoldLine, ...]) -> list[RequestedLine]:
    """Without a request: the sold lines that the received goods, a marketplace's refund or a recall point to."""
    wanted: dict[str, int] = {}
    for _, receipt in work.receipts.values():
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
    """Answer every line. An answer that has gone out is kept: nothing later worsens the case."""
    told = [e.command for e in work.effects if isinstance(e.command, AnswerReturn)]
    promised = {key for answer in told for key in answer.approved}
    # Where nobody waits for an answer (asked for at our console), the announced goods are what went out.
    announced = {
        (item.line_ref, sku)
        for effect in work.effects
        if isinstance(effect.command, AnnounceReturn)
        for item in effect.command.items
        for sku in ("", item.sku)
    }
    if work.request is not None and not work.lines and work.cancelled is None:
        why = "the request names nothing that was sold: ask the customer what is to come back, and open a return of it"
        work.trouble("authorisation_review", work.request.return_ref, why)
    recalled = {lot for lot, refunded in work.recalled.items() if refunded}
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
        elif (
            line.key in promised or (line.wanted.line_ref, line.wanted.part_sku) in announced
        ) and line.authorisation != "approved":
            line.authorisation, line.because = "approved", "approved before, and a later fact never worsens a case"


def _judge(work: Work, line: Line) -> None:
    if line.sold is None or work.sale is None or work.policies is None:
        line.authorisation = "review" if work.sale is not None else "pending"
        line.because = "the sold line is unknown" if work.sale is not None else "the sale is not known yet"
        return
    inputs = inputs_of(work, line)
    answer = ask(work, "eligibility", line.key, inputs)
    if isinstance(answer, Review):
        line.authorisation, line.because = "review", answer.why
    else:
        decision = str(answer.outputs["decision"])
        line.authorisation = {"approve": "approved", "decline": "declined"}.get(decision, "review")
        line.because = f"{row_of(answer)} {explain_floor(answer)}".strip()
        line.open_in_channel = bool(answer.outputs.get("open_in_channel", False))
    moment = ask(work, "refund_moment", line.key, inputs)
    if not isinstance(moment, Review):
        line.moment = str(moment.outputs["moment"])
        line.credit_moment = str(moment.outputs.get("credit_note_moment", "refund_confirmed"))


def inputs_of(work: Work, line: Line, **more: object) -> dict[str, object]:
    """What the tables may ask about a line, with `more` over it; a date that is not known is left out, so that a row
    that depends on it needs a review.
    """
    if not line.inputs:
        assert work.sale is not None and line.sold is not None
        line.inputs = _inputs(work, line, work.sale, line.sold)
    return {**line.inputs, **more}


def _inputs(work: Work, line: Line, sale: Sale, sold: SoldLine) -> dict[str, object]:
    wanted = line.wanted
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
        "serial_result": _stated_serials(wanted, sold),
        "lot_status": "ok",
        "currency": sale.currency,
        "amount_minor": sold.paid_minor,
        "quantity": max(wanted.quantity, 1),
        "contract": CONTRACT_BY_CHANNEL.get(sale.channel, "distance"),
    }
    zone, at = zone_of(work), work.requested_at or work.opened_at or work.now
    # The window of an exchange of an exchange is that of the first sale (edge case 67).
    delivered_at = sale.root_delivered_at or sale.delivered_at
    delivered = delivered_at.astimezone(zone).date() if delivered_at is not None else None
    # What counts for the law is the day of the declaration, where there is one (art. 11 of 2011/83/EU).
    declared = (work.withdrawal_at or at).astimezone(zone).date()
    if delivered is not None:
        inputs["days_since_delivery"] = max(0, (declared - delivered).days)
        handed = work.handed_over_at or at
        inputs["days_since_handover"] = max(0, (handed.astimezone(zone).date() - delivered).days)
    inputs.update(clocks(declared, *(_deadlines(delivered) if delivered is not None else (None, None))))
    return inputs


@lru_cache(maxsize=1024)
def _deadlines(delivered_on: date) -> tuple[date, date]:
    """(last day to withdraw, last day of the guarantee) for goods that came on that day."""
    return withdrawal_deadline(delivered_on, delivered_on), guarantee_end(delivered_on)


def _stated_serials(wanted: RequestedLine, sold: SoldLine) -> str:
    """The worst that the serials named in the request say against those sold; ok where nothing can be compared."""
    if not sold.serials:
        return "ok"
    words = {serial_word(serial, sold.serials) for serial in wanted.serials if serial}
    return next((word for word in ("mismatch", "unknown") if word in words), "ok")


def zone_of(work: Work) -> tzinfo:
    """The customer's offset from UTC, as the channel told it ("+02:00"); a day ends at the customer's midnight."""
    text = work.request.zone if work.request is not None else "UTC"
    if len(text) == 6 and text[0] in "+-" and text[1:3].isdigit() and text[4:].isdigit():
        minutes = int(text[1:3]) * 60 + int(text[4:])
        return timezone(timedelta(minutes=minutes if text[0] == "+" else -minutes))
    return UTC


def ask(work: Work, table: str, subject: str, inputs: Mapping[str, object]) -> Floored | Review:
    """Evaluate a table, keep what was promised at the sale and the law below its answer, and note what answered.

    The answer is a pure function of the policies and the inputs, so it is kept from one decision to the next.
    """
    policies, promised = work.policies, work.promised
    assert policies is not None
    key = (table, policies.version, promised.version if promised else "", *inputs.items())
    memo = work.setting.answers
    if (kept := memo.get(key)) is None:
        if len(memo) >= _MEMO:
            memo.clear()
        kept = memo[key] = _noted(_answer(table, policies, promised, inputs))
    answer, noted = cast(tuple[Floored | Review, tuple[str, str, str, str]], kept)
    version, row, said, floor = noted
    work.hits.append(PolicyHit(table, version, row, subject, said, floor))
    return answer


def _noted(answer: Floored | Review) -> tuple[Floored | Review, tuple[str, str, str, str]]:
    if isinstance(answer, Review):
        return answer, (answer.version, answer.row, answer.why, "")
    said = ", ".join(f"{name} {show(value)}" for name, value in answer.outputs.items())
    floor = "; ".join(dict.fromkeys(ground for each in answer.overrides for ground in each.grounds))
    return answer, (answer.hit.version, answer.hit.row, said, floor)


def _answer(
    table: str, policies: PolicySet, promised: PolicySet | None, inputs: Mapping[str, object]
) -> Floored | Review:
    hit = evaluate(policies.tables[table], inputs)
    if isinstance(hit, Review):
        return hit
    if promised is not None:
        frozen = evaluate(promised.tables[table], inputs)
        if not isinstance(frozen, Review):
            hit = never_worse(hit, frozen)
    return apply(hit, inputs)


def row_of(answer: Floored) -> str:
    return f"row {answer.hit.row} ({', '.join(answer.hit.because) or 'fallback'})"
