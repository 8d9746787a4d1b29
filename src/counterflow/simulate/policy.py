"""The retailer changes the rules while cases are under way: other tables for what is asked from that instant on."""

import random
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from counterflow.configuration import Configuration
from counterflow.core.policy import PolicySet, parse
from counterflow.simulate.oracle import Oracle
from counterflow.simulate.player import Playing
from counterflow.simulate.script import PEOPLE

if TYPE_CHECKING:
    from counterflow.simulate.kernel import Kernel

_LOSS = "value_loss_ppm = { A = 0, B = 100_000, C = 300_000, D = 600_000 }"
_REFURBISH = 'if.grade = "B"\nthen.disposition = "refurbish"'
_SELL_OFF = 'if.grade = "C"\nthen.disposition = "liquidate"'
# name: what stands in the retailer's tables, and what stands there from then on
CHANGES: dict[str, tuple[tuple[str, str], ...]] = {
    "more is kept": ((_LOSS, "value_loss_ppm = { A = 0, B = 200_000, C = 500_000, D = 900_000 }"),),
    "less is kept": ((_LOSS, "value_loss_ppm = { A = 0, B = 0, C = 100_000, D = 200_000 }"),),
    "goods go elsewhere": (
        (_REFURBISH, _REFURBISH.replace("refurbish", "restock")),
        (_SELL_OFF, _SELL_OFF.replace("liquidate", "scrap")),
    ),
}
FIRST_SECONDS = 3600.0  # before it the sales are made
# Asked so close to the change it may be on either side: shops' clocks tell seconds, ours may be an hour off.
UNSURE_SECONDS, UNSURE_SECONDS_WITH_US = 2.0, 7200.0


@dataclass
class Rules:
    """`changed`: when (virtual seconds) the new tables came into force; `oracle` has read what counts."""

    kernel: "Kernel"
    oracle: Oracle = field(init=False)
    changed: float | None = None

    def __post_init__(self) -> None:
        self.oracle = self.kernel.ground.oracle

    async def change(self, rng: random.Random) -> str:
        """Publish, and start every process of ours anew with it. Once in a run, and not before the sales are made."""
        if self.changed is not None or self.kernel.loop.virtual < FIRST_SECONDS:
            return "not now"
        kernel = self.kernel
        name = rng.choice(sorted(CHANGES))
        self.changed, now = kernel.loop.virtual, kernel.outside.worlds["shop"].clock.now()
        before = kernel.ground.policies
        after = before.replace("valid_from = 2020-01-01T00:00:00Z", f"valid_from = {now.isoformat()}")
        for old, new in CHANGES[name]:
            assert old in after, f"the tables have changed: {name} is no change of them"
            after = after.replace(old, new)
        made = parse(after)
        assert isinstance(made, PolicySet), made
        self.oracle = Oracle(before, after)
        kernel.ground = replace(kernel.ground, configuration=_with(kernel.ground.configuration, made))
        await kernel.supervisor.replace_processes()
        return name

    def late(self, playing: Playing) -> frozenset[int] | None:
        """The steps of a story that were done under the new tables; None when nobody can be sure of it."""
        if self.changed is None:
            return frozenset()
        changed = self.changed
        for step, at in zip(playing.story.steps, playing.done, strict=True):
            if abs(at - changed) < (UNSURE_SECONDS_WITH_US if step.system == PEOPLE else UNSURE_SECONDS):
                return None
        return frozenset(n for n, at in enumerate(playing.done) if at > changed)


def _with(configuration: Configuration, made: PolicySet) -> Configuration:
    setting = configuration.setting
    return replace(configuration, setting=replace(setting, policies=(*setting.policies, made)))
