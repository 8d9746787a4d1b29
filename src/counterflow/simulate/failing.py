"""How each kind of failure is carried out: on the wire, in a process, at a partner, to the clock."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx2

from counterflow.simulate.faults import PARTNERS
from counterflow.simulate.network import Flight

if TYPE_CHECKING:
    from counterflow.sdk.simulator import World
    from counterflow.simulate.kernel import Kernel

HOUR, DAY = 3600.0, 86_400.0
WORKERS_MOST = 3
# A partner that has given no answer may still do it, but not later than the connectors assume (settle_seconds).
LATE_SECONDS = 1.9
LAG_SECONDS = 100.0  # so old is what a list may lack: less than any connector's `lag_seconds`
SITES = ("till-1", "wms")
_STAMPS = ("updatedAt", "write_date", "created")  # what tells when a row changed: Shopify, Odoo, Stripe


@dataclass
class Failing:
    """The failures of one run that are under way. Instants are of the virtual clock."""

    kernel: "Kernel"
    down: dict[str, float] = field(default_factory=dict)  # system -> until
    silent: dict[str, float] = field(default_factory=dict)
    refusing: dict[str, float] = field(default_factory=dict)  # credentials, until a person renews them
    skewed: dict[str, float] = field(default_factory=dict)  # process -> until
    offline: dict[str, float] = field(default_factory=dict)  # site -> until
    next_hook: str = ""
    late_until: float = 0.0  # no world is at rest before its last message has come

    # ---- calls and messages ------------------------------------------------------------------------------------------

    def hook(self, name: str, row: Any) -> None:
        """A partner is about to send a message."""
        kernel, world = self.kernel, self.kernel.outside.worlds[name]
        seq, _, kind, doc = row
        ours = "api.simulated" in doc["url"]
        fault = kernel.plan.at("hook", f"{name} {doc['label'].partition(' ')[0]}") if ours else ""
        if fault:
            kernel.note("fault", f"{fault} {name} {doc['label']}")
        if ours and (fault == "lost_webhook" or self.silent.get(name, 0.0) > kernel.loop.virtual):
            world.drop(seq)
            return
        rng = kernel.plan.rng()
        if fault in ("delay", "reorder"):
            late = rng.uniform(1.0, 3 * DAY) if fault == "delay" else rng.uniform(1.0, 600.0)
            world.drop(seq)
            self._later(world, late, kind, doc)
            return
        if fault == "duplicate":
            for _ in range(rng.randint(1, 4)):
                self._later(world, rng.choice((0.0, 0.0, 5.0, HOUR, 2 * DAY, 5 * DAY)), kind, doc)
        self.next_hook = fault
        kernel.send_hook(name, row)

    def _later(self, world: "World", seconds: float, kind: str, doc: Any) -> None:
        world.at(world.clock.now() + _seconds(seconds), kind, doc)
        self.late_until = max(self.late_until, self.kernel.loop.virtual + seconds)

    async def deliver(self, flight: Flight) -> None:
        """A request arrives, or does not."""
        kernel = self.kernel
        if flight.target == "api":
            message = "/webhooks/" in flight.request.url.path  # what a person sends is not altered on its way
            if (self.next_hook == "lost_ack" or (self.next_hook == "corrupted" and message)) and not flight.fault:
                flight.fault, self.next_hook = self.next_hook, ""
            if flight.fault == "corrupted":
                flight.request = _altered(flight.request, kernel.plan.rng())
            kernel.network.deliver(flight)
            return
        if self.refuses(flight):
            return
        worker = next((worker for worker in kernel.supervisor.workers if worker.name == flight.origin), None)
        fault = kernel.plan.at("call", flight.label) if worker is not None and flight.awaited else ""
        if not fault:
            kernel.network.deliver(flight)
            return
        assert worker is not None
        kernel.note("fault", f"{fault} {flight.label}")
        flight.fault = fault
        rng = kernel.plan.rng()
        world = kernel.outside.worlds[flight.target]
        if fault == "crash_before_call":
            kernel.network.drop(flight)
            kernel.supervisor.dying.add(worker.name)
        elif fault == "timeout_before":
            flight.delivered, flight.due = True, flight.timeout_at
            flight.error = httpx2.ReadTimeout("no answer in time")
        elif fault == "timeout_then_done":
            flight.due = flight.timeout_at + rng.uniform(0.0, LATE_SECONDS)
        elif fault in ("error_after", "rate_limited"):
            world.fault(fault)
            kernel.network.deliver(flight)
        elif fault in PARTNERS:  # at its next occasion: whatever is asked there now may be none
            system, said = rng.choice(sorted(PARTNERS[fault].items()))
            kernel.outside.worlds[system].fault(said)
            kernel.network.deliver(flight)
        else:
            if fault == "timeout_after":
                flight.due = flight.timeout_at
            if fault == "slow":
                flight.due = kernel.loop.virtual + rng.uniform(1.0, 120.0)
            kernel.network.deliver(flight)

    def refuses(self, flight: Flight) -> bool:
        """The partner is down, or does not take our credentials."""
        now = self.kernel.loop.virtual
        if flight.origin not in {worker.name for worker in self.kernel.supervisor.workers}:
            return False
        if self.down.get(flight.target, 0.0) > now:
            flight.delivered, flight.error = True, httpx2.ConnectError("connection refused")
            return True
        if flight.target in self.refusing:
            self.kernel.outside.worlds[flight.target].fault("unauthorized")
            self.kernel.network.deliver(flight)
            return True
        return False

    def reply(self, flight: Flight) -> None:
        """An answer arrives, or does not."""
        kernel, rng = self.kernel, self.kernel.plan.rng()
        match flight.fault:
            case "lost_ack":
                flight.error = httpx2.ReadTimeout("no answer in time")
            case "timeout_after":
                flight.error = httpx2.ReadTimeout("no answer in time")
            case "crash_after_call":
                kernel.network.drop(flight)
                kernel.supervisor.dying.add(flight.origin)
                return
            case "garbled" if flight.response is not None:
                cut = flight.response.content[: rng.randrange(len(flight.response.content) + 1)]
                flight.response = _with(flight.response, cut)
            case "late_row" if flight.response is not None:
                now = kernel.outside.worlds[flight.target].clock.now()
                flight.response = _with(flight.response, without_newest(flight.response.content, now))
            case "drift" | "field_gone" if flight.response is not None:
                flight.response = _with(flight.response, _drifted(flight.response.content, flight.fault, rng))
        kernel.network.reply(flight)

    # ---- turns -------------------------------------------------------------------------------------------------------

    async def turn(self) -> None:
        """Whether something goes wrong by itself now, and whether something has ended."""
        kernel = self.kernel
        self._end()
        for name in [name for name, until in self.offline.items() if until <= kernel.loop.virtual]:
            del self.offline[name]
            await kernel.outside.act(name, "go_online", {})
        kind = "" if kernel.healing else kernel.plan.at("turn")
        if not kind:
            return
        rng, now, supervisor = kernel.plan.rng(), kernel.loop.virtual, kernel.supervisor
        systems = sorted(kernel.outside.worlds)
        said = ""
        if kind == "outage":
            said = rng.choice(systems)
            self.down[said] = now + rng.choice((300.0, HOUR, 6 * HOUR))
        elif kind == "blackout":
            self.down.update(dict.fromkeys(systems, now + rng.choice((HOUR, 8 * HOUR))))
        elif kind == "subscription_gone":
            said = rng.choice(systems)
            self.silent[said] = now + rng.uniform(HOUR, 2 * DAY)
        elif kind == "credentials":
            said = rng.choice(systems)
            self.refusing[said] = now + rng.uniform(HOUR, DAY)
        elif kind == "device_offline":
            said = rng.choice(SITES)
            await kernel.outside.act(said, "go_offline", {})
            self.offline[said] = now + rng.uniform(HOUR, DAY)
        elif kind == "period_closed":
            said = (kernel.outside.worlds["odoo"].clock.now() - _seconds(DAY)).date().isoformat()
            await kernel.outside.act("odoo", "set_lock_date", {"date": said})
        elif kind == "clock":
            process = rng.choice([supervisor.api, *supervisor.workers])
            process.skew_seconds = rng.choice((-HOUR, -60.0, -5.0, 5.0, 60.0, HOUR))
            self.skewed[process.name] = now + rng.uniform(60.0, DAY)
            said = f"{process.name} {process.skew_seconds:.0f} s"
        elif kind == "workers":
            if len(supervisor.workers) < WORKERS_MOST and (len(supervisor.workers) == 1 or rng.random() < 0.5):
                said = f"added {(await supervisor.start_worker()).name}"
            else:
                worker = rng.choice(supervisor.workers)
                said = f"taken away {worker.name}"
                await supervisor.kill(worker, again=False)
        elif kind == "deploy":
            await supervisor.replace_processes()
        elif kind == "policy_changed":
            said = await kernel.rules.change(rng)
        kernel.note("fault", f"{kind} {said}")

    def _end(self) -> None:
        now = self.kernel.loop.virtual
        for name in [name for name, until in self.skewed.items() if until <= now]:
            del self.skewed[name]
            for process in (self.kernel.supervisor.api, *self.kernel.supervisor.workers):
                if process.name == name:
                    process.skew_seconds = 0.0
        for name in [name for name, until in self.refusing.items() if until <= now]:
            del self.refusing[name]

    def dues(self) -> list[float]:
        now = self.kernel.loop.virtual
        return [
            until
            for each in (self.down, self.refusing, self.skewed, self.offline)
            for until in each.values()
            if until > now
        ]

    def heal(self) -> None:
        """Everything works again."""
        self.down, self.silent, self.refusing = {}, {}, {}
        self.skewed, self.offline = dict.fromkeys(self.skewed, 0.0), dict.fromkeys(self.offline, 0.0)
        for world in self.kernel.outside.worlds.values():
            world.clear_faults()
        self._end()


def _seconds(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)


def _with(response: httpx2.Response, body: bytes) -> httpx2.Response:
    headers = [(k, v) for k, v in response.headers.multi_items() if k.lower() != "content-length"]
    return httpx2.Response(response.status_code, headers=headers, content=body, request=response.request)


def _altered(request: httpx2.Request, rng: Any) -> httpx2.Request:
    """The same request with one byte of its body changed."""
    body = bytearray(request.content)
    if body:
        body[rng.randrange(len(body))] ^= 1 << rng.randrange(7)
    headers = [(k, v) for k, v in request.headers.multi_items() if k.lower() != "content-length"]
    return httpx2.Request(request.method, request.url, headers=headers, content=bytes(body))


def without_newest(body: bytes, now: datetime) -> bytes:
    """A list without the row that changed last, if that was just now; anything else as it is."""
    try:
        doc = json.loads(body)
    except ValueError:
        return body
    rows = doc if isinstance(doc, list) else None
    if isinstance(doc, dict):
        data = doc.get("data")
        rows = data if isinstance(data, list) else ((data or {}).get("orders") or {}).get("nodes")
    told = [(at, n) for n, row in enumerate(rows or ()) if (at := _changed_at(row)) is not None]
    if rows is None or not told or (now - max(told)[0]).total_seconds() >= LAG_SECONDS:
        return body
    del rows[max(told)[1]]
    return json.dumps(doc).encode()


def _changed_at(row: Any) -> datetime | None:
    stamp = next((row[name] for name in _STAMPS if row.get(name)), None) if isinstance(row, dict) else None
    if stamp is None:
        return None
    at = datetime.fromtimestamp(stamp, UTC) if isinstance(stamp, int) else datetime.fromisoformat(stamp)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _drifted(body: bytes, kind: str, rng: Any) -> bytes:
    """A JSON document with fields that nobody knows in each object, or with one field gone."""
    try:
        doc = json.loads(body)
    except ValueError:
        return body
    objects: list[dict[str, Any]] = []

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            objects.append(value)
            for each in value.values():
                walk(each)
        elif isinstance(value, list):
            for each in value:
                walk(each)

    walk(doc)
    if kind == "drift":
        for each in objects:
            each["x_introduced"] = {"since": "2026-03", "values": [1, None]}
    elif full := [each for each in objects if each]:
        chosen = rng.choice(full)
        del chosen[rng.choice(sorted(chosen))]
    return json.dumps(doc).encode()
