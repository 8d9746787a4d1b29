"""From a webhook that is accepted (durable) to its effect being sent, with everything idle before."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks import lab
from counterflow.core.effects import Effect
from counterflow.sdk.outcomes import Outcome

SAMPLES = 60


@dataclass(slots=True)
class Watch(lab.Nothing):
    """Notes when an effect was sent."""

    sent: dict[str, float] = field(default_factory=dict)

    async def send(self, batch: Sequence[Effect]) -> Sequence[Outcome]:
        for effect in batch:
            self.sent.setdefault(effect.owner, time.perf_counter())
        return await lab.Nothing.send(self, batch)


async def bench(server: str) -> None:
    with lab.database(server, "bench_wake") as url:
        async with lab.opened(url) as pool:
            watch = Watch(silent=True)
            worker = lab.worker_of(pool, url, watch)
            stop = asyncio.Event()
            running = asyncio.create_task(worker.run(stop))
            await asyncio.sleep(1.5)
            times = []
            for n in range(SAMPLES):
                watch.sent.clear()
                await lab.tell(pool, lab.a_request(n))
                began = time.perf_counter()
                async with asyncio.timeout(10):
                    while not watch.sent:
                        await asyncio.sleep(0.0005)
                times.append(1000 * (min(watch.sent.values()) - began))
                await asyncio.sleep(0.15)  # idle again: what is measured is the waking
            stop.set()
            await running
    times.sort()
    lab.emit("wake_p95_ms", times[int(SAMPLES * 0.95)], 100, p50_ms=round(times[SAMPLES // 2], 2), samples=SAMPLES)
