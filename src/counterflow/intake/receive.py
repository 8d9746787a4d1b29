"""A delivery from the door to the inbox: verified, kept raw, known repeats dropped, translated; then it is answered.

Answers come after the commit. Concurrent deliveries share one: a committer takes what is waiting and waits for nothing.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

import psycopg
from uuid_utils import uuid7

from counterflow.core.effects import Effect
from counterflow.core.facts import Fact
from counterflow.core.ids import make_id
from counterflow.intake.accept import accept, look, split
from counterflow.intake.pressure import Pressure
from counterflow.sdk.connector import Clock, Connector, Delivery
from counterflow.sdk.http import redact
from counterflow.sdk.outcomes import AuthFailed, Malformed, legible
from counterflow.store import deliveries, exceptions
from counterflow.store.deliveries import Kept
from counterflow.store.exceptions import Raised
from counterflow.store.pool import Pool, gone, mend

GROUP_MOST = 64
COMMITTERS = 2
# What a delivery says may be no text, no number or no key that Postgres takes.
_UNWRITABLE = (psycopg.DataError, psycopg.errors.ProgramLimitExceeded, ValueError)
BODY_BYTES_MOST = 2_000_000


class UnknownConnection(Exception):
    """No connection has this name."""


class TooLarge(Exception):
    """The body is larger than we take; nothing was kept."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the sender is told. A repeat gets the same receipt as the first, with `repeat` set."""

    delivery_id: str
    status: str  # translated | ignored | malformed; of facts told by ourselves: translated
    facts: int
    repeat: bool = False


@dataclass(frozen=True, slots=True)
class Job:
    """A delivery (or facts of ours) that waits for its commit."""

    kept: Kept | None
    facts: Sequence[Fact]
    looks: Sequence[Effect]
    answer: "asyncio.Future[Receipt]"


@dataclass(slots=True)
class Intake:
    """The door. `async with Intake(...) as intake` runs its committers."""

    pool: Pool
    connectors: Mapping[str, Connector]
    clock: Clock
    pressure: Pressure
    body_bytes_most: int = BODY_BYTES_MOST
    new_id: Callable[[], str] = lambda: uuid7().hex
    waiting: list[Job] = field(init=False, default_factory=list)
    arrived: asyncio.Event = field(init=False, default_factory=asyncio.Event)
    committers: list["asyncio.Task[None]"] = field(init=False, default_factory=list)

    async def __aenter__(self) -> "Intake":
        self.committers = [asyncio.create_task(self._commit_waiting()) for _ in range(COMMITTERS)]
        return self

    async def __aexit__(self, *_: object) -> None:
        for committer in self.committers:
            committer.cancel()
        await asyncio.gather(*self.committers, return_exceptions=True)
        for job in self.waiting:
            job.answer.cancel()

    async def receive(self, delivery: Delivery) -> Receipt:
        """Take one delivery. Raises UnknownConnection, TooLarge, Busy, AuthFailed (counted, a sample kept).

        A delivery that breaks its contract is kept with the reason, an exception is raised for a person, and the
        receipt says `malformed`: sending it again would not help.
        """
        connector = self.connectors.get(delivery.connection)
        if connector is None:
            raise UnknownConnection(f"there is no connection {delivery.connection!r}")
        if len(delivery.body) > self.body_bytes_most:
            raise TooLarge(f"{len(delivery.body)} bytes; at most {self.body_bytes_most} are taken")
        try:
            connector.verify(delivery)
        except AuthFailed as error:
            await self._reject(delivery, error)
            raise
        await self.pressure.check()
        return await self._enqueue(*translated(connector, delivery, f"dl_{self.new_id()}"))

    async def tell(self, facts: Sequence[Fact]) -> Receipt:
        """Facts from people and programs of ours (API, console): stored when this returns. Raises Busy."""
        await self.pressure.check()
        return await self._enqueue(None, facts, ())

    # ---- one delivery ------------------------------------------------------------------------------------------------

    async def _reject(self, delivery: Delivery, error: AuthFailed) -> None:
        headers = "\n".join(f"{name}: {redact(', '.join(values))}" for name, values in delivery.headers.items())
        body = redact(delivery.body[: deliveries.SAMPLE_BYTES].decode("utf-8", "replace"))
        sample = {"headers": headers.replace("\x00", ""), "body": body.replace("\x00", "")}
        async with self.pool.connection() as conn:
            await deliveries.reject(conn, delivery.connection, error.code or error.word, sample, delivery.received_at)

    # ---- group commit ------------------------------------------------------------------------------------------------

    async def _enqueue(self, kept: Kept | None, facts: Sequence[Fact], looks: Sequence[Effect]) -> Receipt:
        answer: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        self.waiting.append(Job(kept, facts, looks, answer))
        self.arrived.set()
        return await answer

    async def _commit_waiting(self) -> None:
        while True:
            await self.arrived.wait()
            jobs, self.waiting = self.waiting[:GROUP_MOST], self.waiting[GROUP_MOST:]
            if not self.waiting:
                self.arrived.clear()
            if jobs:
                await self._commit_group(jobs)

    async def _commit_group(self, jobs: Sequence[Job]) -> None:
        """All in one transaction; if that fails one by one, so that one cannot fail its neighbours."""
        try:
            receipts = await self._commit_twice(jobs)
        except Exception as error:
            if gone(error):  # the database is gone: nobody is answered with a receipt
                for job in jobs:
                    if not job.answer.done():
                        job.answer.set_exception(error)
                return
            if len(jobs) > 1:
                for job in jobs:
                    await self._commit_group([job])
                return
            job = jobs[0]
            if job.kept is not None and job.kept.status != "malformed" and isinstance(error, _UNWRITABLE):
                key = _raw_key(job.kept.connection, job.kept.body)
                reason = legible(f"what it says cannot be stored: {error}")
                kept = replace(job.kept, delivery_key=key, status="malformed", facts=0, reason=reason)
                await self._commit_group([replace(job, kept=kept, facts=(), looks=())])
            elif not job.answer.done():
                job.answer.set_exception(error)
            return
        for job, receipt in zip(jobs, receipts, strict=True):
            if not job.answer.done():
                job.answer.set_result(receipt)

    async def _commit_twice(self, jobs: Sequence[Job]) -> list[Receipt]:
        """Once more on a fresh connection if the first was cut. If that one had committed, these are repeats of it."""
        try:
            return await self._commit(jobs)
        except psycopg.OperationalError:
            await mend(self.pool)
            return await self._commit(jobs)

    async def _commit(self, jobs: Sequence[Job]) -> list[Receipt]:
        async with self.pool.connection() as conn, conn.transaction():
            keep = [job.kept for job in jobs if job.kept is not None]
            new = await deliveries.keep(conn, keep) if keep else set()
            fresh = [job for job in jobs if job.kept is None or job.kept.delivery_id in new]
            facts = [fact for job in fresh for fact in job.facts]
            looks = [effect for job in fresh for effect in job.looks]
            if facts or looks:
                await accept(conn, facts, looks)
            broken = [k for k in keep if k.status == "malformed" and k.delivery_id in new]
            await exceptions.put(conn, [self._malformed(k) for k in broken])
            receipts = []
            for job in jobs:
                kept = job.kept
                if kept is None:
                    receipts.append(Receipt("", "translated", len(job.facts)))
                elif kept.delivery_id in new:
                    receipts.append(Receipt(kept.delivery_id, kept.status, kept.facts))
                else:
                    first = await deliveries.known(conn, kept.connection, kept.delivery_key)
                    assert first is not None, "a delivery that is not new has a first one"
                    receipts.append(Receipt(*first, repeat=True))
        return receipts

    def _malformed(self, kept: Kept) -> Raised:
        return Raised(
            make_id("ex", "malformed_delivery", kept.connection, kept.delivery_key),
            "malformed_delivery",
            "medium",
            "integration",
            kept.delivery_id,
            kept.received_at,
            kept.received_at + timedelta(hours=24),
            f"{kept.connection} sent something that we cannot read ({kept.reason[:300]}). The raw body is kept: "
            "compare it with their documentation, then translate it again",
        )


def translated(connector: Connector, delivery: Delivery, delivery_id: str) -> tuple[Kept, list[Fact], list[Effect]]:
    """The delivery with what it says; a body that cannot be read is `malformed` and says nothing. Pure."""
    facts: list[Fact] = []
    looks: list[Effect] = []
    try:
        key = connector.identify(delivery)
        facts, signals = split(connector.translate(delivery))
        facts = [replace(fact, delivery_id=delivery_id) for fact in facts]
        cause = key or delivery_id
        looks = [look(delivery.connection, signal, cause, delivery.received_at) for signal in signals]
        status, reason = ("translated" if facts or looks else "ignored"), ""
    except Malformed as error:
        status, reason = "malformed", error.message
    except Exception as error:  # a bug of the translation: the raw body is kept, so that it can be done again
        status, reason = "malformed", f"the translation failed: {type(error).__name__}: {error}"[:500]
    if status == "malformed":
        facts, looks = [], []
        key = _raw_key(delivery.connection, delivery.body)
    count = len(facts) + len(looks)
    kept = Kept(
        delivery_id,
        delivery.connection,
        key or delivery_id,
        dict(delivery.headers),
        delivery.body,
        delivery.received_at,
        status,
        count,
        legible(reason),
    )
    return kept, facts, looks


def _raw_key(connection: str, body: bytes) -> str:
    """What stands for the identity of a delivery that cannot be read."""
    return make_id("raw", connection, body.hex())
