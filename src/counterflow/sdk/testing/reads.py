"""Reads: no row is lost whatever happens between pages, one state gives the same facts, faults have their words."""

from collections.abc import Sequence
from datetime import timedelta

from counterflow.core.effects import PayLeg, ReadSale
from counterflow.core.facts import ORIGINS, Fact, RefundReported, ReturnRequested, SaleRecorded
from counterflow.core.policy.vocabulary import REASONS
from counterflow.core.sale import Sale
from counterflow.sdk.connector import Page, Signal
from counterflow.sdk.outcomes import ConnectorError
from counterflow.sdk.reading import keepable
from counterflow.sdk.testing.check import Skipped, check, connector, feeds
from counterflow.sdk.testing.harness import CONNECTION, Harness, names
from counterflow.sdk.testing.rule import attempt, word

PAGES_MOST = 200
Item = Fact | Signal


async def pages(harness: Harness, feed: str, cursor: str = "") -> list[Page]:
    """All pages from a cursor, by a connector that was just started."""
    reader = harness.connect()
    found: list[Page] = []
    while len(found) < PAGES_MOST:
        page = await reader.pull(feed, cursor)
        found.append(page)
        sound(harness, page.items)
        if not page.more:
            return found
        assert page.cursor != cursor, "there is more, and the cursor does not move"
        cursor = page.cursor
    raise AssertionError(f"feed {feed} did not end within {PAGES_MOST} pages")


def items(found: Sequence[Page]) -> list[Item]:
    return [item for page in found for item in page.items]


def missing(wanted: Sequence[str], found: Sequence[Item]) -> list[str]:
    """The names that no reference of any item ends with."""
    told = [name for item in found for name in names(item)]
    return [name for name in wanted if not any(ref.endswith(name) for ref in told)]


def sound(harness: Harness, found: Sequence[Item]) -> None:
    """What the rest of the program relies on in every fact and signal."""
    try:
        keepable(tuple(found))
    except ValueError as error:
        raise AssertionError(f"what was told cannot be kept: {error}") from None
    for item in found:
        if isinstance(item, Signal):
            assert harness.manifest.feed(item.feed), (
                f"a signal for feed {item.feed!r}, which the manifest does not have"
            )
            assert item.ref, "a signal points nowhere"
            continue
        where = f"{item.kind} {item.fact_id}"
        assert item.fact_id.startswith("fc_"), f"{where}: make the id with core.ids.fact_id"
        assert item.connection == CONNECTION, f"{where}: its connection is {item.connection!r}"
        assert item.refs and all(":" in ref for ref in item.refs), f"{where}: references are <connection>:<kind>:<id>"
        assert item.origin in ORIGINS, f"{where}: the origin {item.origin!r} is none of ours"
        assert item.adapter == harness.manifest.version, f"{where}: adapter is the manifest's version"
        for at in (item.occurred_at, item.seen_at):
            assert at.utcoffset() == timedelta(0), f"{where}: instants are aware and UTC"


async def told(harness: Harness, feed: str) -> list[Fact]:
    """All facts of a feed: what its signals point at is fetched."""
    found: list[Fact] = []
    for item in items(await pages(harness, feed)):
        found += await harness.connector.fetch(item.feed, item.ref) if isinstance(item, Signal) else [item]
    return found


def told_as(found: Sequence[Item]) -> set[str]:
    """What two readers of one state have to agree on."""
    return {f"{item.feed} {item.ref}" if isinstance(item, Signal) else item.fact_id for item in found}


@check(18, feeds)
async def an_empty_feed_ends(harness: Harness, feed: str) -> None:
    """A system in which nothing happened gives no rows, an end, and a cursor from which new rows are found."""
    [page] = await pages(harness, feed)
    assert not page.items and not page.more, "something came from an empty system"
    name = await harness.happen(feed)
    assert not missing([name], items(await pages(harness, feed, page.cursor))), "the first row was not found"


@check(14, feeds)
async def every_row_is_found(harness: Harness, feed: str) -> None:
    """All pages together tell every row; at the end the feed says that there is no more."""
    wanted = [await harness.happen(feed) for _ in range(harness.rows)]
    found = await pages(harness, feed)
    assert len(found) > 1, f"{harness.rows} rows fit on one page: raise Harness.rows or make pages smaller"
    lost = missing(wanted, items(found))
    assert not lost, f"rows were lost: {', '.join(lost)}"


@check(14, feeds)
async def every_cursor_resumes(harness: Harness, feed: str) -> None:
    """A reader that starts at any kept cursor misses nothing that the pages before did not tell."""
    wanted = [await harness.happen(feed) for _ in range(harness.rows)]
    found = await pages(harness, feed)
    for number, page in enumerate(found[:-1], start=1):
        rest = items(found[:number]) + items(await pages(harness, feed, page.cursor))
        lost = missing(wanted, rest)
        assert not lost, f"after page {number} rows were lost: {', '.join(lost)}"


@check(15, feeds)
async def rows_between_pages(harness: Harness, feed: str) -> None:
    """Rows that appear while it is being read are found, by this walk or the next, and shift no others away."""
    wanted = [await harness.happen(feed) for _ in range(harness.rows)]
    first = await harness.connector.pull(feed, "")
    wanted += [await harness.happen(feed) for _ in range(2)]
    rest = await pages(harness, feed, first.cursor) if first.more else []
    last = rest[-1].cursor if rest else first.cursor
    lost = missing(wanted, [*first.items, *items(rest), *items(await pages(harness, feed, last))])
    assert not lost, f"rows were lost: {', '.join(lost)}"


@check(16, feeds)
async def pulled_twice_is_the_same(harness: Harness, feed: str) -> None:
    """Two readers of one state get the same facts with the same ids."""
    for _ in range(3):
        await harness.happen(feed)
    first, second = items(await pages(harness, feed)), items(await pages(harness, feed))
    assert told_as(first) == told_as(second), "two pulls of one state gave other fact ids"


@check(14, feeds)
async def what_comes_later_is_found(harness: Harness, feed: str) -> None:
    """From the cursor of the end, the next pull tells the new row, and one row is not all rows again."""
    old = [await harness.happen(feed) for _ in range(harness.rows)]
    harness.clock.advance(3600)
    await harness.happen(feed)
    end = (await pages(harness, feed))[-1].cursor
    name = await harness.happen(feed)
    found = items(await pages(harness, feed, end))
    assert not missing([name], found), "the new row was not found"
    assert missing(old[:1], found), "the cursor does not move: everything is told again"


@check(17, lambda manifest: [feed.name for feed in manifest.feeds if feed.lag_seconds])
async def a_late_row_is_found(harness: Harness, feed: str) -> None:
    """A row that appears late, within the feed's lag, is found from the cursor that is that old."""
    lag = harness.manifest.feed(feed).lag_seconds  # type: ignore[union-attr]
    await harness.happen(feed)
    cursor = (await pages(harness, feed))[-1].cursor
    harness.clock.advance(lag / 2)
    await harness.happen(feed)
    await pages(harness, feed, cursor)
    name = await harness.late(feed, lag / 4)
    if name is None:
        raise Skipped(f"Harness.late has no late row for {feed}")
    assert not missing([name], items(await pages(harness, feed, cursor))), "the late row was not found"


@check(16, feeds)
async def what_a_signal_points_at(harness: Harness, feed: str) -> None:
    """What a signal points at can be fetched, and gives the same facts each time."""
    await harness.happen(feed)
    signals = [item for item in items(await pages(harness, feed)) if isinstance(item, Signal)]
    if not signals:
        return  # the feed gives facts: there is nothing to fetch
    for signal in signals:
        first = await harness.connector.fetch(signal.feed, signal.ref)
        second = await harness.connect().fetch(signal.feed, signal.ref)
        sound(harness, [*first, *second])
        assert told_as(first) == told_as(second), "two looks at one state gave other fact ids"


@check(16, lambda manifest: ["refunds"] if "PayLeg" in manifest.commands and manifest.feed("refunds") else [])
async def a_paid_leg_is_told_as_ours(harness: Harness, feed: str) -> None:
    """The refund that we made comes back with our key first, under the reference that the send gave, to the cent."""
    effect = await harness.sample("PayLeg")
    sent = await attempt(harness, effect)
    await harness.ripen()
    found = await told(harness, feed)
    mine = [fact for fact in found if fact.refs[0] == f"effect:{effect.effect_id}"]
    reports = [(fact, fact.body) for fact in mine if isinstance(fact.body, RefundReported)]
    assert reports, "no RefundReported has our effect as its first reference"
    paid = effect.command
    assert isinstance(paid, PayLeg)
    for fact, body in reports:
        assert (fact.origin, body.key) == ("ours", effect.effect_id), "its origin and key do not say that it is ours"
        assert body.refund_ref == getattr(sent, "ref", ""), "the fact and the outcome name the refund differently"
        assert (body.amount_minor, body.currency) == (paid.amount_minor, paid.currency), "the amounts differ"
        named = f"the leg names the payment {paid.payment_ref!r}, the fact {body.payment_ref!r}"
        assert body.payment_ref == paid.payment_ref, f"{named}: both are its id as the sale has it"


@check(16, lambda manifest: ["ReadSale"] if "ReadSale" in manifest.commands else [])
async def a_sale_is_told_by_its_name(harness: Harness, kind: str) -> None:
    """ReadSale answers with the SaleRecorded that it asked for, known first of all by that reference."""
    effect = await harness.sample(kind)
    assert isinstance(effect.command, ReadSale)
    await _sale(harness, effect.command.order_ref)


@check(16, lambda manifest: ["returns"] if "ReadSale" in manifest.commands and manifest.feed("returns") else [])
async def a_return_is_told_over_its_sale(harness: Harness, feed: str) -> None:
    """A return is a ReturnRequested, known by its own reference; it names lines that its sale has."""
    name = await harness.happen(feed)
    found = [fact for fact in await told(harness, feed) if isinstance(fact.body, ReturnRequested)]
    mine = [(fact, fact.body) for fact in found if any(ref.endswith(name) for ref in fact.refs)]
    assert mine, f"no ReturnRequested tells of {name}: without it nothing is ever returned"
    for fact, body in mine:
        assert isinstance(body, ReturnRequested)
        assert body.return_ref in fact.refs, f"its references {fact.refs} lack its own, {body.return_ref!r}"
        sale = await _sale(harness, body.sale_ref)
        assert body.lines, "it asks for no line"
        for line in body.lines:
            assert sale.line(line.line_ref) is not None, f"its sale has no line {line.line_ref!r}"
            words = "map their words to the policy's, and what you do not know to 'other'"
            assert line.reason in REASONS, f"the reason {line.reason!r} is none of the policy's: {words}"


@check(1, feeds)
async def what_is_gone_is_not_found(harness: Harness, feed: str) -> None:
    """A reference to nothing is NotFound."""
    ref = harness.missing(feed)
    if ref is None:
        raise Skipped(f"Harness.missing names nothing for {feed}")
    assert await _fails(harness, feed, ref) == "not_found"


@check(9, feeds)
async def faults_of_a_read(harness: Harness, feed: str) -> None:
    """A read that fails is Transient, RateLimited, AuthFailed or Malformed: never unknown, never a crash."""
    await harness.happen(feed)
    expected = {
        "refused": "transient",
        "lost_reply": "transient",
        "error_after": "transient",
        "down": "transient",
        "garbage_after": "malformed",
        "rate_limited": "rate_limited",
        "unauthorized": "auth_failed",
    }
    for fault, wanted in expected.items():
        harness.world.fault(fault, times=-1)
        got = await _fails(harness, feed)
        harness.world.clear_faults()
        assert got == wanted, f"{fault} gave {got}, expected {wanted}"
    await pages(harness, feed)


@check(10, connector)
async def doctor_tells(harness: Harness, _: str) -> None:
    """`check` says that all is fine, and says what is not without raising."""
    good = await harness.connector.check()
    assert good and all(fine for _, fine, _ in good), f"nothing is wrong, and check says {good}"
    harness.world.fault("unauthorized", times=-1)
    bad = await harness.connector.check()
    harness.world.clear_faults()
    if harness.manifest.secret_fields and harness.network.requests:
        assert any(not fine and what_to_do for _, fine, what_to_do in bad), "a refused credential went unnoticed"


async def _sale(harness: Harness, ref: str) -> Sale:
    """The sale that ReadSale answers with for this reference."""
    answer = await attempt(harness, harness.effect(ReadSale(ref)))
    found = [fact for fact in getattr(answer, "facts", ()) if isinstance(fact.body, SaleRecorded)]
    sales = {fact.refs[0]: fact.body.sale for fact in found if isinstance(fact.body, SaleRecorded)}
    assert ref in sales, f"ReadSale({ref!r}) gave {word(answer)} with SaleRecorded of {list(sales)}: {answer}"
    assert sales[ref].sale_ref == ref, f"the sale calls itself {sales[ref].sale_ref!r}, its reference is {ref!r}"
    return sales[ref]


async def _fails(harness: Harness, feed: str, ref: str = "") -> str:
    try:
        await (harness.connector.fetch(feed, ref) if ref else harness.connector.pull(feed, ""))
    except ConnectorError as error:
        return word(error)
    return "nothing"
