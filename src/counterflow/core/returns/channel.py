"""What customers, channels and warehouses are told: answers, announcements, replacements, milestones, messages.

Every message follows its fact (D9): "refunded" is said when a leg has succeeded, and taken back when it failed later.
"""

from collections import Counter

from counterflow.core.effects import (
    AnnounceReturn,
    AnswerReturn,
    CreateReplacement,
    Effect,
    ExpectedItem,
    NotifyCustomer,
    OpenReturn,
    ReadSale,
    ReturnedItem,
    UnitResult,
    UpdateChannel,
)
from counterflow.core.ids import effect_id, make_id
from counterflow.core.returns.dispose import rma
from counterflow.core.returns.exchange import replacement_lines
from counterflow.core.returns.states import GOODS_HERE, GOODS_TERMINAL, LEG_PAID
from counterflow.core.returns.status import resolved
from counterflow.core.returns.work import Work


def read_sale(work: Work) -> None:
    """Ask the channel for the sale when the case names an order that nobody has told us about."""
    if work.sale is None and work.request is not None and work.request.sale_ref:
        connection = work.request.sale_ref.partition(":")[0]
        work.plan(ReadSale(work.request.sale_ref), work.request.sale_ref, connection, "the sale is not known: fetch it")
    elif work.sale is None:
        ref = next((r for fact in work.facts for r in fact.refs if ":order:" in r), "")
        if ref:
            work.plan(ReadSale(ref), ref, ref.partition(":")[0], "the sale is not known: fetch it")


def answer(work: Work) -> None:
    """Answer the channel once every line is decided; announce to the place that will inspect."""
    request, sale = work.request, work.sale
    if request is None or sale is None or not work.lines:
        return
    answers = {line.authorisation for line in work.lines.values()}
    if answers & {"pending", "review"} or work.cancelled is not None:
        return
    approved = [line for line in work.lines.values() if line.authorisation == "approved"]
    if not request.authorised_by_channel:
        decision = "approve" if approved else "decline"
        reason = "; ".join(line.because for line in work.lines.values())
        if work.to_answer:
            work.plan(
                AnswerReturn(
                    request.return_ref,
                    decision,
                    reason[:400],
                    rma(work),
                    tuple(line.key for line in approved),
                    tuple(line.key for line in work.lines.values() if line.authorisation == "declined"),
                ),
                f"{request.return_ref}/{decision}/{','.join(sorted(line.key for line in approved))}",
                work.request_connection,
                f"{decision} the return: {reason[:200]}",
            )
        pieces = [u for u in work.units.values() if u.line is not None]
        if not pieces or not all(u.claimed_elsewhere for u in pieces):  # else another case has told the customer
            notify(work, f"return_{decision}d", decision)
    place = work.setting.routes.place(work.setting.routes.inspection_place)
    coming = Counter(
        (u.line.key, u.sku) for u in work.units.values() if u.line is not None and u.goods != "not_expected"
    )
    if approved and coming and place is not None and place.connection:
        items = tuple(
            ExpectedItem(
                line.wanted.line_ref, sku, count, line.wanted.serials, line.sold.lots if line.sold is not None else ()
            )
            for line in approved
            for (key, sku), count in coming.items()
            if key == line.key
        )
        work.plan(
            AnnounceReturn(rma(work), sale.order_number, items),
            make_id("an", *(f"{i.line_ref}/{i.sku}/{i.quantity}/{i.serials}" for i in items)),
            place.connection,
            f"announce {sum(item.quantity for item in items)} piece(s) to {place.name}",
        )


def open_there(work: Work) -> None:
    """Open the return in the shop that sold the goods, once, where the policy wants that of one asked for elsewhere.

    What comes back for it later is told to the shop without a line of its return.
    """
    sale = work.sale
    if (
        sale is None
        or work.asked_in_channel
        or work.cancelled is not None
        or sale.connection == work.setting.routes.erp
    ):
        return
    if any(line.authorisation in ("pending", "review") for line in work.lines.values()):
        return
    lines = {key: line for key, line in work.lines.items() if line.authorisation == "approved" and line.open_in_channel}
    coming = Counter(
        (u.line.key, u.sku)
        for u in work.units.values()
        if u.line is not None and u.line.key in lines and u.goods != "not_expected" and not u.claimed_elsewhere
    )
    if coming:
        work.plan(
            OpenReturn(
                sale.sale_ref,
                tuple(
                    ReturnedItem(lines[key].wanted.line_ref, sku, count, lines[key].wanted.reason)
                    for (key, sku), count in sorted(coming.items())
                ),
            ),
            "",
            sale.connection,
            f"open the return in {sale.connection}, where it was sold",
        )


def replace(work: Work) -> None:
    """Order the replacement once it is covered: its goods are payable and a difference, if any, is paid."""
    sale = work.sale
    if sale is None or work.request is None or work.exchange_state != "covered":
        return
    lines = replacement_lines(work)
    if lines:
        work.plan(
            CreateReplacement(
                sale.sale_ref, work.channel_return, lines, sale.currency, work.offset_minor, work.customer_pays_minor
            ),
            "replacement",
            sale.connection,
            f"order the replacement, linked to {sale.order_number}",
        )


def milestones(work: Work) -> None:
    """Propagate what happened to the channel and the customer, each milestone once."""
    sale = work.sale
    if sale is None or (work.request is None and not work.lines):
        return
    _reopen(work)
    here = [u for u in work.units.values() if u.line is not None and u.goods in GOODS_HERE]
    if here:
        _tell(work, "received", len(here), tuple(_results(work, "")))
        notify(work, "goods_received", str(len(here)))
    done = [u for u in here if u.goods == "dispositioned"]
    if done and len(done) == len(here):
        _tell(work, "dispositioned", len(done), tuple(_results(work, "dispositioned")))
    for leg in work.legs.values():
        if leg.state in LEG_PAID and leg.origin == "ours":
            _tell(work, "refunded", leg.leg_id, (), leg.amount_minor)
            notify(work, "refund_sent", leg.leg_id, leg.amount_minor)
        elif leg.state in ("failed_after_success", "reversed") and _was_told(work, leg.leg_id):
            notify(work, "refund_corrected", leg.leg_id, leg.amount_minor)
    _end(work)


def _end(work: Work) -> None:
    """The channel's own return ends with ours: cancelled by somebody else than it, or all told of that there is."""
    asked = work.request is not None and work.request.return_ref
    if not (asked or work.channel_return) or not work.units:
        return
    if work.cancelled is not None and all(u.goods in ("cancelled", "not_expected") for u in work.units.values()):
        if work.cancelled[0] != "channel":
            _tell(work, "cancelled", "", ())
    elif _over(work):
        ends = _ends(work)
        if not ends or _said(ends[-1]) == "reopened":
            told = [e.effect_id for e in work.all_effects() if isinstance(e.command, UpdateChannel)]
            _tell(work, "closed", len(ends) or "", (), after=tuple(told))


def _reopen(work: Work) -> None:
    """A return that ended in the channel goes on there when it does here: one more piece, a refund that came back."""
    ends = _ends(work)
    if ends and _said(ends[-1]) == "closed" and not _over(work):
        _tell(work, "reopened", len(ends), (), after=(ends[-1].effect_id,))


def _over(work: Work) -> bool:
    ours = [u for u in work.units.values() if u.line is not None]
    return resolved(work) and bool(ours) and all(u.goods in GOODS_TERMINAL for u in ours)


def _ends(work: Work) -> list[Effect]:
    """What the channel was told of its return's end, in order."""
    return [e for e in work.all_effects() if _said(e) in ("closed", "reopened")]


def _said(effect: Effect) -> str:
    return effect.command.milestone if isinstance(effect.command, UpdateChannel) else ""


def _was_told(work: Work, leg_id: str) -> bool:
    """Whether the customer has been told that this leg was paid; only then is a correction owed (D9)."""
    return effect_id(work.case_id, "NotifyCustomer", f"refund_sent/{leg_id}") in work.issued_ids


def _results(work: Work, goods: str) -> list[UnitResult]:
    counts: Counter[tuple[str, str, str]] = Counter()
    for unit in work.units.values():
        if unit.line is not None and unit.goods in GOODS_HERE and (not goods or unit.goods == goods):
            counts[unit.line.wanted.line_ref, unit.sku, unit.disposition if goods else ""] += 1
    return [UnitResult(ref, sku, n, disposition) for (ref, sku, disposition), n in sorted(counts.items())]


def _tell(
    work: Work,
    milestone: str,
    subject: object,
    results: tuple[UnitResult, ...],
    amount_minor: int = 0,
    after: tuple[str, ...] = (),
) -> None:
    assert work.sale is not None
    if work.sale.connection == work.setting.routes.erp:
        return  # sold at a till of the ERP's own: what stands there is what it knows
    opening = work.opening
    if opening is not None and work.state_of(opening.effect_id) not in ("done", "discarded", "rejected"):
        return  # told when it is known of which return
    reopened = (e.effect_id for e in _ends(work) if _said(e) == "reopened")
    work.plan(
        UpdateChannel(
            work.sale.sale_ref,
            work.channel_return,
            milestone,
            results,
            amount_minor,
            work.sale.currency,
        ),
        f"{milestone}/{subject}",
        work.sale.connection,
        f"tell {work.sale.connection}: {milestone}",
        after=tuple(dict.fromkeys((*after, *reopened))),
    )


def notify(work: Work, template: str, subject: str, amount_minor: int = 0) -> None:
    """One message per fact, if the retailer has a connection that sends messages."""
    sale, connection = work.sale, work.setting.routes.notify
    if sale is not None and connection and sale.customer_ref and not sale.gift:  # the buyer is not told of a gift (27)
        work.plan(
            NotifyCustomer(template, sale.customer_ref, sale.order_number, amount_minor, sale.currency),
            f"{template}/{subject}",
            connection,
            f"tell the customer: {template.replace('_', ' ')}",
        )
