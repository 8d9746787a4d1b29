"""The app in the shop: what it may do, which version answers it, which webhooks it hears; lost ones are made again.

Shopify answers a version that it no longer has as the oldest that it still has, and deletes a subscription without a
word after its deliveries have failed for four hours. Neither is an error of any call, so both are looked for.
"""

from collections.abc import Sequence
from typing import Any

from counterflow.connectors.shopify import documents
from counterflow.connectors.shopify.client import Client
from counterflow.connectors.shopify.manifest import (
    DISPUTE_TOPICS,
    MANIFEST,
    PAYMENT_SCOPES,
    SCOPES,
    STOCK_SCOPES,
    Config,
)
from counterflow.sdk.outcomes import ConnectorError, Rejected

Json = dict[str, Any]
_THERE = "already been taken"  # somebody subscribed in between


async def check(client: Client, config: Config) -> Sequence[tuple[str, bool, str]]:
    """For `doctor`."""
    try:
        data = await client.data(documents.CHECK)
    except ConnectorError as error:
        return [("the shop answers", False, error.message)]
    granted = {row["handle"] for row in data["currentAppInstallation"]["accessScopes"]}
    wanted = (*SCOPES, *(PAYMENT_SCOPES if config.shopify_payments else ()))
    wanted += STOCK_SCOPES if config.locations or config.restock_location else ()
    # A write scope includes its read scope.
    missing = [s for s in wanted if s not in granted and s.replace("read_", "write_", 1) not in granted]
    deaf, moved = unheard(data, config), fallen(client)
    subscribe = f"subscribe the app to {', '.join(deaf)}, or set webhook_url; until then only sweeps find these"
    return [
        ("the shop answers", True, data["shop"]["myshopifyDomain"]),
        ("access scopes", not missing, f"grant the app {', '.join(missing)}" if missing else ""),
        ("API version", not moved, moved),
        ("webhooks", not deaf, subscribe if deaf else ""),
    ]


def fallen(client: Client) -> str:
    """What is wrong with the version that the last answer came in; empty when it is the one that was asked for."""
    if client.answered_version in ("", client.version):
        return ""
    asked, answered = client.version, client.answered_version
    return (
        f"asked for API version {asked}, answered as {answered}: see what that changes by `counterflow connectors "
        f"upgrade-check shopify {asked} {answered}`, then set api_version"
    )


def unheard(data: Json, config: Config) -> list[str]:
    """The topics that nobody tells us."""
    rows = data["webhookSubscriptions"]["nodes"]
    heard = {row["topic"] for row in rows if not config.webhook_url or row["uri"] == config.webhook_url}
    skip = () if config.shopify_payments else DISPUTE_TOPICS
    return [topic for topic in MANIFEST.topics if topic not in heard and topic not in skip]


async def tend(client: Client, config: Config) -> str:
    """Subscribe to what is not heard, if it is known where to; what somebody should know of, else ""."""
    if not config.webhook_url:
        return ""
    data = await client.data(documents.CHECK)
    lost = unheard(data, config)
    for topic in lost:
        try:
            await client.call(documents.SUBSCRIBE, topic=topic, to={"uri": config.webhook_url})
        except Rejected as error:
            if _THERE not in error.message:
                raise
    if not lost or len(lost) == len(unheard({"webhookSubscriptions": {"nodes": []}}, config)):
        return ""  # all is well, or the app has just been installed
    return (
        f"Shopify had dropped our webhooks {', '.join(lost)}, as it does when deliveries fail for four hours; they are "
        f"subscribed again, and sweeps have found what was missed: see why {config.webhook_url} did not answer"
    )
