"""A payout and its bank line meet to the cent, in any order; what differs is a person's."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterflow.core.effects import SettlementEntry
from counterflow.core.facts import BankLineBooked, PayoutReported
from counterflow.core.reconciliation.payouts import BankLine, Payout, match
from counterflow.engine.people import Act, settle
from counterflow.reconcile.payouts import Payouts
from counterflow.sdk.manifest import Idempotency, Support
from counterflow.sdk.outcomes import Done, Rejected
from counterflow.store import exceptions
from tests.engine.toy import FakePsp, Fault, a_fact, a_world, request, times

ENTRIES = (
    SettlementEntry("charge", "psp:charge:1", 10_000),
    SettlementEntry("refund", "shop:return:R1", -2_000),
    SettlementEntry("fee", "", -150),
)


def reported(net: int = 7_850, name: str = "po_12345"):
    return a_fact(PayoutReported(f"psp:payout:{name}", net, "EUR", ENTRIES, "2026-03-02"), name, f"psp:payout:{name}")


def booked(amount: int = 7_850, name: str = "b1", text: str = "STRIPE PO12345 TRANSFER"):
    return a_fact(BankLineBooked(f"bank:line:{name}", amount, "EUR", text, "2026-03-03"), name, f"bank:line:{name}")


def world_with_books(url: str):
    psp = FakePsp({"PayLeg": Support(Idempotency.LOOKUP), "PostSettlement": Support(Idempotency.LOOKUP)})
    return a_world(url, psp)


async def kinds(world):
    rows = await world.rows("SELECT body::jsonb #>> '{fact,kind}' FROM log ORDER BY seq")
    return [row[0] for row in rows]


async def run(world, *facts):
    world.worker.cases.handlers = Payouts("psp").handlers
    for fact in facts:
        await world.tell(fact)
        await world.settle()


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2), (2, 0, 1)])
async def test_a_payout_on_the_bank_settles_its_refunds_and_posts_once(fresh_database, order):
    facts = (reported(), booked(), request("R1"))
    async with world_with_books(fresh_database) as world:
        await run(world, *(facts[n] for n in order), *facts)
        assert await world.one("SELECT status, bank_ref FROM payouts") == ("posted", "bank:line:b1")
        told = await kinds(world)
        assert told.count("PayoutBanked") == told.count("SettlementPosted") == 1
        assert await world.one("SELECT count(*) FROM effects WHERE kind = 'PostSettlement'") == 1


async def test_each_refund_of_a_payout_is_told(fresh_database):
    entries = (*ENTRIES, SettlementEntry("refund", "shop:return:R2", -1_000))
    body = PayoutReported("psp:payout:po_12345", 6_850, "EUR", entries, "2026-03-02")
    two = a_fact(body, "po_12345", "psp:payout:po_12345")
    async with world_with_books(fresh_database) as world:
        await run(world, request("R1"), request("R2"), two, booked(6_850))
        told = "SELECT count(DISTINCT case_id) FROM log WHERE body::jsonb #>> '{fact,kind}' = %s"
        assert await world.one(told, "PayoutBanked") == await world.one(told, "SettlementPosted") == 2


async def test_a_difference_is_an_exception_until_the_report_is_corrected(fresh_database):
    async with world_with_books(fresh_database) as world:
        await run(world, request("R1"), reported(), booked(7_849))
        assert await world.one("SELECT status FROM payouts") == "differs"
        assert await world.one("SELECT kind, impact_minor, status FROM exceptions") == ("payout_differs", -1, "open")
        assert "PayoutBanked" not in await kinds(world)


async def test_a_rejected_settlement_is_retried_by_a_person_until_it_is_posted(fresh_database):
    async with world_with_books(fresh_database) as world:
        refuse = times(2, Fault(Rejected("the journal is locked")))
        world.psp.faults.append(lambda e: refuse(e) if e.kind == "PostSettlement" else None)
        await run(world, request("R1"), reported(), booked())
        for n in range(2):
            async with world.pool.connection() as conn:
                row = (await exceptions.page(conn, kind="settlement_not_posted"))[0]
                act = Act("kim", "kim", "finance", f"{n}", world.clock())
                await settle(conn, row, "retry", "unlocked", act, {})
            await run(world)
            await world.settle()
        assert await world.one("SELECT status FROM payouts") == "posted"
        assert await world.one("SELECT status FROM exceptions WHERE kind = 'settlement_not_posted'") == "withdrawn"
        assert (await kinds(world)).count("SettlementPosted") == 1


async def test_finance_is_told_once_of_a_payout_that_never_meets_its_line(fresh_database):
    async with world_with_books(fresh_database) as world:
        await run(world, request("R1"), reported())
        late = "SELECT kind, owner, subject, impact_minor, currency, status FROM exceptions"
        for day, told in ((9, 0), (10, 1), (11, 1)):  # it should have been there on the 2nd, seven days are given
            async with world.pool.connection() as conn:
                await Payouts("psp", 7).overdue(conn, world.clock().replace(day=day))
            assert len(await world.rows(late)) == told
        named = ("payout_overdue", "finance", "psp:payout:po_12345", 7_850, "EUR")
        assert await world.one(late) == (*named, "open")
        assert "7850 EUR" in await world.one("SELECT message FROM exceptions")
        await run(world, booked())
        assert await world.one(late) == (*named, "withdrawn")


class Ledger(FakePsp):
    """An ERP that says how much of a settlement is left unmatched, each time that it is asked."""

    left = (8_000, 8_000, -500)

    async def send(self, effects):
        outcomes = await super().send(effects)
        asked = sum(id in self.sends for id in {e.effect_id for e in effects if e.kind == "PostSettlement"})
        values = (("unmatched_minor", str(self.left[len(self.sends) - asked])),)
        return [replace(o, values=values) if isinstance(o, Done) else o for o in outcomes]


async def test_what_comes_into_the_erp_after_a_payout_was_posted_is_matched_later(fresh_database):
    """A week later and four weeks after that, as long as something is left; the cases are told once."""
    erp = Ledger({"PostSettlement": Support(Idempotency.LOOKUP)})
    async with a_world(fresh_database, erp) as world:
        await run(world, reported(), booked())
        state = "SELECT status, unmatched_minor, looks FROM payouts"
        assert await world.one(state) == ("posted", 8_000, 0)
        for days, looks, left in ((6, 0, 8_000), (2, 1, 8_000), (27, 1, 8_000), (2, 2, -500), (99, 2, -500)):
            world.clock.now += timedelta(days=days)
            async with world.pool.connection() as conn:
                await Payouts("psp").match_again(conn, world.clock())
                await Payouts("psp").match_again(conn, world.clock())  # another worker
            await world.settle()
            assert await world.one(state) == ("posted", left, looks)
        sent = "SELECT effect_id, command::jsonb ->> 'again' FROM effects ORDER BY decided_at"
        first, *again = await world.rows(sent)
        assert [of for _, of in again] == [first[0]] * 2
        assert erp.sends == [first[0], *(id for id, _ in again)]


async def test_a_settlement_that_cannot_be_matched_again_stays_posted(fresh_database):
    erp = Ledger({"PostSettlement": Support(Idempotency.LOOKUP)})
    async with a_world(fresh_database, erp) as world:
        await run(world, reported(), booked())
        erp.faults.append(lambda _: Fault(Rejected("its bank line is not there any more")))
        world.clock.now += timedelta(days=8)
        async with world.pool.connection() as conn:
            await Payouts("psp").match_again(conn, world.clock())
        await world.settle()
        assert await world.one("SELECT status, unmatched_minor, look_at FROM payouts") == ("posted", 8_000, None)
        assert await world.rows("SELECT kind FROM exceptions WHERE owner = 'finance'") == []


async def test_entries_that_do_not_sum_up_are_never_matched(fresh_database):
    async with world_with_books(fresh_database) as world:
        await run(world, reported(7_000), booked(7_000))
        assert await world.one("SELECT impact_minor FROM exceptions") == 850


def payout(name: str, net: int, on: str = "2026-03-02") -> Payout:
    return Payout(f"psp:payout:{name}", net, "EUR", net, on)


def line(name: str, amount: int, text: str = "", on: str = "2026-03-02") -> BankLine:
    return BankLine(f"bank:line:{name}", amount, "EUR", text, on)


def test_without_a_name_only_an_amount_that_fits_one_of_each_is_a_match():
    assert match([payout("abcdef", 5)], [line("1", 5)]).pairs == (("psp:payout:abcdef", "bank:line:1"),)
    assert match([payout("abcdef", 5), payout("ghijkl", 5)], [line("1", 5)]).pairs == ()
    assert match([payout("abcdef", 5)], [line("1", 5), line("2", 5)]).pairs == ()
    assert match([payout("abcdef", 5)], [line("1", 5, on="2026-03-20")]).pairs == ()
    assert match([payout("abcdef", 5)], [line("1", 5, "ABC-DEF"), line("2", 5)]).pairs == (
        ("psp:payout:abcdef", "bank:line:1"),
    )


def test_a_line_that_names_a_payout_which_is_not_reported_yet_waits_for_it():
    """Equal payouts, day after day, are no rarity: the line of one that is told late is not the other one's."""
    mine, late = payout("po_378dff2fa2b6", 5), payout("po_3576dbf41078", 5)
    of_mine, of_late = line("3", 5, "STRIPE 0003 PO378DFF2FA2B6"), line("4", 5, "STRIPE 0004 po_3576dbf41078")
    assert match([mine], [of_late]).pairs == ()
    assert match([mine], [of_late, line("9", 5, "STRIPE 0009")]).pairs == ((mine.payout_ref, "bank:line:9"),)
    assert set(match([mine, late], [of_late, of_mine]).pairs) == {
        (mine.payout_ref, of_mine.bank_ref),
        (late.payout_ref, of_late.bank_ref),
    }


names = st.sampled_from(["aaaaaa", "bbbbbb", "cccccc"])
payouts = st.lists(st.builds(payout, names, st.integers(1, 3)), unique_by=lambda p: p.payout_ref)
lines = st.lists(
    st.builds(line, st.sampled_from("1234"), st.integers(1, 3), st.one_of(st.just(""), names)),
    unique_by=lambda row: row.bank_ref,
)


@given(payouts, lines, st.randoms())
def test_the_order_of_reading_changes_nothing_and_pairs_are_equal_to_the_cent(ps, ls, random):
    found = match(ps, ls)
    random.shuffle(ps)
    random.shuffle(ls)
    assert match(ps, ls) == found
    nets, amounts = {p.payout_ref: p.net_minor for p in ps}, {row.bank_ref: row.amount_minor for row in ls}
    assert all(nets[p] == amounts[b] for p, b in found.pairs)
    assert len({p for p, _ in found.pairs}) == len({b for _, b in found.pairs}) == len(found.pairs)
