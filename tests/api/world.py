"""The API on a real database, with the case drain stepped by hand and a shop that signs its deliveries."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
from fastapi import FastAPI

from counterflow.api.app import make_app
from counterflow.api.services import Account, Services
from counterflow.core.effects import Effect
from counterflow.core.facts import BankLineBooked, Body, Fact, SaleRecorded
from counterflow.core.ids import fact_id
from counterflow.core.returns.case import Place, Routes, Setting
from counterflow.core.returns.decide import decide
from counterflow.core.sale import Payment, Sale, SoldLine, Tax
from counterflow.engine.cases import CaseDrain
from counterflow.engine.worker import drain_shards
from counterflow.intake.accept import accept
from counterflow.intake.pressure import Bounds, Pressure
from counterflow.intake.receive import Intake
from counterflow.policies import default
from counterflow.sdk.connector import Delivery, Page
from counterflow.sdk.manifest import Limits, Manifest
from counterflow.sdk.outcomes import AuthFailed, Done, Malformed, Outcome
from counterflow.store import api_keys, connections, inbox
from counterflow.store.pool import Pool, make_pool

START = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
ROUTES = Routes(
    erp="odoo",
    places=(Place("store-1", "till-1", inspects=False), Place("wh-1", "wms")),
    payments={"shop": "psp"},
    inspection_place="wh-1",
)
PEPPER = b"p" * 32


class Shop:
    """A connector that says what its bodies say: {"order": n}, {"bank": minor, "currency": ...} or another topic."""

    manifest = Manifest("toy", "Toy", ())

    def verify(self, delivery: Delivery) -> None:
        if delivery.header("signature") != "good":
            raise AuthFailed("the signature is not ours: check the secret on both sides")

    def identify(self, delivery: Delivery) -> str:
        return delivery.header("id")

    def translate(self, delivery: Delivery) -> Sequence[Fact]:
        try:
            said = json.loads(delivery.body)
        except ValueError:
            raise Malformed("this is no JSON") from None
        if not isinstance(said, dict):
            raise Malformed("this is no object")
        if "order" in said:
            return [sale_fact(a_sale(str(said["order"])), delivery.received_at)]
        if "bank" in said:
            if len(said.get("currency", "")) != 3:
                raise Malformed(f"{said.get('currency')!r} is no currency")
            line = BankLineBooked(f"bank:line:{said['bank']}", said["bank"], said["currency"], "payout", "2026-11-02")
            their = fact_id("shop", "BankLineBooked", str(said["bank"]))
            return [Fact(their, "shop", delivery.received_at, delivery.received_at, (line.bank_ref,), line)]
        return []

    async def fetch(self, feed: str, ref: str) -> Sequence[Fact]:
        return []

    async def pull(self, feed: str, cursor: str) -> Page:
        return Page((), cursor, False)

    async def send(self, effects: Sequence[Effect]) -> Sequence[Outcome]:
        return [Done() for _ in effects]

    async def find(self, effect: Effect) -> Outcome | None:
        return None

    async def aclose(self) -> None: ...

    async def check(self) -> Sequence[tuple[str, bool, str]]:
        return [("credentials", True, "")]


def a_sale(number: str = "5001", connection: str = "shop", paid: int = 2000, quantity: int = 1) -> Sale:
    """Delivered the day before, paid by card."""
    line = SoldLine(
        line_ref="L1",
        sku="TEE",
        quantity=quantity,
        delivered=quantity,
        unit_price_minor=paid // quantity,
        paid_minor=paid,
        taxes=(Tax("DE-19", 190_000, round(paid * 19 / 119)),),
        title="Tee shirt",
    )
    return Sale(
        sale_ref=f"{connection}:order:{number}",
        connection=connection,
        channel="web",
        currency="EUR",
        ordered_at=START - timedelta(days=4),
        delivered_at=START - timedelta(days=1),
        lines=(line,),
        payments=(Payment(f"pi_{number}", "card", paid, "psp"),),
        order_number=f"#{number}",
        customer_ref=f"{connection}:customer:7",
    )


def sale_fact(sale: Sale, at: datetime) -> Fact:
    made = fact_id(sale.connection, "SaleRecorded", sale.sale_ref, sale.version)
    return Fact(made, sale.connection, sale.ordered_at, at, (sale.sale_ref,), SaleRecorded(sale))


@dataclass
class World:
    url: str
    pool: Pool
    services: Services
    app: FastAPI
    client: httpx2.AsyncClient
    drain: CaseDrain
    now: datetime = START
    keys: dict[str, str] = field(default_factory=dict)
    posts: int = 0

    async def key(self, role: str, name: str = "", **more: Any) -> str:
        """The token of a key with this role, made the first time it is asked for."""
        name = name or f"the-{role}"
        if name not in self.keys:
            async with self.pool.connection() as conn:
                fields = {"environment": "test", **more}
                _, self.keys[name] = await api_keys.issue(
                    conn, PEPPER, name=name, role=role, now=self.services.clock(), **fields
                )
        return self.keys[name]

    async def get(self, path: str, role: str = "reader", name: str = "", **more: Any) -> httpx2.Response:
        return await self.client.get(path, headers=await self.bearer(role, name), **more)

    async def post(
        self, path: str, body: Any, role: str = "agent", name: str = "", key: str = "", **more: Any
    ) -> httpx2.Response:
        self.posts += 1
        self.now += timedelta(seconds=1)  # what is told later happened later
        headers = {**await self.bearer(role, name), "Idempotency-Key": key or f"post-{self.posts}"}
        return await self.client.post(path, json=body, headers=headers, **more)

    async def bearer(self, role: str, name: str = "") -> dict[str, str]:
        return {"Authorization": f"Bearer {await self.key(role, name)}"}

    async def sold(self, sale: Sale | None = None) -> Sale:
        sale = sale or a_sale()
        async with self.pool.connection() as conn:
            await accept(conn, [sale_fact(sale, self.now)])
        await self.settle()
        return sale

    async def tell(self, case_id: str, body: Body, n: int = 0, connection: str = "psp", origin: str = "psp") -> None:
        made = fact_id(connection, type(body).__name__, case_id, n)
        fact = Fact(made, connection, self.now, self.now, (f"case:{case_id}",), body, origin)
        async with self.pool.connection() as conn:
            await accept(conn, [fact])
        await self.settle()

    async def settle(self) -> None:
        """Decide everything that has been told."""
        async with self.pool.connection() as conn:
            while shards := await inbox.ready_shards(conn):
                for shard in sorted(shards):
                    await drain_shards(conn, self.drain, [shard])

    async def returned(self, sale: Sale | None = None, quantity: int = 1, name: str = "") -> str:
        """A return that an agent has opened for a sale: its case id."""
        sale = await self.sold(sale)
        answer = await self.post(
            "/cases", {"sale_ref": sale.sale_ref, "lines": [{"line_ref": "L1", "quantity": quantity}]}, name=name
        )
        assert answer.status_code == 202, answer.text
        await self.settle()
        return str(answer.json()["case_id"])


@asynccontextmanager
async def a_world(url: str, bounds: Bounds | None = None, **more: Any) -> AsyncIterator[World]:
    setting = Setting((default(),), ROUTES)
    async with make_pool(url, max_size=12) as pool:
        world: World
        shops = {"shop": Shop(), "shop-2": Shop()}

        def clock() -> datetime:
            return world.now

        intake = Intake(pool, shops, clock, Pressure(pool, bounds or Bounds()), 100_000)
        names = {"shop": "test", "shop-2": "test", "live": "production"}
        functions = frozenset({"returns", "stock", "refunds"})
        accounts = {name: Account(name, "toy", environment, functions, Limits()) for name, environment in names.items()}
        services = Services(pool, intake, setting, accounts, clock, PEPPER, max_body_bytes=100_000, **more)
        app = make_app(services)
        transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
        async with intake, httpx2.AsyncClient(transport=transport, base_url="http://counterflow.test") as client:
            drain = CaseDrain(decide, setting, clock)
            world = World(url, pool, services, app, client, drain)
            async with pool.connection() as conn:
                for name in shops:
                    await connections.ensure(conn, name, 10, START)
            yield world
