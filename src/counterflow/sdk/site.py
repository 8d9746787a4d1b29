"""A site (a store, a warehouse) that tells us signed JSON events and takes commands by a small REST API of its own.

One form for every till and warehouse that we have no connector for; docs/connectors/ describes it to whoever connects
one. The event, by webhook (Standard Webhooks) and again by `GET /events?after=`, which is the sweep:

    {"id": "evt_...", "type": "return.received", "sequence": 7, "timestamp": "<device clock>", "data": {...}}
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import httpx2
from pydantic import Field, SecretStr, field_validator

from counterflow.core.facts import Body, Fact
from counterflow.core.ids import fact_id
from counterflow.sdk import signed_json
from counterflow.sdk.connector import ConnectorConfig, Context, Delivery, Page, Signal
from counterflow.sdk.fields import Fields, parsed
from counterflow.sdk.http import json_of, raise_for
from counterflow.sdk.manifest import Manifest
from counterflow.sdk.outcomes import Conflict, ConnectorError, Malformed, NotFound, Transient

_CLOCK_SET = datetime(2020, 1, 1, tzinfo=UTC)  # a device that says it is earlier has lost its time
_UNDER_WAY: dict[str, type[ConnectorError]] = {
    "in_flight": Transient,  # the same key is being worked on: ask again
    "in_work": Transient,  # an earlier instruction has the goods: ask again
    "key_reused": Conflict,
}


class SiteConfig(ConnectorConfig):
    """One site, or several behind one address."""

    base_url: str = Field(description="Where its REST API answers, as `https://till.example.com/api`")
    token: SecretStr = Field(description="Bearer token that its REST API takes from us", min_length=1)
    webhook_secret: SecretStr = Field(description="Secret that it signs its events with, `whsec_<base64>`")
    webhook_secret_before: SecretStr = Field(
        SecretStr(""), description="The secret before it was changed, while both are in use"
    )
    places: dict[str, str] = Field(
        default_factory=dict, description="Its name of a store or site -> our place; absent: both have one name"
    )
    page_size: int = Field(100, description="Events of one page of the sweep", ge=1, le=250)

    @field_validator("webhook_secret", "webhook_secret_before")
    @classmethod
    def _usable(cls, secret: SecretStr) -> SecretStr:
        if secret.get_secret_value():
            signed_json.key_of(secret.get_secret_value())
        return secret

    @field_validator("base_url")
    @classmethod
    def _address(cls, url: str) -> str:
        if not re.fullmatch(r"https?://[^\s/]+\S*", url):
            raise ValueError("is no address: give it as https://till.example.com/api")
        return url.rstrip("/")


# ---- events ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Event:
    """One event, and what makes its facts: the same event by webhook and by sweep gives the same ids."""

    connection: str
    adapter: str
    id: str
    type: str
    sequence: int
    said_at: datetime
    seen_at: datetime
    data: Fields

    @property
    def occurred_at(self) -> datetime:
        """By the device's clock, but never later than we heard of it, and never from a clock that was not set."""
        at = self.data.instant("occurred_at", self.said_at)
        return at if _CLOCK_SET <= at <= self.seen_at else self.seen_at

    def ref(self, kind: str, their_id: str) -> str:
        return f"{self.connection}:{kind}:{their_id}"

    def refs(self, *more: str, serials: Sequence[str] = ()) -> tuple[str, ...]:
        """What the event says it is about, the strongest first; never empty."""
        data = self.data
        named = [
            f"effect:{data.text('announcement_key', '') or data.text('key', '')}",
            self.ref("return", data.text("return_id", "")),
            f"rma:{data.text('rma_number', '')}",
            f"order:{data.text('order_number', '')}",
            self.ref("receipt", data.text("receipt_id", "")),
            *more,
            f"tracking:{data.text('tracking_number', '')}",
            *(f"serial:{serial}" for serial in serials if serial),
        ]
        found = tuple(dict.fromkeys(ref for ref in named if not ref.endswith(":")))
        return found or (self.ref("event", self.id),)

    def fact(self, body: Body, refs: tuple[str, ...], origin: str) -> Fact:
        return Fact(
            fact_id(self.connection, type(body).__name__, self.id),
            self.connection,
            self.occurred_at,
            self.seen_at,
            refs,
            body,
            origin,
            adapter=self.adapter,
        )


Translate = Callable[[Event], Sequence[Fact]]


def facts_of(
    connection: str, adapter: str, doc: object, seen_at: datetime, table: Mapping[str, Translate]
) -> Sequence[Fact]:
    """The facts of one event by its row of `table`; [] for a type that has none. Raises Malformed."""
    event = Fields(doc)
    translate = table.get(event.text("type"))
    if translate is None:
        return []
    said_at = event.instant("timestamp")
    sequence = event.whole("sequence", 0, 2**53, 0)
    return translate(
        Event(
            connection,
            adapter,
            event.text("id"),
            event.text("type"),
            sequence,
            said_at,
            seen_at,
            event.inner("data"),
        )
    )


# ---- REST ------------------------------------------------------------------------------------------------------------


class SiteClient:
    """Its REST API. Errors are {"status", "code", "title", "detail", "field"}; writes take an Idempotency-Key."""

    def __init__(self, config: SiteConfig, context: Context, timeout_seconds: float) -> None:
        self._transport = context.transport(
            config.base_url,
            headers={"Authorization": f"Bearer {config.token.get_secret_value()}"},
            timeout_seconds=timeout_seconds,
        )

    async def get(self, path: str, **query: str) -> Fields:
        response = await self._transport.request("GET", path, write=False, params=query)
        _raise_for(response, write=False)
        return Fields(json_of(response, write=False))

    async def get_named(self, path: str, key: str) -> Fields | None:
        """`path/<key>`; None only if the site itself says that there is none: any other 404 is a wrong address."""
        try:
            return await self.get(f"{path}/{quote(key, safe='')}")
        except NotFound as error:
            if error.code == "not_found":
                return None
            raise

    async def post(self, path: str, key: str, body: Mapping[str, Any]) -> Fields:
        response = await self._transport.request(
            "POST", path, write=True, json=dict(body), headers={"Idempotency-Key": key}
        )
        _raise_for(response, write=True)
        return Fields(json_of(response, write=True))

    async def events(self, after: str, limit: int) -> Fields:
        return await self.get("/events", limit=str(limit), **({"after": after} if after else {}))

    async def aclose(self) -> None:
        await self._transport.aclose()


def _raise_for(response: httpx2.Response, *, write: bool) -> None:
    try:
        body = parsed(response.content)
    except ValueError:
        body = None
    problem = body if isinstance(body, dict) else {}
    code, detail, field = (str(problem.get(name) or "") for name in ("code", "detail", "field"))
    raise_for(response, write=write, message=detail, code=code, field=field, words=_UNDER_WAY)


# ---- the connector's common half -------------------------------------------------------------------------------------


class SiteConnector:
    """Webhooks, sweep and check of any site; a connector adds the client of its commands and its table of events."""

    manifest: Manifest

    def __init__(
        self, config: SiteConfig, context: Context, client: SiteClient, events: Mapping[str, Translate]
    ) -> None:
        self._connection, self._now, self._site, self._events = context.connection, context.now, client, events
        self._secrets = (config.webhook_secret, config.webhook_secret_before)
        self._page_size = config.page_size

    def verify(self, delivery: Delivery) -> None:
        secrets = [secret.get_secret_value() for secret in self._secrets]
        signed_json.verify(delivery, *filter(None, secrets))

    def identify(self, delivery: Delivery) -> str:
        return signed_json.identify(delivery)

    def translate(self, delivery: Delivery) -> Sequence[Fact | Signal]:
        return self._facts(signed_json.document(delivery), delivery.received_at)

    async def pull(self, feed: str, cursor: str) -> Page:
        """A page of all events. One that breaks the form does not stop the others: it is a signal to look at it."""
        page = await self._site.events(cursor, self._page_size)
        items: list[Fact | Signal] = []
        for place, doc in enumerate(page.items("events", needed=True)):
            try:
                items += self._facts(doc, self._now())
            except Malformed:
                items.append(Signal(feed, f"{place}@{cursor}"))
        return Page(tuple(items), _cursor(page), page.flag("more"))

    async def fetch(self, feed: str, ref: str) -> Sequence[Fact]:
        """One event again, by its place in the page after a cursor. Raises Malformed as long as it breaks the form."""
        place, at, cursor = ref.partition("@")
        if not (at and place.isascii() and place.isdigit() and len(place) < 4):
            raise NotFound(f"{ref!r} names no event: it is <place>@<cursor of the page before>")
        docs = (await self._site.events(cursor, int(place) + 1)).items("events", needed=True)
        if int(place) >= len(docs):
            raise NotFound(f"there is no event {ref!r} any more: the site has to keep its events")
        return self._facts(docs[int(place)], self._now())

    async def check(self) -> Sequence[tuple[str, bool, str]]:
        try:
            await self._site.events("", 1)
        except ConnectorError as error:
            return [("it answers and takes our token", False, error.message)]
        return [("it answers and takes our token", True, "")]

    async def aclose(self) -> None:
        await self._site.aclose()

    def _facts(self, doc: object, seen_at: datetime) -> Sequence[Fact]:
        return facts_of(self._connection, self.manifest.version, doc, seen_at, self._events)


def _cursor(page: Fields) -> str:
    """`next` of a page, a text or a number: only the site knows what it means."""
    try:
        return str(page.whole("next", 0, 2**63))
    except Malformed:
        return page.text("next")
