"""The exchange of a case: what the replacement costs, what the entitlement pays of it, and how far it is (63-68)."""

from datetime import timedelta

from counterflow.core.effects import CreateReplacement, ReplacementLine
from counterflow.core.refunds import ExchangeSettlement, settle_exchange
from counterflow.core.returns.states import LEG_DEAD
from counterflow.core.returns.work import Line, Work

REMEDIES = ("exchange", "replacement")
UNPAID_AFTER = timedelta(days=14)  # a difference that nobody pays by then: the entitlement is refunded (edge case 65)
_FALLEN = ("out_of_stock", "cancelled")
_STATES = {"created": "ordered", "shipped": "shipped", "delivered": "delivered", "returned": "delivered"}


def exchange(work: Work) -> None:
    """Take the price of the replacements out of the entitlement; what is left is paid, what is missing is asked for."""
    wanted = [
        line for line in work.lines.values() if line.wanted.remedy in REMEDIES and line.authorisation == "approved"
    ]
    if not wanted:
        return
    _answered(work)
    ref = next(reversed(work.replacement), "")
    state = work.replacement[ref][0] if ref else ""
    price = sum(price_of(line) * payable_pieces(work, line) for line in wanted)
    paid_in = sum(payment.captured_minor for payment in work.paid_in.values())
    owed = work.entitled_minor
    open_still = not ref and not _ordered(work)
    if open_still:
        # What has been refunded cannot pay for a replacement as well (a difference that is paid too late).
        live = sum(leg.amount_minor for leg in work.legs.values() if leg.state not in LEG_DEAD)
        owed -= max(0, live - max(0, owed - price))
    settled = _settle(work, max(0, owed), price, state)
    fallen = settled.outcome == "refund"
    if open_still and not fallen and settled.customer_pays_minor > paid_in and _overdue(work, wanted):
        settled, fallen = settle_exchange(work.entitled_minor, price, replacement="unpaid"), True
    work.offset_minor, work.customer_pays_minor = settled.offset_minor, settled.customer_pays_minor
    if fallen:
        work.exchange_state = "withdrawn"
        work.because.append(settled.because)
    elif state:
        work.exchange_state = _STATES.get(state, "ordered")
    elif not price:
        work.exchange_state = "quoted"
    else:
        work.exchange_state = "covered" if paid_in >= settled.customer_pays_minor else "awaiting_payment"
    _give_back(work, paid_in, price)


def _settle(work: Work, owed: int, price: int, state: str) -> ExchangeSettlement:
    fallen = state if state in _FALLEN else ""
    if not fallen and _given_up(work):
        fallen = "cancelled"
    return settle_exchange(owed, price, replacement=fallen or "available")


def _give_back(work: Work, paid_in: int, price: int) -> None:
    """What the customer paid beyond the difference is owed again: too much, fallen through, or a guarantee (66)."""
    started = work.exchange_state in ("shipped", "delivered", "withdrawn") and (
        price or work.exchange_state == "withdrawn"
    )
    if started and paid_in > work.customer_pays_minor:
        work.owe("exchange_payment", paid_in - work.customer_pays_minor, "paid for the exchange, and not needed for it")


def _answered(work: Work) -> None:
    """The channel's answer to our order stands for its own message, until that comes."""
    if not work.replacement:
        for effect in work.effects:
            report = work.done(effect.effect_id) if isinstance(effect.command, CreateReplacement) else None
            if report is not None and report[0].ref:
                work.replacement[report[0].ref] = ("created", report[1], 0)


def _ordered(work: Work) -> bool:
    return any(isinstance(effect.command, CreateReplacement) for effect in work.effects)


def _given_up(work: Work) -> bool:
    """A person decided that the replacement will not be made, after the channel had refused it."""
    orders = (e.effect_id for e in work.effects if isinstance(e.command, CreateReplacement))
    return any(work.resolution("replacement_failed", effect_id) == "refund" for effect_id in orders)


def _overdue(work: Work, wanted: list[Line]) -> bool:
    """Whether the difference has waited too long; wants the timer that looks again."""
    since = max((u.since for u in work.units.values() if u.payable and u.line in wanted), default=work.now)
    if work.now >= since + UNPAID_AFTER:
        return True
    work.timer("exchange_unpaid", since + UNPAID_AFTER)
    return False


def payable_pieces(work: Work, line: Line) -> int:
    """Pieces of a line whose moment has come; a kit counts when all its parts do."""
    units = [u for u in work.units.values() if u.line is line]
    pieces = {u.piece for u in units if u.payable}
    return sum(all(u.payable for u in units if u.piece == piece) for piece in pieces)


def price_of(line: Line) -> int:
    """Minor units for one piece. The same product costs what it cost at the sale, another one today's price (64)."""
    sold, wanted = line.sold, line.wanted
    assert sold is not None
    same = wanted.replacement_sku in ("", sold.sku) or not wanted.replacement_unit_minor
    return line.unit_minor if same else wanted.replacement_unit_minor


def replacement_lines(work: Work) -> tuple[ReplacementLine, ...]:
    """What to order: a piece for each that has come back as it should."""
    return tuple(
        ReplacementLine(line.wanted.replacement_sku or line.sold.sku, pieces, price_of(line), line.wanted.line_ref)
        for line in work.lines.values()
        if line.sold is not None and line.wanted.remedy in REMEDIES and line.authorisation == "approved"
        if (pieces := payable_pieces(work, line))
    )
