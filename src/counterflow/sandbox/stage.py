"""What a story can do: buy, act in any system, wait for what should follow, and be the person who decides."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import httpx2
import msgspec
import psycopg

from counterflow.core.money import to_major
from counterflow.core.returns.case import Setting, View
from counterflow.sandbox.conductor import Conductor
from counterflow.store.pool import Pool

T = TypeVar("T")
PATIENCE_SECONDS = 90.0  # of real time without any progress: the clock of the world jumps, so a story is stuck then
AGAIN_SECONDS = 0.1  # after somebody did not answer who is being started again


class Stuck(Exception):
    """A story waited in vain; the message says for what, and what the case says instead."""


@dataclass(frozen=True, slots=True)
class Bought:
    """A sale as all systems know it."""

    number: str  # "#1001"
    order_id: str
    payment: str
    total_minor: int
    currency: str
    lines: tuple[str, ...]  # as the shop names them in its documents


@dataclass(slots=True)
class Stage:
    outside: httpx2.AsyncClient
    api: httpx2.AsyncClient
    pool: Pool
    conductor: Conductor
    home: Path
    setting: Setting
    cases: dict[str, list[str]] = field(default_factory=dict)  # story -> its cases
    payments: int = 0
    posts: int = 0
    killing: bool = False  # what runs is being killed: attempts fail that a story knows nothing of
    outside_is_up: asyncio.Lock = field(default_factory=asyncio.Lock)  # held by who acts there, and by who restarts it

    # ---- acting in the outside world ---------------------------------------------------------------------------------

    async def act(self, system: str, name: str, **payload: Any) -> dict[str, Any]:
        """Do something in a system as a person there would. Raises httpx2.HTTPStatusError when it refuses."""
        async with self.outside_is_up:
            answer = await self.outside.post(f"/{system}/_sim/do/{name}", json=payload)
        if answer.status_code >= 400:
            raise Stuck(f"{system} refused {name}: {answer.text[:300]}")
        result: dict[str, Any] = answer.json()
        return result

    async def fault(self, system: str, name: str, times: int = 1, match: str = "", seconds: float = 0.0) -> None:
        """Let the wire to a system fail."""
        payload = {"name": name, "times": times, "match": match, "seconds": seconds}
        async with self.outside_is_up:
            (await self.outside.post(f"/{system}/_sim/faults", json=payload)).raise_for_status()

    async def mend(self, system: str) -> None:
        async with self.outside_is_up:
            (await self.outside.delete(f"/{system}/_sim/faults")).raise_for_status()

    async def buy(self, *lines: dict[str, Any], currency: str = "EUR", **order: Any) -> Bought:
        """A finished sale: ordered and shipped by the shop, captured by the provider, invoiced and paid in the ERP.

        `lines`: sku, quantity, price (minor units, tax included), discount (minor units), serial, lot, components.
        """
        self.payments += 1
        payment = f"pi_{self.payments:06d}"
        gift_card = order.pop("gift_card_minor", 0)
        major = partial(_major, currency=currency)
        marketplace = order.pop("marketplace", False)
        wanted = [_shop_line(line) for line in lines]
        total = sum(line["quantity"] * line["price"] - line.get("discount", 0) for line in lines)
        total += order.get("shipping", {}).get("amount_minor", 0)
        if not marketplace:
            await self.act(
                "psp", "pay", amount_minor=total - gift_card, currency=currency.lower(), payment_intent=payment
            )
            order["tenders"] = [{"gateway": "stripe", "amount_minor": total - gift_card, "payment_id": payment}]
        else:
            order["marketplace"] = marketplace
        if gift_card:
            card = await self.act("shop", "issue_gift_card", amount_minor=gift_card, currency=currency)
            order["tenders"].append({"gateway": "gift_card", "amount_minor": gift_card, "gift_card": card["id"]})
        placed = await self.act(
            "shop",
            "place_order",
            lines=wanted,
            taxes_included=True,
            presentment_currency=currency,
            fulfil=True,
            customer={"email": f"{payment}@example.com", "first_name": "Kim", "last_name": "Example"},
            **order,
        )
        await self.act(
            "odoo",
            "sell",
            order_ref=placed["name"],
            customer={"ref": payment, "name": "Kim Example", "email": f"{payment}@example.com"},
            currency=currency,
            lines=[_erp_line(line, currency) for line in lines]
            + (
                [{"sku": "SHIPPING", "price": major(order["shipping"]["amount_minor"]), "taxes": ["19% incl."]}]
                if "shipping" in order
                else []
            ),
            payments=[
                {"journal": "BNK1" if marketplace else "STRIP", "amount": major(total - gift_card), "ref": payment}
            ]
            + ([{"journal": "GIFT", "amount": major(gift_card), "ref": "gift card"}] if gift_card else []),
        )
        sold = tuple(line["id"].rpartition("/")[2] for line in placed.get("lines", ()))
        return Bought(placed["name"], placed["id"], payment, total, currency, sold)

    # ---- waiting -----------------------------------------------------------------------------------------------------

    async def until(self, what: str, look: Callable[[], Awaitable[T | None]]) -> T:
        """Wait until `look` gives something; meanwhile the world's clock may jump. Raises Stuck.

        A busy machine is slow and not stuck: the patience begins anew whenever a case changes or the clock jumps.
        """
        seen: tuple[object, int] | None = None
        deadline = 0.0
        while True:
            news = self.conductor.news
            if seen != (news, self.conductor.jumps):
                seen, deadline = (news, self.conductor.jumps), time.monotonic() + PATIENCE_SECONDS
            found = await look()
            if found is not None:
                return found
            if time.monotonic() > deadline:
                raise Stuck(f"waited in vain for {what}")
            self.conductor.waiting += 1
            try:
                async with asyncio.timeout(1.0):
                    await news.wait()
            except TimeoutError:
                pass
            finally:
                self.conductor.waiting -= 1

    async def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """What our database holds; one that is being started again is waited for."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            with contextlib.suppress(psycopg.OperationalError):
                async with self.pool.connection() as conn:
                    return await (await conn.execute(query, values)).fetchall()
            if time.monotonic() > deadline:
                raise Stuck("our database does not answer")
            await asyncio.sleep(AGAIN_SECONDS)

    async def view(self, case_id: str) -> View | None:
        found = await self.rows("SELECT view::text FROM cases WHERE case_id = %s", case_id)
        return msgspec.json.decode(found[0][0], type=View) if found else None

    async def case_of(self, story: str, ref: str) -> str:
        """The case that is found by a reference, once there is one that this story does not have yet."""

        async def look() -> str | None:
            found = await self.rows(
                "SELECT target FROM xref WHERE ref = %s AND kind = 'case' AND target <> ALL(%s) LIMIT 1",
                ref,
                self.cases.get(story, []),
            )
            return found[0][0] if found else None

        case_id = await self.until(f"a case for {ref}", look)
        self.cases.setdefault(story, []).append(case_id)
        return case_id

    async def see(self, case_id: str, what: str, holds: Callable[[View], bool]) -> View:
        """Wait until the case's view satisfies a condition. Raises Stuck with what the case says."""

        async def look() -> View | None:
            view = await self.view(case_id)
            return view if view is not None and holds(view) else None

        try:
            return await self.until(f"{case_id}: {what}", look)
        except Stuck as stuck:
            raise Stuck(f"{stuck}; {told(await self.view(case_id))}") from None

    async def outcomes(self, case_id: str, kind: str) -> list[str]:
        """What the attempts for the case's effects of a kind gave, in order."""
        found = await self.rows(
            "SELECT outcome FROM attempts JOIN effects USING (effect_id) WHERE owner = %s AND kind = %s"
            " ORDER BY started_at, n",
            case_id,
            kind,
        )
        return [str(outcome) for (outcome,) in found]

    async def looked_up(self, case_id: str, kind: str) -> None:
        """The answer to the case's one effect of this kind was lost: it was looked up and found, not sent again."""
        outcomes = await self.outcomes(case_id, kind)
        if self.killing:  # who would have lost the answer may have been killed, and who looked it up
            assert outcomes[-1:] == ["done"] and outcomes.count("done") == 1, outcomes
        else:
            assert outcomes == ["unknown", "done"], outcomes

    async def reaches(self, case_id: str, *statuses: str) -> View:
        return await self.see(case_id, " or ".join(statuses), lambda view: view.status in statuses)

    async def goods(self, case_id: str, state: str) -> View:
        return await self.see(case_id, f"goods {state}", lambda v: any(u.goods == state for u in v.units))

    async def raised(self, case_id: str, kind: str) -> str:
        """Wait for an exception of a kind; its id."""
        view = await self.see(case_id, f"an exception {kind}", lambda v: any(e.kind == kind for e in v.exceptions))
        return next(e.exception_id for e in view.exceptions if e.kind == kind)

    async def sweep(self, connection: str) -> None:
        """Let a connection's sweeps run now, and wait for them: time jumps only to what is known to come."""
        now = self.conductor.clock.now()
        async with self.pool.connection() as conn:
            await conn.execute("UPDATE pulls SET due_at = %s WHERE connection = %s", (now, connection))
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            ((left,),) = await self.rows(
                "SELECT count(*) FROM pulls p WHERE connection = %s AND NOT EXISTS (SELECT 1 FROM cursors c"
                " WHERE c.connection = p.connection AND c.feed = p.feed AND c.pulled_at >= %s)",
                connection,
                now,
            )
            if not left:
                return
            await asyncio.sleep(AGAIN_SECONDS)
        raise Stuck(f"the sweeps of {connection} do not end")

    # ---- people at the console ---------------------------------------------------------------------------------------

    async def post(self, path: str, **body: Any) -> dict[str, Any]:
        """What an agent does through the API, again where it gave no answer. Raises Stuck with its problem."""
        self.posts += 1
        headers = {"Idempotency-Key": f"story-{id(self)}-{self.posts}"}
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            answer = None
            with contextlib.suppress(httpx2.TransportError):
                answer = await self.api.post(path, json=body, headers=headers)
            if answer is not None and answer.status_code != 503:
                break
            if time.monotonic() > deadline:
                raise Stuck(f"POST {path}: the API does not answer")
            await asyncio.sleep(AGAIN_SECONDS)
        if answer.status_code >= 400:
            raise Stuck(f"POST {path}: {answer.status_code} {answer.text[:300]}")
        result: dict[str, Any] = answer.json()
        return result

    async def resolve(self, case_id: str, kind: str, action: str, reason: str) -> None:
        exception_id = await self.raised(case_id, kind)
        await self.post(f"/exceptions/{exception_id}/resolve", action=action, reason=reason)


def told(view: View | None) -> str:
    """What a case says, for a story that is stuck."""
    if view is None:
        return "there is no such case"
    waits = "; ".join(w.what for w in view.waiting)
    problems = "; ".join(f"{e.kind}: {e.message}" for e in view.exceptions)
    return f"it is {view.status}, waits for: {waits or '-'}, exceptions: {problems or '-'}"


def _shop_line(line: dict[str, Any]) -> dict[str, Any]:
    attributes = {key: line[key] for key in ("serial", "lot") if key in line}
    made: dict[str, Any] = {"sku": line["sku"], "quantity": line["quantity"], "unit_price_minor": line["price"]}
    made["tax_rates"] = [{"title": "DE-19", "rate": 0.19}]
    if line.get("discount"):
        made["discounts"] = [{"title": "promotion", "amount_minor": line["discount"]}]
    if attributes:
        made["attributes"] = attributes
    if "components" in line:
        made["components"] = [_shop_line(part) for part in line["components"]]
    return made


def _major(minor: int, currency: str) -> float:
    """As a person at the ERP types it."""
    return float(to_major(minor, currency))


def _erp_line(line: dict[str, Any], currency: str) -> dict[str, Any]:
    full = line["quantity"] * line["price"]
    made = {
        "sku": line["sku"],
        "quantity": line["quantity"],
        "price": _major(line["price"], currency),
        "discount": round(100 * line.get("discount", 0) / full, 6) if full else 0.0,
        "taxes": ["19% incl."],
    }
    lots = [line[key] for key in ("serial", "lot") if key in line]
    return {**made, "lots": lots} if lots else made
