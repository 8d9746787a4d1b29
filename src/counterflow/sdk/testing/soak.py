"""Many effects through random faults, with the simulator's documents as the judge of "exactly once"."""

import random

from counterflow.sdk.outcomes import UnknownOutcome
from counterflow.sdk.testing.check import check
from counterflow.sdk.testing.faults import recoverable
from counterflow.sdk.testing.harness import Harness
from counterflow.sdk.testing.rule import attempt, once, word

FAULTS = (
    "refused",
    "lost_request",
    "lost_reply",
    "error_before",
    "error_after",
    "garbage_after",
    "rate_limited",
    "down",
)


@check(28, recoverable)
async def soak(harness: Harness, kind: str) -> None:
    """Effects, each through a few random faults and now and then a crash of ours, are each done once.

    The commands of a connector share its `Harness.faults`.
    """
    chance = random.Random(f"{harness.manifest.name} {kind}")
    left = -(-harness.faults // len(list(recoverable(harness.manifest))))
    number = 0
    while left > 0:
        number += 1
        effect = await harness.sample(kind)
        drawn = [chance.choice(FAULTS) for _ in range(chance.randint(0, 3))]
        left -= len(drawn)
        for fault in drawn:
            harness.world.fault(fault, match=chance.choice(["", harness.write_label(kind)]))
        answer = await attempt(harness, effect)
        if chance.random() < 0.2:  # we end before we have written the answer down
            answer = UnknownOutcome("the worker ended while it was being sent")
        try:
            await once(harness, effect, answer)
        except AssertionError as error:
            raise AssertionError(f"effect {number} through {drawn}, first answer {word(answer)}: {error}") from None
        harness.world.clear_faults()
