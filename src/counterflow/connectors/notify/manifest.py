"""What the notifier can do, and what it has to be told."""

from pydantic import Field

from counterflow.sdk.connector import ConnectorConfig
from counterflow.sdk.manifest import Idempotency, Limits, Manifest, Support
from counterflow.sdk.signed_json import WebhookSecret

MANIFEST = Manifest(
    name="notify",
    title="Customer messages (signed JSON)",
    roles=("notify",),
    # The receiver drops repeats by webhook-id, as the scheme asks of it; it cannot be asked what it has.
    commands={"NotifyCustomer": Support(Idempotency.STATE, key_max_length=255)},
    limits=Limits(concurrency=4, per_second=20.0, burst=40.0),
    secret_fields=("signing_secret",),
    docs="https://www.standardwebhooks.com",
)


class NotifyConfig(ConnectorConfig):
    """The messaging tool that writes to customers: it has the addresses, we have the occasions."""

    url: str = Field(description="URL that gets a POST for each message", pattern=r"^https?://\S+$")
    signing_secret: WebhookSecret = Field(
        description="Secret that signs the messages, whsec_<base64>; the tool verifies with it"
    )
