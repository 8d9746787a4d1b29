"""The live proof: every flow of the connector on an Odoo, compared with what its story's numbers say.

    counterflow conformance odoo --url http://127.0.0.1:8069 --db proof --key ... --admin-key ...

Take a test database: the proof makes a company of its own there (accounts, journals, places, goods), sells, returns and
books. `--key` is the integration user's, as in a connection; `--admin-key` is for what people do: entering products and
accounts, selling, editing and cancelling. Without `--admin-key` the first key does both, and has to be allowed to.

Each point sends effects through the connector's own verbs and then reads Odoo as a person. It fails when the difference
between before and after is another one than the point computed beforehand: pieces per place, value of goods, balance
per account, documents left open. The same points run on the simulator, which is held to them thereby.
"""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any

import httpx2

from counterflow.connectors.odoo import fast_lane
from counterflow.connectors.odoo.client import Client
from counterflow.connectors.odoo.live.company import found
from counterflow.connectors.odoo.live.person import Person, Refused
from counterflow.connectors.odoo.live.point import POINTS, Point
from counterflow.connectors.odoo.live.proof import Proof
from counterflow.connectors.odoo.live.wire import Wire
from counterflow.connectors.odoo.simulator import create_app
from counterflow.connectors.odoo.wires import Access
from counterflow.sdk.http import Transport
from counterflow.sdk.outcomes import Rejected
from counterflow.sdk.simulator import Clock, World
from counterflow.sdk.testing import Result, Skipped
from counterflow.sdk.testing.check import Target

MODULES = ("goods", "books", "exchanges", "upstream", "tills", "faults")


def points(only: str = "") -> list[Point]:
    """All points in order, or those whose name holds the words."""
    for module in MODULES:
        import_module(f"counterflow.connectors.odoo.live.{module}")
    return [point for point in POINTS if only.lower() in point.name.lower()]


@asynccontextmanager
async def proof(
    target: Target | None = None, version: str = "19.0", settings: tuple[tuple[str, str], ...] = ()
) -> AsyncIterator[Proof]:
    """A company in the Odoo of the target, or in a fresh simulated one of this version with these settings.

    Raises Rejected when it cannot be made.
    """
    world = World("odoo", None, Clock()) if target is None else None
    network: httpx2.AsyncBaseTransport
    if world is not None:
        network = httpx2.ASGITransport(create_app(world, database="proof", version=version))
        with world.tx():
            world.acts["seed_company"]({"currency": "EUR"})
        keys = ("odoo-integration-key", "odoo-admin-key")
        target = Target("http://odoo", "proof", *keys, "integration", "admin", settings)
        person = Person(target.url, target.database, target.admin_key, target.admin_login, network)
    else:
        assert target is not None
        network = httpx2.AsyncHTTPTransport(limits=httpx2.Limits(max_connections=4))
        person = Person(target.url, target.database, target.admin_key or target.key, target.admin_login)
    access: dict[str, Any] = {
        "base_url": target.url,
        "database": target.database,
        "api_key": target.key,
        "login": target.login,
        **dict(target.settings),
    }
    try:
        await person.arrive()
        company = await found(person, _run())
        if person.major < 19:
            await _addressed(person, target.login)
        if access.get("lane") == "fast":
            await _installed(target, network)
    except Refused as error:
        await person.aclose()
        raise Rejected(f"the proof cannot set up its company: {error}. An administrator's key can") from None
    made = Proof(person, company, Wire(network), access)
    booked = await person.call("account.move.line", "search", domain=[], order="id desc", limit=1)
    made.floor = booked[0] if booked else 0
    try:
        yield made
    finally:
        await made.connector.aclose()
        await person.aclose()
        if world is not None:
            world.close()


async def _addressed(person: Person, login: str) -> None:
    """Before 19 a user without an e-mail address may say nothing in the chatter."""
    for user in await person.rows("res.users", [["login", "=", login]], "email"):
        if not user["email"]:
            await person.write("res.users", user["id"], email=f"{login}@example.com")


async def _installed(target: Target, network: httpx2.AsyncBaseTransport) -> None:
    """The procedure of the fast lane, by an administrator."""
    headers = {"Authorization": f"bearer {target.admin_key or target.key}", "X-Odoo-Database": target.database}
    transport = Transport(target.url, headers=headers, timeout_seconds=60, transport=network)
    access = Access(target.admin_key or target.key, target.database, target.admin_login)
    await fast_lane.install(Client(transport, access))


async def prove(
    target: Target | None = None,
    only: str = "",
    tell: Callable[[Result], None] = lambda result: None,
    settings: tuple[tuple[str, str], ...] = (),
) -> list[Result]:
    """One result for each point; the message is what went wrong, or the lane and the key figures."""
    chosen, results = points(only), []
    async with proof(target, settings=settings) as at:
        for number, each in enumerate(chosen, start=1):
            at.wire.fresh()
            start = time.monotonic()
            try:
                figures = await each.function(at)
            except Skipped as skipped:
                results.append(Result(number, each.name, "skipped", str(skipped)))
            except Exception as error:  # a point that fails is a result, and the next one runs
                results.append(Result(number, each.name, "failed", f"{type(error).__name__}: {error}"))
            else:
                seconds = time.monotonic() - start
                said = f"{at.wire.lane}, {len(at.wire.calls)} calls, {seconds:.1f} s" + (
                    f"; {figures}" if figures else ""
                )
                results.append(Result(number, each.name, "passed", said))
            at.wire.fault = None
            tell(results[-1])
    return results


def _run() -> str:
    """A short word that no earlier run in this database has."""
    number, letters, word = time.time_ns() // 1_000_000_000, "0123456789ABCDEFGHJKLMNPQRSTUVWXYZ", ""
    while number:
        number, digit = divmod(number, len(letters))
        word = letters[digit] + word
    return word


__all__ = ["Point", "points", "proof", "prove"]
