"""What must hold across the whole system: I1-I10 and I12-I14, over plain rows that anybody can hand in.

I11, that the log gives the same again, is `engine/replay.py`.

Each function compares two sums or counts and gives a Finding. Tests, the simulation and `counterflow check invariants`
share them: the rows come from the read models of cases on one side, and from the outside systems, the log or the inbox
on the other.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from counterflow.core.effects import Effect, NotifyCustomer, PayLeg
from counterflow.core.returns.case import LegView, PostingView, View
from counterflow.core.returns.invariants import Finding
from counterflow.core.returns.states import BOOKS_POSTED, GOODS_HERE, LEG_DEAD, LEG_OPEN, LEG_PAID

Sums = Mapping[str, int]  # currency -> minor units


def paid(views: Iterable[View]) -> Counter[str]:
    """Currency -> money that has left by our own legs and is confirmed."""
    sums: Counter[str] = Counter()
    for view in views:
        sums[view.currency] += sum(leg.amount_minor for leg in view.legs if leg.state in LEG_PAID)
    return sums


def intents(views: Sequence[View], effects: Iterable[Effect]) -> Finding:
    """I1, inside: what we told providers to pay is confirmed, under way or dead in its case; nothing is forgotten."""
    issued = Counter({e.command.leg_id: e.command.amount_minor for e in effects if isinstance(e.command, PayLeg)})
    known = LEG_PAID | LEG_OPEN | LEG_DEAD
    told = Counter[str]()
    for leg in (leg for view in views for leg in view.legs if leg.effect_id and leg.state in known):
        told[leg.leg_id] += leg.amount_minor
    what = "refunds issued = legs confirmed + under way + dead, leg by leg"
    return Finding("I1-intents", issued == told, issued.total(), told.total(), what)


def money(views: Sequence[View], refunded: Sums) -> list[Finding]:
    """I1 against the outside: refunds confirmed in the cases = refunds that the providers have really made."""
    ours = paid(views)
    return [
        _equal(
            f"I1-money-{currency}", ours[currency], refunded.get(currency, 0), "refunds confirmed = at the providers"
        )
        for currency in sorted({*ours, *refunded} - {""})
    ]


def credit(views: Sequence[View], posted: Sums) -> list[Finding]:
    """I1 against the ERP: credit notes posted for the cases = credit notes that stand in the ledger."""
    ours: Counter[str] = Counter()
    for view in views:
        ours[view.currency] += sum(p.amount_minor for p in _posted(view, "credit_note"))
    return [
        _equal(
            f"I1-credit-{currency}", ours[currency], posted.get(currency, 0), "credit notes of cases = in the ledger"
        )
        for currency in sorted({*ours, *posted} - {""})
    ]


def booked(views: Sequence[View]) -> Finding:
    """I1 within: money confirmed = refund payments booked + the remainder that is listed as not booked yet."""
    left = right = 0
    for view in views:
        booked_legs = {p.subject for p in _posted(view, "refund_payment")}
        for leg in view.legs:
            if leg.state in LEG_PAID:
                left += leg.amount_minor
                right += leg.amount_minor if leg.leg_id in booked_legs or _listed(view, leg) else 0
    return _equal("I1-booked", left, right, "money confirmed = refund payments booked + remainder listed")


def payments(due: Mapping[str, tuple[int, int]], booked: Iterable[tuple[str, int]]) -> Finding:
    """I1 against the ERP, refund by refund: what stands at the provider is booked, once, and nothing else is.

    `due`: the provider's reference -> (least, most) that may be booked of it; `booked`: (reference, amount out of us).
    """
    return _each("I1-payments", due, booked, "refunds that stand at the provider = refund payments in the ledger")


def settlements(due: Mapping[str, tuple[int, int]], booked: Iterable[tuple[str, int]]) -> Finding:
    """I1 of settlements, payout by payout: what the provider paid out is booked, once, with its fees; nothing else is.

    `due`: the payout -> (least, most) of its entry (the sum of its debits); `booked`: (payout, sum of an entry of it).
    """
    return _each("I1-settlements", due, booked, "payouts of the provider = their entries in the ledger")


def single_refunds(effects: Iterable[Effect], refunds: Iterable[tuple[str, str]]) -> Finding:
    """I2: at most one refund at the provider per key. `refunds`: (provider's reference, our key), ours only."""
    keys = {e.effect_id for e in effects if isinstance(e.command, PayLeg)}
    made = [key for _, key in sorted(set(refunds)) if key]
    holds = len(made) == len(set(made)) and set(made) <= keys
    return Finding("I2", holds, len(made), len(set(made)), "refunds made with our keys = different keys, each issued")


def captured(payments: Iterable[tuple[str, int, int]]) -> Finding:
    """I2: (payment, captured, refunded) never above what was captured."""
    rows = list(payments)
    holds = all(0 <= refunded <= most for _, most, refunded in rows)
    return Finding("I2-captured", holds, sum(r for _, _, r in rows), sum(c for _, c, _ in rows), "refunded <= captured")


def accepted(received: int, done: int, waiting: int, parked: int) -> Finding:
    """I3: every accepted message is done, open, or parked with a reason."""
    return _equal("I3", received, done + waiting + parked, "accepted = done + open + parked")


def serials(views: Iterable[View]) -> Finding:
    """I4: no serial came back twice from one sale; what was put back on sale may be sold, and come back, again."""
    here = [
        (view.root_sale_ref or view.sale_ref, u.serial)
        for view in views
        for u in view.units
        if u.serial and u.goods in GOODS_HERE and u.line_ref
    ]
    return _equal("I4-serials", len(here), len(set(here)), "serials that are back = different serials")


def stock(units_in: Mapping[str, int], units_out: Mapping[str, int]) -> list[Finding]:
    """I4: sku -> pieces that went in = pieces that are there, went out or were scrapped."""
    return [
        _equal(f"I4-{sku}", units_in.get(sku, 0), units_out.get(sku, 0), "units in = on hand + out + scrapped")
        for sku in sorted({*units_in, *units_out})
    ]


def valuation(movements: Iterable[tuple[str, int, int, int]]) -> Finding:
    """I5: (sku, pieces, unit cost, value posted): the ledger moved by quantity times cost."""
    rows = list(movements)
    holds = all(pieces * cost == value for _, pieces, cost, value in rows)
    left, right = sum(n * cost for _, n, cost, _ in rows), sum(value for *_, value in rows)
    return Finding("I5", holds, left, right, "quantity x cost = value posted")


def log_rows(versions: Mapping[str, int], rows: Mapping[str, int]) -> Finding:
    """I6: a case has exactly one log row per fact that it took."""
    holds = dict(versions) == dict(rows)
    return Finding("I6", holds, sum(versions.values()), sum(rows.values()), "facts taken = rows in the log, by case")


def notices(effects: Iterable[Effect]) -> Finding:
    """I7: one message per fact: no two of the same case, template, moment and amount under different keys."""
    sent = [e for e in effects if isinstance(e.command, NotifyCustomer)]
    return _equal("I7", len(sent), len({e.effect_id for e in sent}), "messages to customers = different causes")


def not_ahead(views: Sequence[View]) -> Finding:
    """I8: the status claims nothing that money and books have not: closed cases have every leg proven and booked."""
    closed = [view for view in views if view.status == "closed"]
    proven = [view for view in closed if all(_proven(view, leg) for leg in view.legs if leg.state not in LEG_DEAD)]
    return _equal("I8-closed", len(closed), len(proven), "closed cases = those with every refund settled and booked")


def versions(histories: Mapping[str, Sequence[int]]) -> Finding:
    """I9: the versions of every case go up by one, none is lost and none is written twice."""
    good = [key for key, seen in histories.items() if list(seen) == list(range(1, len(seen) + 1))]
    return _equal("I9", len(histories), len(good), "cases = cases whose versions are 1, 2, 3 ... without a gap")


def progress(waiting: Mapping[str, bool]) -> Finding:
    """I10: {open case: something moves it on, or a named person has it}: a timer, an effect, a fact, an exception."""
    moving = [case_id for case_id, moves in waiting.items() if moves]
    what = "open cases = those with work on its way, a timer, or a person who has to act"
    return _equal("I10", len(waiting), len(moving), what)


def unsaid(texts: Iterable[str], tells: Callable[[str], bool]) -> Finding:
    """I12: nothing that we write of our own accord (log, messages, exceptions) tells a secret or a person's data."""
    said = list(texts)
    silent = [text for text in said if not tells(text)]
    return _equal("I12", len(said), len(silent), "texts written = texts without secrets or personal data")


def exchanges(views: Iterable[View]) -> Finding:
    """I13: replacement = what the returned goods paid of it + what the customer paid."""
    left = right = 0
    for view in views:
        if view.exchange is not None and view.exchange.state != "withdrawn":
            left += view.exchange.replacement_minor
            right += view.exchange.offset_minor + view.exchange.customer_pays_minor
    return _equal("I13", left, right, "price of replacements = offset + paid by customers")


def components(views: Iterable[View]) -> Finding:
    """I14: components sum to the entitlement, to the minor unit, in every case."""
    sums = [(sum(c.amount_minor for c in v.components), v.entitled_minor + v.unpaid_minor) for v in views]
    left, right = sum(a for a, _ in sums), sum(b for _, b in sums)
    return Finding("I14", all(a == b for a, b in sums), left, right, "components = entitlement, case by case")


def within(views: Sequence[View], effects: Sequence[Effect]) -> list[Finding]:
    """Those that need nothing from outside."""
    return [
        intents(views, effects),
        booked(views),
        serials(views),
        notices(effects),
        not_ahead(views),
        exchanges(views),
        components(views),
    ]


def _posted(view: View, kind: str) -> list[PostingView]:
    return [p for p in view.postings if p.kind == kind and p.state in BOOKS_POSTED]


def _listed(view: View, leg: LegView) -> bool:
    """A leg that is not booked yet is listed: as a posting on its way, an open exception, or work waited for."""
    on_its_way = any(p.subject in (leg.leg_id, leg.intent_id) for p in view.postings)
    return on_its_way or bool(view.exceptions) or bool(view.waiting) or view.status != "closed"


def _proven(view: View, leg: LegView) -> bool:
    """Settled with the provider, on the bank where it was paid out, and in the books."""
    banked = leg.state == "settled" and (not leg.payout_ref or bool(leg.bank_ref))
    return banked and any(p.subject == leg.leg_id and p.state == "settled" for p in view.postings)


def _each(name: str, due: Mapping[str, tuple[int, int]], booked: Iterable[tuple[str, int]], what: str) -> Finding:
    sums: Counter[str] = Counter()
    for ref, amount in booked:
        sums[ref] += amount
    wrong = [
        f"{ref or 'one without a reference'}: {sums[ref]} booked, {least} to {most} to be booked"
        for ref in sorted({*due, *sums})
        for least, most in [due.get(ref, (0, 0))]
        if not least <= sums[ref] <= most
    ]
    total = sum(most for _, most in due.values())
    return Finding(name, not wrong, total, sums.total(), "; ".join(wrong) or f"{what}, each by itself")


def _equal(name: str, left: int, right: int, what: str) -> Finding:
    return Finding(name, left == right, left, right, what)
