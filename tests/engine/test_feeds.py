"""A sweep finds what webhooks lost, remembers where it was, and reads late rows again."""

import httpx2
import pytest

from counterflow.engine.feeds import FeedPuller
from counterflow.engine.parked import By, resume_connection
from counterflow.sdk.connector import Page, Signal
from counterflow.sdk.http import Transport, json_of
from counterflow.sdk.manifest import Feed
from counterflow.sdk.outcomes import AuthFailed, MissingRight, Transient
from counterflow.store import cursors
from tests.engine.toy import FakePsp, a_world, goodwill, request

FEED = Feed("things", lag_seconds=60, every_seconds=300)


def puller(world, feed=FEED):
    return FeedPuller("psp", world.psp, feed, world.pool, world.clock)


@pytest.mark.once("it counts the pages that are asked for")
async def test_pages_become_facts_and_looks_and_a_restart_goes_on(fresh_database):
    first = Page((request("R1"), Signal("things", "t1")), "c1", True)
    pages = {"": first, "c1": Page((goodwill("R1", 1),), "c2", False)}
    async with a_world(fresh_database, FakePsp(pages=pages)) as world:
        assert await puller(world).pull_if_due() == 3
        await world.settle()
        assert len(world.psp.applied) == 2 and world.psp.fetched == ["t1"]
        assert await puller(world).pull_if_due() == 0 and world.psp.pulls == ["", "c1"], "not due yet"
        await world.later(301)
        await puller(world).pull_if_due()
        assert world.psp.pulls == ["", "c1", "c2"]


@pytest.mark.once("it counts the pages that are asked for")
async def test_a_row_that_appears_late_behind_the_cursor_is_found(fresh_database):
    feed = Feed("things", lag_seconds=600, every_seconds=300)
    psp = FakePsp(pages={"": Page((request("R1"),), "c1", False), "c1": Page((), "c2", False)})
    async with a_world(fresh_database, psp) as world:
        await puller(world, feed).pull_if_due()
        psp.pages[""] = Page((request("R1"), request("late")), "c1", False)
        for _ in range(4):
            await world.later(301)
            await puller(world, feed).pull_if_due()
        await world.settle()
        assert psp.pulls == ["", "", "c1", "c1", "c2"]
        assert await world.one("SELECT count(*) FROM cases") == 2
        assert await world.one("SELECT count(*) FROM cursors") == 3, "only what the overlap reaches back to"


async def test_a_sweep_that_is_asked_for_during_a_pull_comes_after_it(fresh_database, monkeypatch):
    async with a_world(fresh_database) as world:
        read = world.psp.pull

        async def asked_meanwhile(feed, cursor):
            async with world.pool.connection() as conn:
                await cursors.make_due(conn, "psp", feed, world.clock())
            return await read(feed, cursor)

        monkeypatch.setattr(world.psp, "pull", asked_meanwhile)
        await puller(world).pull_if_due()
        monkeypatch.setattr(world.psp, "pull", read)
        world.psp.pages[""] = Page((request("R1"),), "c1", False)
        assert [await puller(world).pull_if_due() for _ in range(2)] == [1, 0]


async def test_a_page_that_cannot_be_read_is_kept_raw_once(fresh_database, monkeypatch):
    async with a_world(fresh_database) as world:
        answer = httpx2.MockTransport(lambda request: httpx2.Response(200, content=b"<html>Sign in</html>"))

        async def broken(feed, cursor):
            response = await Transport("http://psp.test", transport=answer).request("GET", "/things", write=False)
            return json_of(response, write=False)

        monkeypatch.setattr(world.psp, "pull", broken)
        for _ in range(3):
            await puller(world).pull_if_due()
            await world.later(31)
        delivery, body, status = await world.one("SELECT delivery_id, body, status FROM deliveries")
        assert (bytes(body), status) == (b"<html>Sign in</html>", "malformed")
        kind, message = await world.one("SELECT kind, message FROM exceptions")
        assert kind == "feed_failed" and f"counterflow deliveries show {delivery}" in message


async def test_a_feed_that_fails_is_told_and_tried_again(fresh_database, monkeypatch):
    async with a_world(fresh_database) as world:

        async def broken(feed, cursor):
            raise Transient("down")

        monkeypatch.setattr(world.psp, "pull", broken)
        assert await puller(world).pull_if_due() == 0
        assert await world.one("SELECT kind, status FROM exceptions") == ("feed_failed", "open")
        monkeypatch.undo()
        await world.later(31)
        await puller(world).pull_if_due()
        assert await world.one("SELECT kind, status FROM exceptions") == ("feed_failed", "withdrawn")


async def test_a_warning_is_told_while_the_sweep_goes_on_and_taken_back_without_one(fresh_database):
    pages = {"": Page((request("R1"),), "c1", False, "answered as 2026-01"), "c1": Page((), "c2", False)}
    async with a_world(fresh_database, FakePsp(pages=pages)) as world:
        assert await puller(world).pull_if_due() == 1
        kind, status, message = await world.one("SELECT kind, status, message FROM exceptions")
        assert (kind, status) == ("connection_warning", "open") and message == "psp: answered as 2026-01"
        await world.later(301)
        await puller(world).pull_if_due()
        assert await world.one("SELECT status FROM exceptions") == "withdrawn"


@pytest.mark.once("it counts the pages that are asked for")
async def test_refused_credentials_stop_the_sweep_until_somebody_resumes_the_connection(fresh_database, monkeypatch):
    """An app that was uninstalled was asked again every thirty seconds, for ever."""
    async with a_world(fresh_database, FakePsp(pages={"": Page((request("R1"),), "c1", False)})) as world:
        asked = []

        async def refused(feed, cursor):
            asked.append(cursor)
            raise AuthFailed("401: install the app again")

        with monkeypatch.context() as gone:
            gone.setattr(world.psp, "pull", refused)
            for _ in range(3):
                await puller(world).pull_if_due()
                await world.later(3600)
            assert asked == [""]
            async with world.pool.connection() as conn:
                assert await cursors.due(conn, world.clock()) == []
        kind, message = await world.one("SELECT kind, message FROM exceptions")
        assert kind == "connection_auth" and "install the app again" in message and "resume it" in message
        async with world.pool.connection() as conn:
            await resume_connection(conn, "psp", By("bob", "installed again"), world.clock())
        assert await puller(world).pull_if_due() == 1


@pytest.mark.once("it counts the pages that are asked for")
async def test_a_right_that_one_list_needs_stops_no_other_work_of_the_connection(fresh_database, monkeypatch):
    """A token without the scope for payouts kept refunds from going out."""
    async with a_world(fresh_database, FakePsp(pages={"": Page((request("R1"),), "c1", False)})) as world:
        asked = []

        async def not_allowed(feed, cursor):
            asked.append(cursor)
            raise MissingRight("403: give the token the scope read_payouts")

        with monkeypatch.context() as gone:
            gone.setattr(world.psp, "pull", not_allowed)
            await puller(world).pull_if_due()
            await world.later(60)
            await puller(world).pull_if_due()
        assert asked == [""], "a person has to do something: asking every thirty seconds helps nobody"
        kind, message = await world.one("SELECT kind, message FROM exceptions")
        assert kind == "feed_failed" and "read_payouts" in message and "every 900 s" in message
        assert await world.one("SELECT circuit FROM connections WHERE name = 'psp'") == "closed"
        await world.later(900)
        assert await puller(world).pull_if_due() == 1
        assert await world.one("SELECT status FROM exceptions") == "withdrawn"
