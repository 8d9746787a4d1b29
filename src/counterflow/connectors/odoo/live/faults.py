"""Faults on the wire: whatever is lost, late, doubled or garbled, in the end it is done exactly once."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime

from counterflow.connectors.odoo.live.point import POINTS, Failed, Point, same, total
from counterflow.connectors.odoo.live.proof import Proof
from counterflow.connectors.odoo.live.selling import Sale
from counterflow.connectors.odoo.live.wire import Fault
from counterflow.core.effects import (
    Effect,
    PostReplacement,
    PostSettlement,
    ReplacementLine,
    ReverseRefundPayment,
    SettlementEntry,
)

Prepared = tuple[Effect, Mapping[str, int]]  # what to send, and what it has to leave in the end
OUT, BACK = "customers", "returns"
CALLS_MOST = 12

# fault -> (at every writing call of the verb, or only at its first; what is said of it)
_FAULTS = {
    "lost_reply": (True, "the answer is lost"),
    "crash": (True, "our process ends"),
    "late_commit": (True, "we hang up and Odoo commits later"),
    "lost_request": (False, "the request is lost"),
    "error_before": (False, "a proxy says 502"),
    "error_after": (False, "a 500 comes back although it was done"),
    "garbage_after": (False, "the answer is garbage"),
    "rate_limited": (False, "a proxy says 429"),
    "unauthorized": (False, "the key is refused once"),
    "down": (False, "a proxy says 503"),
}


async def _receipt(at: Proof) -> Prepared:
    sale = await at.sale(("MUG", 2), invoice=False)
    return at.receive(sale, at.item("MUG", 2)), at.goods("MUG", 2, OUT, BACK)


async def _restock(at: Proof) -> Prepared:
    sale = await _here(at)
    return at.move(sale, at.item("MUG")), at.goods("MUG", 1, BACK, "sellable")


async def _write_off(at: Proof) -> Prepared:
    sale = await _here(at)
    effect = at.move(sale, at.item("MUG"), disposition="scrap", operation="scrap_entry", to="scrap")
    return effect, at.goods("MUG", 1, BACK, "scrap")


async def _refurbish(at: Proof) -> Prepared:
    sale = await _here(at)
    effect = at.move(sale, at.item("MUG"), disposition="refurbish", operation="repair_order", to="refurbishment")
    return effect, total(at.goods("MUG", 1, BACK, "refurbish"), {"open repair.order": 1})


async def _here(at: Proof) -> Sale:
    sale = await at.sale(("MUG", 1), invoice=False)
    await at.done(at.receive(sale, at.item("MUG")))
    return sale


async def _credit_note(at: Proof) -> Prepared:
    sale = await at.sale(("MUG", 1))
    await at.done(at.receive(sale, at.item("MUG")))
    tax = at.line("MUG", 1, 11_90, 1_91)  # a cent beside Odoo's: one more call
    return at.credit(sale, tax), total(at.note(11_90, 1_91), at.cost_back(4_00))


async def _payment(at: Proof) -> Prepared:
    sale = await at.sale(("MUG", 1))
    posted = await at.done(at.credit(sale, at.line("MUG", 1, 11_90)))
    return at.refund(sale, posted.ref, 11_90), at.payment(11_90)


async def _reversal(at: Proof) -> Prepared:
    sale = await at.sale(("MUG", 1))
    posted = await at.done(at.credit(sale, at.line("MUG", 1, 11_90)))
    paid = await at.done(at.refund(sale, posted.ref, 11_90))
    now = datetime.now(UTC)
    command = ReverseRefundPayment("rl_1", paid.ref, 11_90, at.company.currency, "account closed", now)
    return at.effect(command), at.payment(-11_90)


async def _replacement(at: Proof) -> Prepared:
    sale = await at.sale(("MUG", 1), deliver=False, invoice=False)
    line = ReplacementLine(at.company.sku("TEE"), 1, 23_80, "l1")
    ref, now = f"shop:order:x{sale.number}", datetime.now(UTC)
    command = PostReplacement(sale.ref, sale.number, ref, sale.rma, at.company.currency, (line,), now)
    return at.effect(command), {"open stock.picking": 1}


async def _settlement(at: Proof) -> Prepared:
    sale = await at.sale(("MUG", 1))
    entries = (SettlementEntry("charge", f"psp:payment:{sale.charge}", 11_90), SettlementEntry("fee", "fee_1", -50))
    payout, day = f"psp:payout:po_{sale.number}", datetime.now(UTC).date().isoformat()
    command = PostSettlement(payout, "psp", "bank_1", at.company.currency, 11_40, entries, day)
    return at.effect(command), {"account bank": 11_40, "account psp_fees": 50, "account clearing": -11_90}


_VERBS: dict[str, Callable[[Proof], Awaitable[Prepared]]] = {
    "a receipt": _receipt,
    "a restock": _restock,
    "a write-off": _write_off,
    "a refurbishment": _refurbish,
    "a credit note": _credit_note,
    "a refund payment": _payment,
    "a reversal": _reversal,
    "a replacement": _replacement,
    "a payout": _settlement,
}


def _through(what: str, fault: str) -> Callable[[Proof], Awaitable[str | None]]:
    every, said = _FAULTS[fault]

    async def meet(at: Proof) -> str:
        met = 0
        for number in range(1, (CALLS_MOST if every else 1) + 1):
            effect, wanted = await _VERBS[what](at)
            hits = at.wire.hit
            at.wire.fault = Fault(fault, number)
            async with at.leaves(wanted):
                await at.carried_out(effect)
                await at.wire.settled()
            at.wire.fault = None
            if at.wire.hit == hits:
                break  # it has fewer writing calls than that
            met += 1
        if not met:
            raise Failed(f"{what} made no writing call")
        return f"{met} injection{'s' * (met > 1)}"

    where = "after each call" if every else "at its first call"
    meet.__doc__ = f"{what.capitalize()}: {said}, {where}"
    return meet


def _at_once(what: str) -> Callable[[Proof], Awaitable[str | None]]:
    async def twice(at: Proof) -> str:
        effect, wanted = await _VERBS[what](at)
        async with at.leaves(wanted):
            first, second = await asyncio.gather(at.carried_out(effect), at.carried_out(effect))
        same(second.ref, first.ref, "the second names")
        return "1 injection"

    twice.__doc__ = f"{what.capitalize()}: sent by two processes at the same time"
    return twice


async def reads(at: Proof) -> str:
    """A credit note and its payment, by a process that knows no names yet: each reading call is lost once"""
    met = 0
    for prepare in (_credit_note, _payment):
        for number in range(1, 40):
            effect, wanted = await prepare(at)
            hits, at.connector = at.wire.hit, at.connect()
            at.wire.fault = Fault("lost_reply", number, reads=True)
            async with at.leaves(wanted):
                await at.carried_out(effect)
            at.wire.fault = None
            if at.wire.hit == hits:
                break
            met += 1
    if not met:
        raise Failed("no reading call was made")
    return f"{met} injections"


for _what in _VERBS:
    POINTS.extend(Point("fault", _through(_what, fault)) for fault in _FAULTS)
    if _what != "a write-off":  # Odoo itself scraps twice then; the engine never sends one sale's effects side by side
        POINTS.append(Point("fault", _at_once(_what)))
POINTS.append(Point("fault", reads))
