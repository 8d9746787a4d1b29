"""A Shopify shop: the Admin GraphQL API, its webhooks, and the people in it.

    POST /admin/api/{version}/graphql.json      header X-Shopify-Access-Token
    POST /admin/oauth/access_token              tokens that end, see `oauth.py`
    GET  /bulk/{name}                           files of bulk operations, see `bulk.py`

It answers the operations in `schema.graphql`, a part of Shopify's own schema, and behaves and misbehaves like the
original: `userErrors` with HTTP 200, THROTTLED with HTTP 200, 401 for ever once the app is uninstalled, @idempotent
demanded at run time from 2026-04, one disposition per unit, refunds whose money fails afterwards, a search index that
lags, webhooks that repeat their first body for four hours and a subscription that then silently disappears.

Acts are listed in `acts.py`; faults beside those of the simulator kit (matched on "METHOD path Operation rootField"):

    throttled               THROTTLED with HTTP 200, not applied
    access_denied           null data with ACCESS_DENIED, not applied
    idempotency_concurrent  IDEMPOTENCY_CONCURRENT_REQUEST (matched on the mutation's name), not applied
    idempotency_burnt       applied, but the key counts as failed from then on (IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED)
    refund_pending, refund_fails, refund_failure    see `refunds.py`
    bulk_fails              see `bulk.py`
    lose_webhook            matched on "url topic/path"

Collections for `/_sim/truth`: orders, returns, variants, locations, customers, gift_cards, store_credit, adjustments,
subscriptions, idempotency, gateway_movements (money that the shop moved through a payment gateway by itself), balance,
payouts and disputes (of Shopify Payments), tokens, bulk_operations.
"""

from starlette.applications import Starlette
from starlette.routing import Route

from counterflow.connectors.shopify.simulator import acts, bulk, refunds
from counterflow.connectors.shopify.simulator.endpoint import Endpoint, label, refuse
from counterflow.connectors.shopify.simulator.oauth import OAuth
from counterflow.connectors.shopify.simulator.shop import TOPICS, Shop
from counterflow.sdk.simulator import World, with_sim


def create_app(
    world: World,
    *,
    access_token: str = "shpat_simulated",
    client_id: str = "app_simulated",
    api_secret: str = "shpss_simulated",
    domain: str = "simulated.myshopify.com",
    currency: str = "EUR",
    webhook_url: str | None = None,
    webhook_version: str = "2026-07",
    locations: tuple[str, ...] = ("Warehouse", "Store"),
    points_per_second: float = 1000.0,
    search_lag_seconds: float = 0.0,
) -> Starlette:
    """The shop as an ASGI app. With `webhook_url` a new world is subscribed to all topics there."""
    shop = Shop(world, domain, currency, api_secret, webhook_version)
    with world.tx():
        if not world.all("locations"):
            for name in locations:
                acts.add_location(shop, name)
            for topic in TOPICS if webhook_url else ():
                shop.subscribe(topic, webhook_url or "")
    acts.register(shop)
    world.on(refunds.AGENDA, lambda payload: refunds.settle(shop, payload))
    oauth = OAuth(shop, client_id, access_token)
    world.act("install_expiring")(lambda data: oauth.pair())
    world.act("revoke_tokens")(lambda data: oauth.revoke())
    endpoint = Endpoint(shop, oauth, points_per_second, search_lag_seconds)
    world.on(bulk.AGENDA, lambda payload: bulk.finish(shop, payload, endpoint.execute))
    app = Starlette(
        routes=[
            Route("/admin/api/{version}/graphql.json", endpoint.__call__, methods=["POST"]),
            Route("/admin/oauth/access_token", oauth.__call__, methods=["POST"]),
            Route("/bulk/{name}", bulk.download(shop)),
        ]
    )
    return with_sim(app, world, refuse=refuse, label=label)
