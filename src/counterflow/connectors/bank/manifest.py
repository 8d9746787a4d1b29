"""What the bank feed can do, and what it has to be told."""

from pydantic import Field, SecretStr

from counterflow.sdk.connector import ConnectorConfig
from counterflow.sdk.manifest import Feed, Limits, Manifest
from counterflow.sdk.signed_json import WebhookSecret

LINE_BOOKED = "line.booked"

MANIFEST = Manifest(
    name="bank",
    title="Bank feed (signed JSON)",
    roles=("bank",),
    # A bank numbers its lines as it books them, so nothing appears behind the cursor.
    feeds=(Feed("lines", every_seconds=900, webhooks=(LINE_BOOKED,)),),
    topics=(LINE_BOOKED,),
    limits=Limits(concurrency=1, per_second=2.0, burst=10.0),
    secret_fields=("api_token", "webhook_secret"),
    docs="https://www.standardwebhooks.com",
)


class BankConfig(ConnectorConfig):
    """One bank account, through a feed that speaks signed JSON."""

    base_url: str = Field(description="Address of the feed; GET /lines is read there", pattern=r"^https?://\S+$")
    api_token: SecretStr = Field(description="Bearer token for reading lines", min_length=1)
    webhook_secret: WebhookSecret = Field(description="Secret that signs the feed's webhooks, whsec_<base64>")
