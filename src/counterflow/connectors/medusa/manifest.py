"""What the Medusa connector can do, and what a connection to a Medusa server is configured with."""

from datetime import datetime
from typing import Self

from pydantic import Field, SecretStr, model_validator

from counterflow.sdk.connector import ConnectorConfig
from counterflow.sdk.manifest import Feed, Idempotency, Limits, Manifest, Support

DAY_SECONDS = 86_400

MANIFEST = Manifest(
    name="medusa",
    title="Medusa 2",
    roles=("commerce",),
    commands={
        "ReadSale": Support(Idempotency.STATE),
        "AnswerReturn": Support(Idempotency.STATE),
        "UpdateChannel": Support(Idempotency.STATE),
        # Medusa keeps no keys: ours is in the order's metadata and in the refund's note. A request that lost its
        # answer may still be at work behind a slow payment provider.
        "CreateReplacement": Support(Idempotency.LOOKUP, settle_seconds=30.0),
        "PayLeg": Support(Idempotency.LOOKUP, settle_seconds=30.0),
    },
    feeds=(
        Feed("returns", lag_seconds=300, every_seconds=120),
        Feed("orders", lag_seconds=300, every_seconds=300),
        # A refund changes neither its payment's nor its order's time, so that payments are read again for as long.
        Feed("refunds", lag_seconds=45 * DAY_SECONDS, every_seconds=1800),
    ),
    limits=Limits(concurrency=4, per_second=20.0, burst=40.0, timeout_seconds=30.0),
    secret_fields=("api_key", "password"),
    docs="https://docs.medusajs.com/api/admin",
)


class Config(ConnectorConfig):
    """A connection to one Medusa server. It needs a secret API key, or e-mail and password of an admin user."""

    base_url: str = Field(description="Address of the server, as https://shop.example.com", pattern=r"^https?://\S+$")
    api_key: SecretStr = Field(SecretStr(""), description="Secret API key of the server (Settings, Secret API keys)")
    email: str = Field("", description="Instead of the key: e-mail of an admin user of its own for this connection")
    password: SecretStr = Field(SecretStr(""), description="That user's password; its token is renewed as it expires")
    gateways: dict[str, str] = Field(
        default_factory=dict,
        description='Payment provider of the shop -> the connection that refunds it, e.g. pp_stripe_stripe = "psp". '
        "The refunds of a provider that is not listed are made and told by the shop",
    )
    tenders: dict[str, str] = Field(
        default_factory=dict, description="Payment provider -> tender, where the built-in table does not know it"
    )
    without_payout: tuple[str, ...] = Field(
        ("pp_system_default",),
        description="Payment providers whose refunds no payout will name: recorded by the shop they count as settled",
    )
    reasons: dict[str, str] = Field(
        default_factory=dict, description="Value of a return reason of the shop -> the policy's word; default: the same"
    )
    exchange_reasons: tuple[str, ...] = Field(
        (), description="Values of return reasons by which the customer asks for the same article again"
    )
    tax_codes: dict[str, str] = Field(
        default_factory=dict, description="Code of a tax in the shop -> the code that the ERP maps; default: the same"
    )
    places: dict[str, str] = Field(
        default_factory=dict,
        description="Stock location of the shop -> our place: what people receive there in Medusa is a receipt. Leave "
        "out a location whose warehouse tells us itself",
    )
    restock_location: str = Field(
        "",
        description="Stock location that restocked pieces go to in the shop; empty: another system tells the shop its "
        "stock, and nothing is restocked from here",
    )
    serial_key: str = Field("serial", description="Metadata key of an order's item that holds its serial numbers")
    lot_key: str = Field("lot", description="Metadata key of an order's item that holds its lot")
    shipping_sku: str = Field("SHIPPING", description="SKU under which the ERP sells shipping")
    country: str = Field("DE", pattern=r"^[A-Z]{2}$", description="Country of orders without a shipping address")
    since: datetime | None = Field(
        None, description="Sweeps read what changed at or after this instant (with its zone); empty: everything"
    )
    page_size: int = Field(100, description="Rows of one page of a sweep", ge=2, le=200)

    @model_validator(mode="after")
    def _can_log_in(self) -> Self:
        if bool(self.api_key.get_secret_value()) == bool(self.email and self.password.get_secret_value()):
            raise ValueError("needs either api_key, or email and password")
        if self.since is not None and self.since.tzinfo is None:
            raise ValueError("since needs its zone, such as 2026-03-01T00:00:00Z")
        return self
