"""What the Stripe connector can do, and what it has to be told. API 2026-10-28."""

from pydantic import Field, SecretStr

from counterflow.sdk.connector import ConnectorConfig
from counterflow.sdk.manifest import Feed, Idempotency, Limits, Manifest, Support

DAY_SECONDS = 86_400

REFUND_TOPICS = ("refund.created", "refund.updated", "refund.failed", "charge.refund.updated")
PAYOUT_TOPICS = ("payout.created", "payout.reconciliation_completed", "payout.paid", "payout.failed", "payout.canceled")
DISPUTE_TOPICS = (
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.dispute.closed",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.funds_reinstated",
)
CHARGE_REFUNDED = "charge.refunded"  # names the charge, and not which of its refunds

MANIFEST = Manifest(
    name="stripe",
    title="Stripe",
    roles=("payment",),
    commands={
        # Keys are pruned after at least 24 hours; then the refund's metadata tells.
        "PayLeg": Support(Idempotency.NATIVE, key_retention_seconds=DAY_SECONDS, key_max_length=255),
    },
    feeds=(
        Feed("refunds", lag_seconds=600, webhooks=(*REFUND_TOPICS, CHARGE_REFUNDED)),
        Feed("payouts", lag_seconds=600, every_seconds=900, webhooks=PAYOUT_TOPICS),
        Feed("disputes", lag_seconds=600, webhooks=DISPUTE_TOPICS),
    ),
    topics=(*REFUND_TOPICS, CHARGE_REFUNDED, *PAYOUT_TOPICS, *DISPUTE_TOPICS),
    limits=Limits(concurrency=8, per_second=20.0, burst=40.0),  # of 100 writes a second that a live account has
    secret_fields=("api_key", "webhook_secret", "webhook_secret_before"),
    docs="https://docs.stripe.com/api/refunds",
)


class StripeConfig(ConnectorConfig):
    """One Stripe account."""

    api_key: SecretStr = Field(
        description="Restricted key that may write refunds and read charges, payment intents, disputes, payouts, "
        "balance transactions and events",
        min_length=1,
    )
    webhook_secret: SecretStr = Field(description="Signing secret of the webhook endpoint, whsec_...", min_length=1)
    webhook_secret_before: SecretStr = Field(
        SecretStr(""), description="The signing secret before it was rolled, while both are in use"
    )
    base_url: str = Field("https://api.stripe.com", description="Address of the API", pattern=r"^https?://\S+$")
    api_version: str = Field("2026-10-28.endive", description="Stripe-Version that every request names")
    page_size: int = Field(100, description="Rows of one page of a list", ge=1, le=100)
