"""A new key is taken without a restart, and renewed before it ends without a call that fails; else somebody is told."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest

from counterflow.configuration import load
from counterflow.connectors.odoo import connector
from counterflow.connectors.odoo.simulator import create_app
from counterflow.core.effects import Effect
from counterflow.engine.credentials import CHECK_SECONDS, RETIRE_SECONDS, Credentials
from counterflow.engine.live import Live
from counterflow.runtime import Reread
from counterflow.sdk.connector import Connector, Context
from counterflow.sdk.http import Unlimited
from counterflow.sdk.manifest import Manifest
from counterflow.sdk.outcomes import AuthFailed, Outcome, Transient
from counterflow.sdk.simulator import Clock, World
from counterflow.store import connections
from counterflow.store.pool import Pool, make_pool

SECRET = b"s" * 32


class Town:
    """One Odoo, and processes of ours that share a database."""

    def __init__(self, pool: Pool, version: str) -> None:
        self.pool, self.clock = pool, Clock()
        self.world = World("odoo", None, self.clock)
        self.network = httpx2.ASGITransport(create_app(self.world, database="odoo", version=version))
        self.world.acts["seed_company"]({})
        self.key = "odoo-first"
        self.do("make_key", key=self.key, days=89)

    def do(self, act: str, **payload: Any) -> Any:
        return self.world.acts[act](payload)

    def process(self, key: str = "", secret: bytes = SECRET) -> "Credentials":
        config = connector.Config.model_validate(
            {"base_url": "http://odoo", "database": "odoo", "login": "integration", "api_key": key or self.key}
        )
        context = Context("odoo", Unlimited(), self.clock.now, self.network)
        live = Live(partial(connector.make, context=context), config)
        return Credentials(self.pool, {"odoo": live}, {"odoo": config}, secret, self.clock.now)

    def later(self, **time: float) -> None:
        self.clock.advance(timedelta(**time).total_seconds())

    async def one(self, query: str) -> Any:
        async with self.pool.connection() as conn:
            return await (await conn.execute(query)).fetchone()

    def living(self) -> list[str]:
        return [row["_key"] for row in self.world.all("res.users.apikeys")]


@contextlib.asynccontextmanager
async def town(url: str, version: str = "19.0") -> AsyncIterator[Town]:
    async with make_pool(url, max_size=4) as pool:
        made = Town(pool, version)
        yield made
        made.world.close()


async def calls(process: Credentials) -> None:
    """A call goes through, whatever key it uses."""
    live = process.live["odoo"]
    found = await live.connector.odoo.client.ask("res.users", "context_get")  # type: ignore[attr-defined]
    assert found["uid"]


async def test_a_key_is_renewed_in_time_and_the_old_one_revoked_only_after_everybody_has_the_new_one(fresh_database):
    async with town(fresh_database) as odoo:
        odoo.do("allow_key_renewal")
        one, two = odoo.process(), odoo.process()
        await one.look()
        assert odoo.living() == ["odoo-first"], "89 days are left"
        odoo.later(days=60)
        await asyncio.gather(one.look(), two.look())
        first, second = odoo.living()
        assert first == "odoo-first", "one worker renewed, and the other process still uses the old one"
        for process in (one, two):
            await calls(process)
        assert sorted([await one.refresh(), await two.refresh()]) == [[], ["odoo"]]
        for process in (one, two):
            await calls(process)
        await one.look()
        assert odoo.living() == [first, second]
        odoo.later(seconds=RETIRE_SECONDS + 1)
        await two.look()
        assert odoo.living() == [second]
        for process in (one, two, odoo.process()):
            await process.refresh()
            await calls(process)
        odoo.later(days=60)
        await one.look()
        odoo.later(seconds=RETIRE_SECONDS + 1)
        await one.look()
        assert second not in odoo.living() and len(odoo.living()) == 1, "and so on"
        await two.refresh()
        await calls(two)
        assert await odoo.one("SELECT count(*) FROM exceptions") == (0,)


async def test_a_watching_worker_renews_and_the_other_processes_follow(fresh_database):
    async with town(fresh_database) as odoo:
        odoo.do("allow_key_renewal")
        odoo.later(days=70)
        worker, api = odoo.process(), odoo.process()

        def key(process: Credentials) -> str:
            return str(process.live["odoo"].config.api_key.get_secret_value())  # type: ignore[attr-defined]

        async with asyncio.timeout(60), worker.watching(renewing=True), api.watching():
            while len(odoo.living()) < 2 or key(api) != odoo.living()[-1]:
                await asyncio.sleep(0.02)
        assert key(worker) == key(api) != odoo.key
        await calls(worker)
        await calls(api)


async def test_the_new_key_is_sealed_in_the_database_and_of_no_use_under_another_secret(fresh_database):
    async with town(fresh_database) as odoo:
        odoo.do("allow_key_renewal")
        odoo.later(days=70)
        await odoo.process().look()
        _, new = odoo.living()
        (everything,) = await odoo.one(
            "SELECT c::text || encode(sealed, 'escape') || encode(retiring, 'escape') FROM credentials c"
        )
        assert new not in everything and "odoo-first" not in everything
        stranger = odoo.process(secret=b"x" * 32)
        assert await stranger.refresh() == [], "the configured key goes on"
        await calls(stranger)


@pytest.mark.parametrize("version", ["19.0", "18.0"])
async def test_where_odoo_does_not_allow_it_somebody_is_told_14_days_ahead(fresh_database, version):
    async with town(fresh_database, version) as odoo:
        process = odoo.process()
        odoo.later(days=74)
        await process.look()
        assert await odoo.one("SELECT count(*) FROM exceptions") == (0,)
        odoo.later(days=1, hours=1)
        await process.look()
        kind, status, message = await odoo.one("SELECT kind, status, message FROM exceptions")
        assert (kind, status) == ("credential_ending", "open")
        assert "api_key of odoo ends on" in message and ("not enabled" in message or "person" in message)
        odoo.do("revoke_key", key="odoo-first")
        odoo.do("make_key", key="odoo-second")
        process.read = lambda: {"odoo": odoo.process("odoo-second").configured["odoo"]}
        assert await process.refresh() == ["odoo"]
        odoo.later(seconds=CHECK_SECONDS)
        await process.look()
        assert await odoo.one("SELECT status FROM exceptions") == ("withdrawn",)


async def test_a_key_that_somebody_configures_wins_over_the_renewed_one_which_is_revoked(fresh_database):
    async with town(fresh_database) as odoo:
        odoo.do("allow_key_renewal")
        process = odoo.process()
        odoo.later(days=70)
        await process.look()
        odoo.do("make_key", key="odoo-by-hand")
        process.read = lambda: {"odoo": odoo.process("odoo-by-hand").configured["odoo"]}
        await process.refresh()
        odoo.later(seconds=CHECK_SECONDS)
        await process.look()
        assert odoo.living() == ["odoo-by-hand"]
        await calls(process)


async def test_a_renewal_whose_answer_is_lost_is_tried_again_and_the_old_key_goes_on(fresh_database):
    async with town(fresh_database) as odoo:
        odoo.do("allow_key_renewal")
        process = odoo.process()
        await process.look()
        odoo.later(days=70)
        odoo.world.fault("lost_reply", match="apikeys/generate")
        await process.look()
        await calls(process)
        odoo.later(hours=1)
        await process.look()
        _, orphan, new = odoo.living()
        assert orphan != new
        await calls(process)


async def test_a_new_key_in_its_file_is_taken_and_lets_calls_out_again(fresh_database, tmp_path: Path):
    async with town(fresh_database) as odoo:
        key = tmp_path / "odoo.key"
        key.write_text("odoo-first\n")
        (tmp_path / "counterflow.toml").write_text(
            '[connections.odoo]\nconnector = "odoo"\nbase_url = "http://odoo"\ndatabase = "odoo"\n'
            f'login = "integration"\napi_key = "file:{key}"\n[routes]\nerp = "odoo"\n'
        )
        process = odoo.process()
        loaded = load(tmp_path)
        process.configured = {"odoo": loaded.connections["odoo"].config}
        process.read = Reread(tmp_path, loaded)
        await process.refresh()
        odoo.do("revoke_key", key="odoo-first")
        async with odoo.pool.connection() as conn:
            await connections.ensure(conn, "odoo", 1.0, odoo.clock.now())
            await connections.set_circuit(conn, "odoo", "stopped", reason="401")
        assert await process.refresh() == []
        odoo.do("make_key", key="odoo-second")
        (tmp_path / "counterflow.toml").write_text("[connections")  # half written
        assert await process.refresh() == []
        (tmp_path / "counterflow.toml").write_text(
            '[connections.odoo]\nconnector = "odoo"\nbase_url = "http://odoo"\ndatabase = "odoo"\n'
            f'login = "integration"\napi_key = "file:{key}"\n[routes]\nerp = "odoo"\n'
        )
        key.write_text("odoo-second\n")
        assert await process.refresh() == ["odoo"]
        await calls(process)
        assert await odoo.one("SELECT circuit FROM connections") == ("closed",)


async def test_what_the_old_key_is_refused_says_nothing_about_the_new_one() -> None:
    class Refused:
        manifest = Manifest("shop", "Shop", ())
        closed = False

        def __init__(self, config: Any) -> None:
            self.key, self.go = config.api_key.get_secret_value(), asyncio.Event()

        async def send(self, effects: Any) -> list[Outcome]:
            await self.go.wait()
            return [AuthFailed("401")]

        async def find(self, effect: Effect) -> Outcome | None:
            await self.go.wait()
            raise AuthFailed("401")

        async def aclose(self) -> None:
            self.closed = True

    def config(key: str) -> Any:
        return connector.Config.model_validate({"base_url": "http://odoo", "api_key": key})

    live = Live(Refused, config("old"))  # type: ignore[arg-type]
    old: Any = live.connector
    sent, found = asyncio.ensure_future(live.send([])), asyncio.ensure_future(live.find(None))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    assert not await live.put(config("old")) and await live.put(config("new"))
    assert not old.closed, "calls are under way"
    old.go.set()
    (outcome,) = await sent
    assert isinstance(outcome, Transient)
    with pytest.raises(Transient):
        await found
    assert old.closed
    new: Any = live.connector
    new.go.set()
    (outcome,) = await live.send([])
    assert isinstance(outcome, AuthFailed)


def test_live_has_the_whole_protocol() -> None:
    names = {name for name in vars(Connector) if not name.startswith("_")}
    assert names <= {*dir(Live), "manifest"}
