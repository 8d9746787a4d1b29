"""What a till can do, and what it has to be told. The form: docs/connectors/pos.md."""

from pydantic import Field

from counterflow.sdk.manifest import Feed, Idempotency, Limits, Manifest, Support
from counterflow.sdk.site import SiteConfig

DAY_SECONDS = 86_400
TOPICS = (
    "return.requested",
    "return.received",
    "return.inspected",
    "refund.paid",
    "refund.failed",
    "sale.recorded",
)

MANIFEST = Manifest(
    name="pos",
    title="Store till (signed JSON)",
    roles=("till",),
    commands={
        "PayLeg": Support(Idempotency.NATIVE, key_retention_seconds=30 * DAY_SECONDS),
        "ReadSale": Support(Idempotency.STATE),
        # A message that the cashier sees when the goods or the receipt are scanned: the same one again is one.
        "AnswerReturn": Support(Idempotency.STATE),
        "UpdateChannel": Support(Idempotency.STATE),
    },
    feeds=(Feed("receipts", every_seconds=300, webhooks=TOPICS),),
    topics=TOPICS,
    limits=Limits(concurrency=2, per_second=10.0, burst=20.0, timeout_seconds=10.0),
    secret_fields=("token", "webhook_secret", "webhook_secret_before"),
    docs="https://www.standardwebhooks.com",
)


class PosConfig(SiteConfig):
    """One till, or all tills behind one address."""

    shop: str = Field(
        "",
        description="Connection of the shop whose order numbers are scanned here: an order that nobody has told us of "
        "is then read there by its number. Empty: it waits until the shop tells",
    )
    country: str = Field("DE", description="Country of the stores (ISO 3166-1 alpha-2), for sales made there")
