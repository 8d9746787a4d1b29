"""The scheduler: one thing at a time, chosen by the seed, until nothing is left to happen.

A turn takes one of what may happen now: a request arrives at a partner or its answer at us, a partner sends a message,
a notification of the database reaches a worker, a worker sweeps or pulls a feed, a person acts. When nothing may happen
the clock goes to the next instant at which something will. Between turns the production code runs until it waits.
"""

import asyncio
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from hashlib import sha256
from typing import Any

import httpx2
import psycopg

from counterflow.simulate.checks import Checks
from counterflow.simulate.failing import Failing
from counterflow.simulate.faults import Plan
from counterflow.simulate.loop import VirtualLoop
from counterflow.simulate.network import Network, ask
from counterflow.simulate.player import Playing
from counterflow.simulate.policy import Rules
from counterflow.simulate.process import ApiProcess, Process, WorkerProcess
from counterflow.simulate.script import Story
from counterflow.simulate.store import Connection, Died, Server, Watch
from counterflow.simulate.town import API, PEOPLE, STARTED, Broken, Ground, Outside, acting

HOUR, DAY = 3600.0, 86_400.0
TURNS_MOST = 300_000
FEED_SECONDS = 6 * HOUR  # the clock goes no further at once while somebody waits for what only a sweep would find
# That a worker sweeps when nothing of ours is due, and that a feed which is due is pulled at a sweep and not at another
# one; the second: when nothing else happens, so that only a feed can tell what everybody waits for.
SWEEP_CHANCE, SWEEP_CHANCE_WAITING = 0.1, 1.0
FEED_CHANCE, FEED_CHANCE_WAITING = 0.1, 0.5
OTHERS_SECONDS, OTHERS_MINOR = DAY, 1_000_000  # what others pay: a provider that holds only refunds pays nothing out
REST_DAYS = 30.0  # so long after the last act everything must have ended, or wait for a person

# When the next thing of ours is due that lies in the future; the second: when a feed is due.
_NEXT = """
SELECT least(
    (SELECT min(due_at) FROM timers WHERE fired_at IS NULL AND due_at > %(now)s),
    (SELECT min(not_before) FROM effects WHERE status IN ('planned', 'unknown', 'accepted') AND not_before > %(now)s),
    (SELECT min(c.paused_until) FROM connections c
     WHERE c.paused_until > %(now)s AND EXISTS (SELECT 1 FROM effects e WHERE e.connection = c.name
                                                AND e.status IN ('planned', 'unknown', 'accepted'))),
    (SELECT min(opens_at) FROM inbox WHERE status = 'waiting' AND opens_at > %(now)s))
"""

# What operations do about an exception of the engine once they have mended its cause.
OPERATIONS = {
    "connection_auth": "retry", "effect_parked": "retry", "drift": "retry", "fact_parked": "retry",
    "malformed_delivery": "retry", "settlement_not_posted": "retry", "effect_stopped": "retry",
}  # fmt: skip
FINANCE = {"settlement_not_posted": "fred"}  # who does it there; all else is for whoever integrates
OPERATIONS_SECONDS = 4 * HOUR  # until they come to it, and until they try again
OPERATIONS_TRIES = 4
_FOR_OPERATIONS = """
SELECT exception_id, kind FROM exceptions WHERE status = 'open' AND kind = ANY(%s) AND raised_at <= %s
ORDER BY exception_id
"""

WRITE_CASES = ("drain", "call")  # the tasks whose commits may change a case: after any other there is nothing to check

Act = tuple[float, str, Callable[[], Any]]  # weight, what, how; an awaitable is awaited


@dataclass
class ProcessWatch(Watch):
    """What the connections of a process tell the kernel."""

    kernel: "Kernel"
    process: "Process | None" = None
    then: str = ""

    def _what(self) -> str:
        task = asyncio.current_task()
        assert self.process is not None
        return self.process.tasks.get(task, "call") if task is not None else "call"

    def statement(self, conn: Connection) -> None:
        if self.process is None:
            return
        kind = self.kernel.plan.at("statement", f"{self.process.kind} {self._what()}")
        if not kind:
            return
        self.kernel.note("fault", f"{kind} in {self.process.name} {self._what()}")
        if kind == "serialization":
            raise psycopg.errors.SerializationFailure("could not serialize access due to concurrent update")
        if kind == "disk_full":
            raise psycopg.errors.DiskFull("could not extend file: No space left on device")
        self.kernel.server.take_back(conn)
        raise psycopg.errors.AdminShutdown("terminating connection due to administrator command")

    def before_commit(self, conn: Connection) -> None:
        if self.process is None:
            return
        what = self._what()
        self.kernel.commits += what.startswith(WRITE_CASES)
        self.then = self.kernel.plan.at("commit", f"{self.process.kind} {what}")
        if self.then:
            self.kernel.note("fault", f"{self.then} in {self.process.name} {what}")
        if self.then == "crash_before_commit":
            self._die()

    def after_commit(self, conn: Connection, told: Sequence[str]) -> None:
        then, self.then = self.then, ""
        self.kernel.notify(told)
        if then == "crash_after_commit":
            self._die()
        if then == "commit_unknown":
            self.kernel.server.take_back(conn)
            raise psycopg.OperationalError("the connection was lost")

    def _die(self) -> None:
        assert self.process is not None
        self.kernel.dying.add(self.process.name)
        raise Died


@dataclass
class Kernel:
    """One run of one seed."""

    loop: VirtualLoop
    ground: Ground
    server: Server
    seed: int
    stories: Sequence[Story]
    plan: Plan
    workers_at_start: int = 1
    keep_trace: bool = False

    outside: Outside = field(init=False)
    network: Network = field(init=False)
    api: ApiProcess = field(init=False)
    workers: list[WorkerProcess] = field(default_factory=list)
    playing: list[Playing] = field(init=False)
    notes: list[tuple[str, WorkerProcess]] = field(default_factory=list)
    dying: set[str] = field(default_factory=set)
    commits: int = 0
    turns: int = 0
    generation: int = 0
    trace: list[str] = field(default_factory=list)
    healing: bool = False

    def __post_init__(self) -> None:
        self.rng = random.Random(f"schedule:{self.seed}")
        self.digest = sha256()
        self.outside = Outside.open(self.loop, self.seed, self.ground.images)
        self.network = Network(
            self.loop,
            {
                "outside.simulated": lambda: self.outside.app,
                "api.simulated": lambda: self.api.app if self.api_up else None,
            },
        )
        self.hooks = {}
        for name, world in self.outside.worlds.items():
            world.transport = self.network.of(name)
            self.hooks[name] = httpx2.AsyncClient(transport=world.transport)
        self.sending: dict[asyncio.Task[Any], tuple[str, int]] = {}
        self.playing = [Playing(story) for story in self.stories]
        self.failing = Failing(self)
        self.checks = Checks(self)
        self.rules = Rules(self)
        self.api_up = False
        self.looked_at = -1.0
        self.feeds: dict[tuple[str, str], WorkerProcess] = {}
        self.posting: dict[asyncio.Task[Any], Playing] = {}
        self.checked = -1
        self.others = OTHERS_SECONDS
        self.mending: dict[str, tuple[int, float]] = {}  # exception -> tries, when the next may be
        self.to_mend: list[tuple[str, str]] = []
        self.first_pull: set[tuple[str, str]] = set()  # after everything was mended each feed is pulled soon
        self.ended_at: float | None = None
        self.waited = False  # the clock went on although nothing was due

    # ---- telling -----------------------------------------------------------------------------------------------------

    def note(self, what: str, detail: str = "") -> None:
        line = f"{self.turns} {self.loop.virtual:.6f} {what} {detail}"
        self.digest.update(line.encode() + b"\n")
        if self.keep_trace:
            self.trace.append(line)

    def notify(self, told: Sequence[str]) -> None:
        for payload in told:
            for worker in self.workers:
                if (payload, worker) in self.notes:
                    continue
                if self.plan.at("notify"):
                    self.note("fault", f"lost_notify {payload}")
                    continue
                self.notes.append((payload, worker))
                self.note("told", payload)

    @property
    def days(self) -> float:
        return self.loop.virtual / DAY

    # ---- the run -----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Until rest. Raises Broken."""
        await self.start_api()
        for _ in range(self.workers_at_start):
            await self.start_worker()
        while self.turns < TURNS_MOST:
            self.turns += 1
            await self.failing.turn()
            acts = self.possible()
            if acts:
                _, what, how = self._choose(acts)
                self.note(what)
                done = how()
                if done is not None:
                    await done
            elif not await self.pass_time():
                break
            await self.loop.quiet()
            await self.mind()
            if self.commits != self.checked:
                self.checked = self.commits
                await self.checks.changed()
        else:
            raise Broken("I10", f"{TURNS_MOST} turns and no rest: {self.waiting_for()}")
        await self.checks.at_rest()

    def _choose(self, acts: Sequence[Act]) -> Act:
        return self.rng.choices(acts, [act[0] for act in acts])[0] if len(acts) > 1 else acts[0]

    def possible(self) -> list[Act]:
        now = self.loop.virtual
        acts: list[Act] = []
        for flight in self.network.flights:
            if flight.due > now:
                continue
            if not flight.delivered:
                acts.append((3.0, f"deliver {flight.label}", partial(self.failing.deliver, flight)))
            elif flight.ready:
                acts.append((3.0, f"reply {flight.label}", partial(self.failing.reply, flight)))
        for name, world in self.outside.worlds.items():
            due = world.next_due()
            if due is not None and due <= world.clock.now() and (act := self._outside(name)) is not None:
                acts.append(act)
        for n, (payload, worker) in enumerate(self.notes):
            acts.append((3.0, f"notify {worker.name} {payload}", partial(self._hear, n)))
        for worker in self.workers:
            if worker.must_look and not worker.looking:
                acts.append((1.0, f"sweep {worker.name}", partial(self._look, worker)))
        for feed, worker in self.feeds.items():
            acts.append((1.0, f"pull {worker.name} {feed}", partial(self._pull, feed, worker)))
        for n, (_, kind) in enumerate(self.to_mend):
            acts.append((1.0, f"operations {kind}", partial(self._mend, n)))
        if self.others <= now:
            acts.append((1.0, "others pay", self._others))
        for playing in self.playing:
            if playing.ready(self.checks.view_of(playing.case_ref()), now):
                acts.append((1.0, f"act {playing.story.title} {playing.at}", partial(self._act, playing)))
        return acts

    def _outside(self, name: str) -> Act | None:
        """Something by itself in an outside system: its agenda, or a message that it sends."""
        world = self.outside.worlds[name]
        if world.take_due(webhooks=False):
            return (2.0, f"agenda {name}", lambda: void(world.fire()))
        under_way = {seq for owner, seq in self.sending.values() if owner == name}
        due = [row for row in world.take_due(webhooks=True, limit=8 + len(under_way)) if row[0] not in under_way]
        if not due:
            return None
        row = due[0] if len(due) == 1 else self.rng.choice(due[:8])
        return (3.0, f"hook {name} {row[3]['label']}", partial(self.failing.hook, name, row))

    def send_hook(self, name: str, row: Any) -> None:
        seq, _, _, doc = row
        task = self.loop.create_task(self.outside.worlds[name].deliver(self.hooks[name], seq, doc))
        self.sending[task] = (name, seq)
        task.add_done_callback(lambda task: void(self.sending.pop(task, None)))

    def _hear(self, n: int) -> None:
        payload, worker = self.notes.pop(n)
        worker.worker.hear(payload)

    def _look(self, worker: WorkerProcess) -> None:
        worker.must_look, worker.looking = False, True
        chance = FEED_CHANCE_WAITING if self.waited else FEED_CHANCE

        async def look() -> None:
            try:
                feeds = await worker.look()
            finally:
                worker.looking = False
            for feed in feeds:
                if feed not in self.feeds and (feed in self.first_pull or self.rng.random() < chance):
                    self.first_pull.discard(feed)
                    self.feeds[feed] = worker

        worker.start("sweep", look())

    def _pull(self, feed: tuple[str, str], worker: WorkerProcess) -> None:
        del self.feeds[feed]
        worker.pull(feed)

    def _mend(self, n: int) -> None:
        """Somebody of operations does what the playbook says."""
        exception_id, kind = self.to_mend.pop(n)
        tries, _ = self.mending.get(exception_id, (0, 0.0))
        self.mending[exception_id] = (tries + 1, self.loop.virtual + OPERATIONS_SECONDS)
        # What still cannot be read after some time is found by the sweep: the delivery itself is given up.
        action = OPERATIONS[kind] if kind != "malformed_delivery" or tries == 0 else "resolve"
        self.loop.create_task(
            self.post(
                FINANCE.get(kind, "ivo"),
                f"/exceptions/{exception_id}/resolve",
                {"action": action, "reason": "the cause is mended"},
                f"{exception_id}-{tries}",
            )
        )

    async def _for_operations(self) -> None:
        now = self.outside.worlds["shop"].clock.now()
        since = now if self.healing else now - timedelta(seconds=OPERATIONS_SECONDS)
        for exception_id, kind in await self.checks.rows(_FOR_OPERATIONS, list(OPERATIONS), since):
            tries, again = self.mending.get(exception_id, (0, 0.0))
            # A connection has one exception for all its refusals: each is a new one, and never given up.
            if (tries < OPERATIONS_TRIES or kind == "connection_auth") and again <= self.loop.virtual:
                self.to_mend.append((exception_id, kind))

    def _others(self) -> None:
        self.others += OTHERS_SECONDS
        payment = {"payment_intent": f"pi_others_{self.others:.0f}", "amount_minor": OTHERS_MINOR, "currency": "eur"}
        self.loop.create_task(ask(self.outside.app, acting("psp", "pay", payment)))
        for refund in self.outside.worlds["psp"].all("refunds"):
            if refund.get("pending_reason") == "insufficient_funds":  # with that it goes through
                done = acting("psp", "complete_refund", {"refund": refund["id"]})
                self.loop.create_task(ask(self.outside.app, done))

    # ---- people ------------------------------------------------------------------------------------------------------

    def _act(self, playing: Playing) -> None:
        step = playing.step
        assert step is not None
        act, args = playing.bound(self.checks.view_of(playing.case_ref()))
        playing.busy = True
        if playing.posts:
            names = [name for name, role in PEOPLE.items() if role == step.role]
            cause = f"{playing.story.title}-{playing.at}"
            self._post(playing, names[0], act, args, cause, first=True)
            if self.plan.at("person", act) == "two_operators":
                self.note("fault", f"two_operators {act}")
                self._post(playing, names[1], act, args, cause, first=False)
        else:
            self.loop.create_task(self._do(playing, step.system, act, args))

    async def acted(self, system: str, act: str, **args: Any) -> None:
        """Something happens inside an outside system that no story tells of."""
        (await ask(self.outside.app, acting(system, act, args))).raise_for_status()

    async def _do(self, playing: Playing, system: str, act: str, args: Any) -> None:
        # Of people there nothing is lost on the way.
        answer = await ask(self.outside.app, acting(system, act, args))
        if answer.status_code >= 400:
            self.refused(playing, f"{system} refused {act}: {answer.text[:300]}")
            return
        playing.did(answer.json(), self.loop.virtual)

    def refused(self, playing: Playing, why: str) -> None:
        """Somebody could not do what the script says; after a fault that may be as it should."""
        playing.told.append(why)
        self.note("refused", why)
        if not self.plan.fired:
            raise Broken("story", f"{playing.story.title}: {why}")
        playing.did({}, self.loop.virtual)

    def _post(self, playing: Playing, name: str, path: str, body: Any, cause: str, *, first: bool) -> None:
        self.loop.create_task(self._posted(playing, name, path, body, cause, first))

    async def _posted(self, playing: Playing, name: str, path: str, body: Any, cause: str, first: bool) -> None:
        answer = await self.post(name, path, body, cause)
        if first:
            if answer.status_code >= 400:
                self.refused(playing, f"POST {path}: {answer.status_code} {answer.text[:300]}")
            else:
                playing.did(answer.json(), self.loop.virtual)

    async def post(self, name: str, path: str, body: Any, cause: str) -> httpx2.Response:
        """What a person does through the API, again while it gives no answer."""
        headers = {"Authorization": f"Bearer {self.ground.tokens[name]}", "Idempotency-Key": f"{name}-{cause}"}
        async with httpx2.AsyncClient(transport=self.network.of(name), base_url=API) as client:
            while True:
                try:
                    answer = await client.post(path, json=body, headers=headers)
                    if answer.status_code not in (409, 500, 503) or (
                        "in-flight" not in answer.text and (answer.status_code == 409)
                    ):
                        return answer
                except httpx2.HTTPError:
                    pass
                await asyncio.sleep(30.0)

    # ---- processes ---------------------------------------------------------------------------------------------------

    async def start_api(self) -> None:
        self.generation += 1
        watch = ProcessWatch(self)
        self.api = watch.process = ApiProcess(
            f"api{self.generation}", self.ground, self.loop, self.network, self.server, watch
        )
        await self.api.begin()
        self.api_up = True

    async def start_worker(self) -> WorkerProcess:
        self.generation += 1
        watch = ProcessWatch(self)
        worker = watch.process = WorkerProcess(
            f"w{self.generation}", self.ground, self.loop, self.network, self.server, watch
        )
        self.workers.append(worker)
        await self._begin(worker)
        return worker

    async def _begin(self, worker: WorkerProcess) -> None:
        while True:
            try:
                await worker.begin()
                return
            except (Died, psycopg.OperationalError) as error:
                self.note("begin", f"{worker.name}: {type(error).__name__}")
                worker.renew()
                self.dying.discard(worker.name)

    async def mind(self) -> None:
        """What a supervisor does: see what has ended, and start it again."""
        while True:
            again = False
            for worker in [*self.workers]:
                again |= await self._mind_worker(worker)
            failed = [(what, error) for what, error in self.api.ended() if error is not None]
            for what, error in failed:
                if not isinstance(error, Died):
                    raise Broken("process", f"the API's {what} ended with {type(error).__name__}: {error}") from error
            if self.api.name in self.dying or failed:
                self.note("died", self.api.name)
                await self.restart_api()
                again = True
            if not again:
                return
            await self.loop.quiet()

    async def _mind_worker(self, worker: WorkerProcess) -> bool:
        ended = worker.ended()
        if worker.name in self.dying:
            await self.kill(worker)
            return True
        for what, error in ended:
            if error is None and not what.startswith(("drain", "effects")):
                continue
            if isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError)):
                self.note("database lost", f"{worker.name} {what}")
                await self._restart(worker)
                return True
            raise Broken("process", f"{worker.name}: {what} ended with {type(error).__name__}: {error}") from error
        return False

    async def kill(self, worker: WorkerProcess, *, again: bool = True) -> None:
        """It ends at once; what it was sending may still arrive."""
        self.note("died", worker.name)
        self._gone(worker)
        self.workers.remove(worker)
        for other in self.workers:
            other.must_look = True
        if again:
            await self.start_worker()

    async def _restart(self, worker: WorkerProcess) -> None:
        """The process lives on, its work begins anew under another name."""
        self._gone(worker)
        worker.renew()
        await self._begin(worker)

    def _gone(self, worker: WorkerProcess) -> None:
        worker.stop()
        self.dying.discard(worker.name)
        self.notes = [note for note in self.notes if note[1] is not worker]
        self.feeds = {feed: who for feed, who in self.feeds.items() if who is not worker}
        worker.looking = False
        for flight in [flight for flight in self.network.flights if flight.origin == worker.name]:
            if not flight.delivered and self.rng.random() < 0.5:
                self.network.drop(flight)

    async def restart_api(self) -> None:
        self.dying.discard(self.api.name)
        self.api_up = False
        self.api.stop()
        for flight in self.network.flights:
            if flight.target == "api" and flight.task is not None and not flight.task.done():
                flight.task.cancel()
        await self.start_api()

    async def replace_processes(self) -> None:
        """Every process of ours by a new one, with work under way."""
        for worker in [*self.workers]:
            await self.kill(worker)
        await self.restart_api()

    # ---- time --------------------------------------------------------------------------------------------------------

    async def pass_time(self) -> bool:
        """Let the clock go on to what is next; False when all is at rest."""
        now = self.loop.virtual
        dues = [flight.due for flight in self.network.flights if flight.due > now]
        dues += [flight.timeout_at for flight in self.network.flights if flight.awaited and flight.timeout_at > now]
        if (timer := self.loop.next_timer()) is not None:
            dues.append(timer)
        if (outside := self.outside.next_due()) is not None:
            dues.append((outside - STARTED).total_seconds())
        await self._for_operations()
        if self.to_mend:
            return True
        if (ours := await self.checks.next_due(_NEXT)) is not None:
            dues.append((ours - STARTED).total_seconds())
        dues += [
            playing.due for playing in self.playing if playing.step and not playing.busy and playing.since is not None
        ]
        dues += [*self.failing.dues(), self.others]
        dues = [max(due, now + 0.001) for due in dues]
        if self.at_rest():
            return False
        at_most = now + (DAY if self.healing else FEED_SECONDS)
        target = min([*dues, at_most])
        self.loop.virtual, self.waited = target, target == at_most
        self.note("time")
        due = ours is not None and (ours - STARTED).total_seconds() <= target
        chance = SWEEP_CHANCE_WAITING if self.waited else SWEEP_CHANCE
        for worker in self.workers:
            worker.must_look |= due or self.rng.random() < chance
        for flight in [*self.network.flights]:
            if flight.awaited and flight.timeout_at <= target:
                self.network.fail(flight, httpx2.ReadTimeout("no answer in time"))
        return True

    def at_rest(self) -> bool:
        """Whether nothing more has to happen. Raises Broken when it takes too long."""
        now = self.loop.virtual
        if any(playing.step is not None for playing in self.playing):
            since = max((playing.since or 0.0 for playing in self.playing), default=0.0)
            if now - max(since, self.last_act) > REST_DAYS * DAY:
                raise Broken("I10", f"a story is stuck: {self.waiting_for()}")
            self.last_act = max(self.last_act, since)
            return False
        if self.ended_at is None:
            self.ended_at = now
            self.failing.heal()
            self.healing = True
            self._pull_all()
            return False
        if self.network.flights or self.sending or self.failing.late_until > now:
            return False
        if self.checks.settled() and now - self.ended_at > DAY:
            return True
        if now - self.pulled_at > DAY:
            self._pull_all()  # calls still fail now and then, and a feed that failed is tried again
        if now - self.ended_at > REST_DAYS * DAY:
            raise Broken("I10", f"{REST_DAYS:.0f} days with healthy partners and no end: {self.checks.unsettled()}")
        return False

    def _pull_all(self) -> None:
        self.pulled_at = self.loop.virtual
        self.first_pull = {feed for worker in self.workers for feed in self.feeds_of(worker)}

    def feeds_of(self, worker: WorkerProcess) -> Iterable[tuple[str, str]]:
        return worker.worker.pullers

    def by_hand(self) -> int:
        """How often operations had to do something."""
        return sum(tries for tries, _ in self.mending.values())

    last_act: float = 0.0
    pulled_at: float = 0.0

    def waiting_for(self) -> str:
        """What the stories wait for, for whoever reads the finding."""
        said = []
        for playing in self.playing:
            if (step := playing.step) is not None:
                view = self.checks.view_of(playing.case_ref())
                said.append(
                    f"{playing.story.title} before step {playing.at} {step.system} {step.act} {step.when}: "
                    + self.checks.told(view)
                )
        return "; ".join(said)

    def close(self) -> None:
        for worker in self.workers:
            worker.stop()
        if self.api_up:
            self.api.stop()
        self.outside.close()


def void(_: object) -> None:
    """Nothing is given back."""
