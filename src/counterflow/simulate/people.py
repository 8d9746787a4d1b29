"""What people do in a run: those of the stories, operations by their playbooks, customers of no story."""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx2

from counterflow.simulate.network import ask
from counterflow.simulate.player import Playing
from counterflow.simulate.town import API, PEOPLE, Broken, acting

if TYPE_CHECKING:
    from counterflow.simulate.kernel import Act, Kernel

HOUR, DAY = 3600.0, 86_400.0

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
OTHERS_SECONDS, OTHERS_MINOR = DAY, 1_000_000  # what others pay: a provider of refunds alone pays nothing out


@dataclass
class People:
    """`mending`: exception -> how often operations tried, when they may again; `others`: when others pay next."""

    kernel: "Kernel"
    mending: dict[str, tuple[int, float]] = field(default_factory=dict)
    to_mend: list[tuple[str, str]] = field(default_factory=list)
    others: float = OTHERS_SECONDS

    def possible(self) -> list["Act"]:
        """What somebody may do now."""
        now = self.kernel.loop.virtual
        acts: list[Act] = []
        for n, (_, kind) in enumerate(self.to_mend):
            acts.append((1.0, f"operations {kind}", partial(self._mend, n)))
        if self.others <= now:
            acts.append((1.0, "others pay", self._others))
        for playing in self.kernel.playing:
            if playing.ready(self.kernel.checks.view_of(playing.case_ref()), now):
                acts.append((1.0, f"act {playing.story.title} {playing.at}", partial(self._act, playing)))
        return acts

    # ---- operations --------------------------------------------------------------------------------------------------

    def _mend(self, n: int) -> None:
        """Somebody of operations does what the playbook says."""
        exception_id, kind = self.to_mend.pop(n)
        tries, _ = self.mending.get(exception_id, (0, 0.0))
        self.mending[exception_id] = (tries + 1, self.kernel.loop.virtual + OPERATIONS_SECONDS)
        # What still cannot be read after some time is found by the sweep: the delivery itself is given up.
        action = OPERATIONS[kind] if kind != "malformed_delivery" or tries == 0 else "resolve"
        self.kernel.loop.create_task(
            self.post(
                FINANCE.get(kind, "ivo"),
                f"/exceptions/{exception_id}/resolve",
                {"action": action, "reason": "the cause is mended"},
                f"{exception_id}-{tries}",
            )
        )

    async def look_for_work(self) -> None:
        """Operations look at what is open for them."""
        now = self.kernel.outside.worlds["shop"].clock.now()
        since = now if self.kernel.healing else now - timedelta(seconds=OPERATIONS_SECONDS)
        for exception_id, kind in await self.kernel.checks.rows(_FOR_OPERATIONS, list(OPERATIONS), since):
            tries, again = self.mending.get(exception_id, (0, 0.0))
            # A connection has one exception for all its refusals: each is a new one, and never given up.
            if (tries < OPERATIONS_TRIES or kind == "connection_auth") and again <= self.kernel.loop.virtual:
                self.to_mend.append((exception_id, kind))

    # ---- customers that no story tells of ----------------------------------------------------------------------------

    def _others(self) -> None:
        kernel = self.kernel
        self.others += OTHERS_SECONDS
        payment = {"payment_intent": f"pi_others_{self.others:.0f}", "amount_minor": OTHERS_MINOR, "currency": "eur"}
        kernel.loop.create_task(ask(kernel.outside.app, acting("psp", "pay", payment)))
        for refund in kernel.outside.worlds["psp"].all("refunds"):
            if refund.get("pending_reason") == "insufficient_funds":  # with that it goes through
                done = acting("psp", "complete_refund", {"refund": refund["id"]})
                kernel.loop.create_task(ask(kernel.outside.app, done))

    # ---- the stories -------------------------------------------------------------------------------------------------

    def _act(self, playing: Playing) -> None:
        step = playing.step
        assert step is not None
        act, args = playing.bound(self.kernel.checks.view_of(playing.case_ref()))
        playing.busy = True
        if playing.posts:
            names = [name for name, role in PEOPLE.items() if role == step.role]
            cause = f"{playing.story.title}-{playing.at}"
            self._post(playing, names[0], act, args, cause, first=True)
            if self.kernel.plan.at("person", act) == "two_operators":
                self.kernel.note("fault", f"two_operators {act}")
                self._post(playing, names[1], act, args, cause, first=False)
        else:
            self.kernel.loop.create_task(self._do(playing, step.system, act, args))

    async def _do(self, playing: Playing, system: str, act: str, args: Any) -> None:
        # Of people there nothing is lost on the way.
        answer = await ask(self.kernel.outside.app, acting(system, act, args))
        if answer.status_code >= 400:
            self.refused(playing, f"{system} refused {act}: {answer.text[:300]}")
            return
        playing.did(answer.json(), self.kernel.loop.virtual)

    def refused(self, playing: Playing, why: str) -> None:
        """Somebody could not do what the script says; after a fault that may be as it should."""
        playing.told.append(why)
        self.kernel.note("refused", why)
        if not self.kernel.plan.fired:
            raise Broken("story", f"{playing.story.title}: {why}")
        playing.did({}, self.kernel.loop.virtual)

    def _post(self, playing: Playing, name: str, path: str, body: Any, cause: str, *, first: bool) -> None:
        self.kernel.loop.create_task(self._posted(playing, name, path, body, cause, first))

    async def _posted(self, playing: Playing, name: str, path: str, body: Any, cause: str, first: bool) -> None:
        answer = await self.post(name, path, body, cause)
        if first:
            if answer.status_code >= 400:
                self.refused(playing, f"POST {path}: {answer.status_code} {answer.text[:300]}")
            else:
                playing.did(answer.json(), self.kernel.loop.virtual)

    async def post(self, name: str, path: str, body: Any, cause: str) -> httpx2.Response:
        """What a person does through the API, again while it gives no answer."""
        headers = {"Authorization": f"Bearer {self.kernel.ground.tokens[name]}", "Idempotency-Key": f"{name}-{cause}"}
        async with httpx2.AsyncClient(transport=self.kernel.network.of(name), base_url=API) as client:
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
