"""What the Odoo connector can do, and what it has to be told."""

from dataclasses import replace
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from counterflow.sdk.connector import ConnectorConfig
from counterflow.sdk.manifest import Feed, Idempotency, Limits, Manifest, Support

TOPICS = ("account.move", "stock.picking", "account.payment")  # what automation rules may tell of
COMMANDS = (
    "ReceiveGoods",
    "MoveGoods",
    "PostCreditNote",
    "PostRefundPayment",
    "ReverseRefundPayment",
    "PostReplacement",
    "PostSettlement",
)

BATCHED = ("ReceiveGoods", "PostCreditNote", "PostRefundPayment")
BATCH = 60  # twenty whole returns; each of the calls is one transaction there, so not many more


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PlaceConfig(_Strict):
    """How one of our places stands in Odoo. Names are external ids (`stock.stock_location_customers`) or names."""

    warehouse: str = Field(description="Code of the Odoo warehouse, as in `WH`: gives its operation types")
    picking_type_in: str = Field("", description="Operation type of receipts (`WH/IN`); empty: the warehouse's own")
    picking_type_internal: str = Field(
        "", description="Operation type of internal transfers (`WH/INT`); empty: the warehouse's own"
    )
    locations: dict[str, str] = Field(
        description="Location class (returns, sellable, quarantine, refurbishment, repair, scrap, vendor, donated, "
        "liquidation, customer) -> Odoo location, as `WH/Quarantine`"
    )


class ComponentConfig(_Strict):
    """How money that is not goods is booked on a credit note: by a service product, or by an account and a tax."""

    product: str = Field("", description="Service product (by product key) whose account and taxes are used")
    account: str = Field("", description="Income account (code, name or external id), where no product is named")
    tax: str = Field("", description="Odoo tax for an amount without a tax of the sale; empty: none")


class Config(ConnectorConfig):
    """One Odoo database, the user that we are there, and how our words are called there."""

    base_url: str = Field(description="Where Odoo answers, as `https://odoo.example.com`")
    database: str = Field("", description="Name of the database; needed where the host serves several")
    login: str = Field("", description="Login of the user whose key this is; needed before Odoo 19")
    api_key: SecretStr = Field(description="API key of a dedicated internal user (Preferences > Security), scope rpc")
    places: dict[str, PlaceConfig] = Field(default_factory=dict, description="Place of ours -> how it stands in Odoo")
    journals: dict[str, str] = Field(
        default_factory=dict,
        description="Payment connection, or rail (cash, gift_card, store_credit, bank) -> journal code, name or id",
    )
    taxes: dict[str, str] = Field(
        default_factory=dict, description="Channel's tax code -> Odoo sales tax, for lines without an invoice line"
    )
    components: dict[str, ComponentConfig] = Field(
        default_factory=dict, description="Component (fee, restocking_fee, goodwill, shipping, ...) -> how it is booked"
    )
    order_field: str = Field("client_order_ref", description="Field of sale.order that holds the channel's number")
    order_reference: str = Field(
        "{order_number}", description="Its content: may use {order_number} and {order_ref} (`shop:order:1`)"
    )
    product_key: str = Field("default_code", description="Field of product.product that holds the SKU")
    bank_journal: str = Field("", description="Bank journal that payouts arrive in")
    clearing_accounts: dict[str, str] = Field(
        default_factory=dict, description="Payment connection -> clearing account of its payments and payouts"
    )
    fees_account: str = Field("", description="Expense account of provider fees")
    dates: Literal["event", "today"] = Field(
        "event", description="Date of documents: when it happened, or the day on which it is booked"
    )
    timezone: str = Field("UTC", description="Time zone of the books: which day an instant belongs to")
    repair_orders: bool = Field(
        False, description="Enter a repair order for what is refurbished or repaired (needs the Repairs app)"
    )
    lane: Literal["plain", "fast"] = Field(
        "plain",
        description="`fast`: receipts, credit notes and refund payments by the procedure that `counterflow odoo "
        "install` puts into Odoo; without it, or with another version of it, as `plain`",
    )
    points_of_sale: tuple[str, ...] = Field(
        (), description="Odoo's own tills whose orders and refunds are read, by name; empty: none"
    )
    webhook_secret: SecretStr = Field(
        SecretStr(""), description="Password in the URL of Odoo's automation rules that send webhooks; empty: none come"
    )
    workers: int = Field(2, ge=1, le=32, description="HTTP workers of this Odoo: so many calls at once, never more")
    per_second: float = Field(20.0, gt=0, description="Calls per second, all processes together")
    page_size: int = Field(100, ge=1, le=1000, description="Documents of one kind per page of the feed")
    timeout_seconds: float = Field(60.0, gt=0, description="How long to wait for an answer")
    settle_seconds: float = Field(
        30.0,
        ge=0,
        description="How long Odoo may still work on a call whose answer was lost (its own retries take up to 24 s): "
        "only then is looked whether it happened",
    )

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError):
            raise ValueError("is no time zone: use a name as Europe/Berlin") from None
        return value

    @field_validator("order_reference")
    @classmethod
    def _known_placeholders(cls, value: str) -> str:
        try:
            value.format(order_number="", order_ref="")
        except (KeyError, IndexError, ValueError):
            raise ValueError("may only use {order_number} and {order_ref}") from None
        return value


def manifest_for(config: Config | None = None) -> Manifest:
    """The manifest; with a configuration, with that database's limits."""
    settle = config.settle_seconds if config else 30.0
    lookup = Support(Idempotency.LOOKUP, key_max_length=64, settle_seconds=settle)
    manifest = Manifest(
        name="odoo",
        title="Odoo 19 (Community or Enterprise)",
        roles=("erp",),
        commands={
            **dict.fromkeys(COMMANDS, lookup),
            **dict.fromkeys(BATCHED, replace(lookup, batch=BATCH, together="visit")),
            "ReadSale": Support(Idempotency.STATE),  # of Odoo's own tills
        },
        feeds=(
            Feed("documents", lag_seconds=120, every_seconds=300, webhooks=TOPICS),
            Feed("points_of_sale", lag_seconds=120, every_seconds=300),
        ),
        topics=TOPICS,
        limits=Limits(concurrency=2, per_second=20.0, burst=40.0, timeout_seconds=60.0),
        secret_fields=("api_key", "webhook_secret"),
        docs="https://www.odoo.com/documentation/19.0/developer/reference/external_api.html",
    )
    if config is None:
        return manifest
    limits = Limits(config.workers, config.per_second, config.per_second * 2, config.timeout_seconds)
    return replace(manifest, limits=limits)
