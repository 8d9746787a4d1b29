"""Acme Pay: pays refund legs on the rail pay_later, and tells of refunds and payouts whoever made them."""

from collections.abc import Sequence
from typing import Any

from counterflow.core.effects import Effect, PayLeg
from counterflow.core.facts import Fact
from counterflow.sdk import signed_json
from counterflow.sdk.connector import Connector, Context, Delivery, Page, Signal
from counterflow.sdk.fields import Fields
from counterflow.sdk.http import json_of, raise_for
from counterflow.sdk.outcomes import ConnectorError, NotFound, Outcome, Rejected
from counterflow.sdk.reading import reading
from counterflow_acme import mapping
from counterflow_acme.manifest import MANIFEST, AcmeConfig

KINDS = {"refunds": "refund", "payouts": "payout"}  # feed -> what Acme calls one of it
TOPICS = {"refund.changed": "refunds", "payout.sent": "payouts"}


class AcmeConnector:
    manifest = MANIFEST

    def __init__(self, config: AcmeConfig, context: Context) -> None:
        self._connection, self._now, self._config = context.connection, context.now, config
        headers = {"Authorization": f"Bearer {config.api_token.get_secret_value()}"}
        self._http = context.transport(config.base_url, headers=headers)

    # Deliveries: verified, identified, and turned into "look at this"

    def verify(self, delivery: Delivery) -> None:
        signed_json.verify(delivery, self._config.webhook_secret.get_secret_value())

    def identify(self, delivery: Delivery) -> str:
        return signed_json.identify(delivery)

    def translate(self, delivery: Delivery) -> Sequence[Fact | Signal]:
        message = Fields(signed_json.document(delivery))
        feed = TOPICS.get(message.text("type"))
        return [self._signal(feed, message.inner("data").text("id"))] if feed else []

    # Reads

    @reading
    async def fetch(self, feed: str, ref: str) -> Sequence[Fact]:
        thing = await self._get(f"/{feed}/{ref.rpartition(':')[2]}")
        facts = mapping.refund_facts if feed == "refunds" else mapping.payout_facts
        return facts(self._connection, thing, self._now())

    @reading
    async def pull(self, feed: str, cursor: str) -> Page:
        """Acme numbers its changes: the cursor is the number of the last one."""
        if feed not in KINDS:
            raise NotFound(f"Acme has no feed {feed!r}: use one of {', '.join(KINDS)}")
        params = {"kind": KINDS[feed], "after": cursor or "0", "limit": self._config.page_size}
        page = await self._get("/changes", **params)
        rows = page.rows("changes", needed=True)
        last = str(rows[-1].whole("number", 1, mapping.AMOUNT)) if rows else cursor
        return Page(tuple(self._signal(feed, row.text("id")) for row in rows), last, page.flag("more"))

    # Writes

    async def send(self, effects: Sequence[Effect]) -> Sequence[Outcome]:
        return [await self._pay(effect, _leg(effect)) for effect in effects]

    async def _pay(self, effect: Effect, leg: PayLeg) -> Outcome:
        body = {
            "payment": leg.payment_ref,  # Acme's own id, as the sale has it
            "amount": leg.amount_minor,
            "currency": leg.currency,
            "reference": effect.effect_id,  # what `find` searches for
        }
        refund = await self._call("POST", "/refunds", write=True, json=body)
        return mapping.refund_outcome(self._connection, Fields(refund), leg)

    @reading
    async def find(self, effect: Effect) -> Outcome | None:
        leg = _leg(effect)
        found = (await self._get("/refunds", reference=effect.effect_id)).rows("refunds", needed=True)
        return mapping.refund_outcome(self._connection, found[0], leg) if found else None

    # The rest

    async def check(self) -> Sequence[tuple[str, bool, str]]:
        try:
            await self.pull("refunds", "")
        except ConnectorError as error:
            return [("the token may read refunds", False, error.message)]
        return [("the token may read refunds", True, "")]

    async def aclose(self) -> None:
        await self._http.aclose()

    def _signal(self, feed: str, id_: str) -> Signal:
        ref = f"{self._connection}:{KINDS[feed]}:{id_}"
        return Signal(feed, ref, (ref,))

    async def _get(self, path: str, **params: Any) -> Fields:
        return Fields(await self._call("GET", path, write=False, params=params))

    async def _call(self, method: str, path: str, *, write: bool, **kwargs: Any) -> Any:
        response = await self._http.request(method, path, write=write, **kwargs)
        if 400 <= response.status_code < 500:
            problem = Fields(json_of(response, write=False))
            raise_for(response, write=write, message=problem.text("message", ""), code=problem.text("code", ""))
        raise_for(response, write=write)
        return json_of(response, write=write)


def _leg(effect: Effect) -> PayLeg:
    """The command, if Acme can do it. Raises Rejected."""
    leg = effect.command
    if not isinstance(leg, PayLeg) or leg.rail != "pay_later":
        raise Rejected(f"Acme pays on the rail pay_later alone: route this {effect.kind} elsewhere", code="route")
    if leg.amount_minor <= 0:
        raise Rejected("a refund is a positive amount", code="amount", field="amount_minor")
    return leg


class _Maker:
    manifest = MANIFEST
    Config = AcmeConfig

    def make(self, config: AcmeConfig, context: Context) -> Connector:
        return AcmeConnector(config, context)


connector = _Maker()
