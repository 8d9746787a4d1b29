"""The scheduler: one thing at a time, chosen by the seed, until nothing is left to happen.

A turn takes one of what may happen now: a request arrives at a partner or its answer at us, a partner sends a message,
a notification of the database reaches a worker, a worker sweeps or pulls a feed, a person acts. When nothing may happen
the clock goes to the next instant at which something will. Between turns the production code runs until it waits.
"""

import asyncio
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from typing import Any

import httpx2

from counterflow.simulate.checks import Checks
from counterflow.simulate.failing import Failing
from counterflow.simulate.faults import Plan
from counterflow.simulate.loop import VirtualLoop
from counterflow.simulate.network import Network
from counterflow.simulate.people import People
from counterflow.simulate.player import Playing
from counterflow.simulate.policy import Rules
from counterflow.simulate.process import WorkerProcess
from counterflow.simulate.script import Story
from counterflow.simulate.store import Server
from counterflow.simulate.supervisor import Supervisor
from counterflow.simulate.town import STARTED, Broken, Ground, Outside

HOUR, DAY = 3600.0, 86_400.0
TURNS_MOST = 300_000
FEED_SECONDS = 6 * HOUR  # the clock goes no further at once while somebody waits for what only a sweep would find
# That a worker sweeps when nothing of ours is due, and that a feed which is due is pulled at a sweep and not at another
# one; the second: when nothing else happens, so that only a feed can tell what everybody waits for.
SWEEP_CHANCE, SWEEP_CHANCE_WAITING = 0.1, 1.0
FEED_CHANCE, FEED_CHANCE_WAITING = 0.1, 0.5
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

Act = tuple[float, str, Callable[[], Any]]  # weight, what, how; an awaitable is awaited


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
    playing: list[Playing] = field(init=False)
    notes: list[tuple[str, WorkerProcess]] = field(default_factory=list)
    commits: int = 0
    turns: int = 0
    trace: list[str] = field(default_factory=list)
    healing: bool = False
    last_act: float = 0.0
    pulled_at: float = 0.0

    def __post_init__(self) -> None:
        self.rng = random.Random(f"schedule:{self.seed}")
        self.digest = sha256()
        self.outside = Outside.open(self.loop, self.seed, self.ground.images)
        self.network = Network(
            self.loop,
            {
                "outside.simulated": lambda: self.outside.app,
                "api.simulated": lambda: self.supervisor.app,
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
        self.supervisor = Supervisor(self)
        self.people = People(self)
        self.feeds: dict[tuple[str, str], WorkerProcess] = {}
        self.checked = -1
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
            for worker in self.supervisor.workers:
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
        await self.supervisor.start_api()
        for _ in range(self.workers_at_start):
            await self.supervisor.start_worker()
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
            await self.supervisor.mind()
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
        for worker in self.supervisor.workers:
            if worker.must_look and not worker.looking:
                acts.append((1.0, f"sweep {worker.name}", partial(self._look, worker)))
        for feed, worker in self.feeds.items():
            acts.append((1.0, f"pull {worker.name} {feed}", partial(self._pull, feed, worker)))
        return acts + self.people.possible()

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

    def forget(self, worker: WorkerProcess) -> None:
        """It hears of nothing more, and pulls nothing."""
        self.notes = [note for note in self.notes if note[1] is not worker]
        self.feeds = {feed: who for feed, who in self.feeds.items() if who is not worker}

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
        await self.people.look_for_work()
        if self.people.to_mend:
            return True
        if (ours := await self.checks.next_due(_NEXT)) is not None:
            dues.append((ours - STARTED).total_seconds())
        dues += [
            playing.due for playing in self.playing if playing.step and not playing.busy and playing.since is not None
        ]
        dues += [*self.failing.dues(), self.people.others]
        dues = [max(due, now + 0.001) for due in dues]
        if self.at_rest():
            return False
        at_most = now + (DAY if self.healing else FEED_SECONDS)
        target = min([*dues, at_most])
        self.loop.virtual, self.waited = target, target == at_most
        self.note("time")
        due = ours is not None and (ours - STARTED).total_seconds() <= target
        chance = SWEEP_CHANCE_WAITING if self.waited else SWEEP_CHANCE
        for worker in self.supervisor.workers:
            worker.must_look |= due or bool(self.first_pull) or self.rng.random() < chance
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
        if self.checks.settled() and not self.first_pull and now - self.ended_at > DAY:
            return True
        if now - self.pulled_at > DAY:
            self._pull_all()  # calls still fail now and then, and a feed that failed is tried again
        if now - self.ended_at > REST_DAYS * DAY:
            raise Broken("I10", f"{REST_DAYS:.0f} days with healthy partners and no end: {self.checks.unsettled()}")
        return False

    def _pull_all(self) -> None:
        self.pulled_at = self.loop.virtual
        self.first_pull = {feed for worker in self.supervisor.workers for feed in self.feeds_of(worker)}

    def feeds_of(self, worker: WorkerProcess) -> Iterable[tuple[str, str]]:
        return worker.worker.pullers

    def by_hand(self) -> int:
        """How often operations had to do something."""
        return sum(tries for tries, _ in self.people.mending.values())

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
        self.supervisor.close()
        self.outside.close()


def void(_: object) -> None:
    """Nothing is given back."""
