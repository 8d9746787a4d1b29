"""kill -9 of the whole database while a worker works: nothing is lost, nothing doubled."""

import asyncio
import os
import signal

import psycopg

from counterflow.store import migrate
from counterflow.store.embedded import Embedded
from tests.engine.test_many_workers import running, until
from tests.engine.toy import a_world, request


async def test_the_database_is_killed_in_the_middle(tmp_path):
    home = tmp_path / "home"
    with Embedded(home) as url:
        migrate.upgrade(url)
        async with a_world(url) as world, running(world.worker):
            told = 0
            for _ in range(3):
                for _ in range(20):
                    await world.tell(request(f"R{told}"))
                    told += 1
                os.kill(Embedded.status(home)["pid"], signal.SIGKILL)
                assert await asyncio.to_thread(Embedded.start, home) == url

                async def closed(wanted=told):
                    try:
                        return await world.one("SELECT count(*) FROM cases WHERE status = 'closed'") == wanted
                    except psycopg.OperationalError:
                        return False

                await until(closed, 60)
            assert len(world.psp.applied) == len(set(world.psp.applied)) == 60
            assert await world.one("SELECT count(*), count(DISTINCT (case_id, seq)) FROM log WHERE seq = 1") == (60, 60)
