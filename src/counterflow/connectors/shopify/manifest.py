"""What the Shopify connector can do, and what a connection to a shop is configured with."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from counterflow.sdk.connector import ConnectorConfig
from counterflow.sdk.manifest import Feed, Idempotency, Limits, Manifest, Support

RETURN_TOPICS = (
    "RETURNS_REQUEST",
    "RETURNS_APPROVE",
    "RETURNS_DECLINE",
    "RETURNS_CANCEL",
    "RETURNS_CLOSE",
    "RETURNS_REOPEN",
    "RETURNS_UPDATE",
    "RETURNS_PROCESS",
    "REVERSE_DELIVERIES_ATTACH_DELIVERABLE",
    "REVERSE_FULFILLMENT_ORDERS_DISPOSE",
)
ORDER_TOPICS = (
    "ORDERS_CREATE",
    "ORDERS_UPDATED",
    "ORDERS_EDITED",
    "ORDERS_CANCELLED",
    "ORDERS_PAID",
    "ORDERS_FULFILLED",
    "ORDERS_PARTIALLY_FULFILLED",
    "FULFILLMENTS_CREATE",
    "FULFILLMENTS_UPDATE",
)
REFUND_TOPICS = ("REFUNDS_CREATE", "ORDER_TRANSACTIONS_CREATE")
DISPUTE_TOPICS = ("DISPUTES_CREATE", "DISPUTES_UPDATE")
UNINSTALLED = "APP_UNINSTALLED"
# Understood when they come, and not needed: what they tell, another topic tells as well.
TENDER_TRANSACTIONS = "TENDER_TRANSACTIONS_CREATE"
FULFILLMENT_ORDERS = "FULFILLMENT_ORDERS_"  # twenty of them
SCOPES = (
    "read_customers",
    "read_orders",
    "write_orders",
    "read_products",
    "read_returns",
    "write_returns",
    "read_gift_cards",
    "write_gift_cards",
    "write_store_credit_account_transactions",
)
STOCK_SCOPES = ("write_inventory",)
PAYMENT_SCOPES = ("read_shopify_payments_payouts", "read_shopify_payments_disputes")

MANIFEST = Manifest(
    name="shopify",
    title="Shopify",
    roles=("commerce", "payment"),
    commands={
        "ReadSale": Support(Idempotency.STATE),
        "AnswerReturn": Support(Idempotency.STATE),
        "OpenReturn": Support(Idempotency.LOOKUP, settle_seconds=15.0),
        "UpdateChannel": Support(Idempotency.STATE),
        # An order is found by its source identifier in a search index that lags behind the shop.
        "CreateReplacement": Support(Idempotency.LOOKUP, settle_seconds=120.0),
        "SetStock": Support(Idempotency.NATIVE, key_retention_seconds=86_400, settle_seconds=15.0),
        # Shopify names no time for which it keeps keys; a day is what its partners count on.
        "PayLeg": Support(Idempotency.NATIVE, key_retention_seconds=86_400, settle_seconds=15.0),
    },
    feeds=(
        Feed("returns", lag_seconds=300, every_seconds=300, webhooks=RETURN_TOPICS),
        Feed("orders", lag_seconds=300, every_seconds=900, webhooks=ORDER_TOPICS),
        Feed("refunds", lag_seconds=300, every_seconds=900, webhooks=REFUND_TOPICS),
        Feed("payouts", lag_seconds=3600, every_seconds=3600),  # Shopify has no topic for them
        Feed("disputes", lag_seconds=3600, every_seconds=3600, webhooks=DISPUTE_TOPICS),
    ),
    topics=(*RETURN_TOPICS, *ORDER_TOPICS, *REFUND_TOPICS, *DISPUTE_TOPICS, UNINSTALLED),
    # In points, not calls. The largest plan restores 1000 a second; what the shop itself says pauses us sooner.
    limits=Limits(concurrency=8, per_second=1000.0, burst=2000.0, timeout_seconds=20.0),
    secret_fields=("access_token", "refresh_token", "webhook_secret", "webhook_secret_before"),
    docs="https://shopify.dev/docs/api/admin-graphql",
)


class PromotionRule(BaseModel):
    """A promotion that is priced again when part of its goods comes back; Shopify tells its title, not its rule."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["buy_x_get_y", "threshold_percent", "threshold_amount", "free_shipping"] = Field(
        description="What sort of rule it is"
    )
    buy: int = Field(0, ge=0, description="Pieces to pay")
    get: int = Field(0, ge=0, description="Pieces free")
    threshold_minor: int = Field(0, ge=0, description="Goods value from which it holds, minor units")
    percent_ppm: int = Field(0, ge=0, le=1_000_000, description="Its percentage in parts per million: 10 % = 100000")
    amount_minor: int = Field(0, ge=0, description="Its fixed amount, minor units")


class Config(ConnectorConfig):
    """A connection to one shop."""

    base_url: str = Field(description="Address of the shop: https://<name>.myshopify.com", pattern=r"^https?://\S+$")
    access_token: SecretStr = Field(
        SecretStr(""), description="Admin API access token of the app, where it has one that does not end"
    )
    client_id: str = Field(
        "", description="Client id of the app; without an access token one is fetched with it and the client secret"
    )
    refresh_token: SecretStr = Field(
        SecretStr(""),
        description="The app's refresh token, where its access tokens end after an hour; renewed for all processes",
    )
    webhook_secret: SecretStr = Field(
        description="Client secret of the app: Shopify signs the webhooks with it", min_length=1
    )
    webhook_secret_before: SecretStr = Field(
        SecretStr(""), description="The client secret before it was rotated, while both are in use"
    )
    webhook_url: str = Field(
        "",
        pattern=r"^(https?://\S+)?$",
        description="Where Shopify reaches /webhooks/<connection> from outside; missing webhooks are then subscribed",
    )
    api_version: str = Field("2026-07", pattern=r"^20\d\d-(01|04|07|10)$", description="Version of the Admin API")
    gateways: dict[str, str] = Field(
        default_factory=dict,
        description='Payment gateway of the shop -> the connection of its provider, e.g. stripe = "psp". Refunds of '
        "a gateway that is not listed are taken from the shop, those of a listed one from its provider alone. Name "
        "the shop itself for a gateway through which it pays back by itself, as it does with shopify_payments",
    )
    shopify_payments: bool = Field(
        False, description="The shop takes money with Shopify Payments: read its payouts and disputes"
    )
    tenders: dict[str, str] = Field(
        default_factory=dict, description="Payment gateway -> tender, where the built-in table does not know it"
    )
    tax_codes: dict[str, str] = Field(
        default_factory=dict, description="Title of a tax in the shop -> the code that the ERP maps; default: the title"
    )
    promotions: dict[str, PromotionRule] = Field(
        default_factory=dict, description="Title or code of a discount -> the rule behind it"
    )
    serial_attributes: tuple[str, ...] = Field(
        ("serial", "Serial number"), description="Keys of line attributes that hold serial numbers"
    )
    lot_attributes: tuple[str, ...] = Field(("lot", "batch"), description="Keys of line attributes that hold a lot")
    flag_attributes: tuple[str, ...] = Field(
        ("flags",), description="Keys of line attributes that hold flags such as final_sale, separated by commas"
    )
    marketplaces: tuple[str, ...] = Field(
        (), description="Order sources that are marketplaces, beside orders with the tag `marketplace`"
    )
    shipping_sku: str = Field("SHIPPING", description="SKU under which the ERP sells shipping")
    country: str = Field("DE", pattern=r"^[A-Z]{2}$", description="Country of orders without a shipping address")
    native_exchanges: bool = Field(
        False,
        description="True: a replacement that the shopper put into the return is added to the original order, as "
        "Shopify's own exchanges are; false: every replacement is an order of its own",
    )
    page_size: int = Field(50, description="Orders of one page of a sweep", ge=1, le=100)
    bulk_from: int = Field(
        2500, description="Orders from which on the first sweep is one bulk operation instead of pages", ge=1, le=10_000
    )
    locations: dict[str, str] = Field(
        default_factory=dict,
        description="Our place -> location of the shop (number or gid) whose stock we tell; without a place it is "
        "restock_location",
    )
    restock_location: str = Field(
        "",
        pattern=r"^(\d*|gid://shopify/Location/\d+)$",
        description="Location (number or gid) that restocked pieces go to in the shop; empty: another system tells "
        "the shop its stock, and nothing is restocked from here",
    )

    @model_validator(mode="after")
    def _access(self) -> Self:
        if bool(self.access_token.get_secret_value()) == bool(self.client_id):
            raise ValueError("give access_token, or client_id to fetch tokens with: one of them")
        if self.refresh_token.get_secret_value() and not self.client_id:
            raise ValueError("a refresh_token needs client_id beside it")
        return self
