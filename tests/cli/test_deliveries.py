"""What arrived can be looked at as it came, and feeds can be read now."""

from datetime import UTC, datetime

from counterflow.sdk.connector import Delivery
from counterflow.store import cursors
from tests.api.world import World
from tests.cli.conftest import Command
from tests.cli.test_cases import in_world


def test_odd_deliveries_are_listed_and_shown_raw(command: Command, fresh_database: str) -> None:
    async def arrive(world: World) -> None:
        for number, body in enumerate((b'{"kind": "news"}', b"{no json")):
            headers = {"signature": ("good",), "id": (f"d{number}",)}
            await world.services.intake.receive(Delivery("shop", headers, body, world.now))

    in_world(fresh_database, arrive)
    assert {row["status"] for row in command("deliveries", "list", "-o", "json").json} == {"ignored", "malformed"}
    [row] = command("deliveries", "list", "--status", "malformed", "-o", "json").json
    shown = command("deliveries", "show", row["delivery_id"])
    assert "{no json" in shown.out and "id: d1" in shown.out and "this is no JSON" in shown.out
    assert command("deliveries", "show", "dl_nothing").code == 3


def test_a_sweep_makes_the_feeds_due(command: Command, fresh_database: str) -> None:
    async def know(world: World) -> None:
        async with world.pool.connection() as conn:
            for feed in ("refunds", "payouts"):
                await cursors.ensure(conn, "psp", feed, world.now)
                await cursors.ensure(conn, "psp", feed, world.now)
                far = world.now.replace(year=2099)
                await cursors.ended(conn, "psp", feed, far, "transient: down", held_until=world.now)

    in_world(fresh_database, know)
    swept = command("sweep", "psp", "refunds", "-o", "json").json
    assert [(row["feed"], row["message"]) for row in swept] == [("refunds", "transient: down")]

    async def due(world: World) -> None:
        async with world.pool.connection() as conn:
            assert await cursors.due(conn, datetime.now(UTC)) == [("psp", "refunds")]

    in_world(fresh_database, due)
    assert len(command("sweep", "-o", "json").json) == 2
    assert command("sweep", "nobody").code == 3
