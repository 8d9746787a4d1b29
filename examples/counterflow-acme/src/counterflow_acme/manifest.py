"""What the Acme connector can do, and what it has to be told."""

from pydantic import Field, SecretStr

from counterflow.sdk.connector import ConnectorConfig
from counterflow.sdk.manifest import Feed, Idempotency, Limits, Manifest, Support
from counterflow.sdk.signed_json import WebhookSecret

MANIFEST = Manifest(
    name="acme",
    title="Acme Pay (example)",
    roles=("payment",),
    # Acme keeps no keys, but a reference that can be searched; a refund under way is visible within five seconds.
    commands={"PayLeg": Support(Idempotency.LOOKUP, key_max_length=64, settle_seconds=5.0)},
    feeds=(Feed("refunds", webhooks=("refund.changed",)), Feed("payouts", webhooks=("payout.sent",))),
    topics=("refund.changed", "payout.sent"),
    limits=Limits(concurrency=2, per_second=5.0, burst=10.0),
    secret_fields=("api_token", "webhook_secret"),
    docs="https://acme.example/docs",
)


class AcmeConfig(ConnectorConfig):
    base_url: str = Field(description="Address of the Acme Pay API", pattern=r"^https?://\S+$")
    api_token: SecretStr = Field(description="Bearer token with the scope refunds", min_length=1)
    webhook_secret: WebhookSecret = Field(description="Secret of the webhook endpoint, whsec_<base64>")
    page_size: int = Field(100, description="Changes of one page", ge=1, le=100)
