"""What the Adyen connector can do, and what it has to be told. Checkout API v72, standard webhooks, version 1."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from counterflow.sdk.connector import ConnectorConfig
from counterflow.sdk.manifest import Feed, Idempotency, Limits, Manifest, Support

DAY_SECONDS = 86_400

REFUND_TOPICS = (
    "REFUND",
    "REFUND_FAILED",
    "REFUNDED_REVERSED",
    "CANCEL_OR_REFUND",
    "REFUND_WITH_DATA",
    "POSTPONED_REFUND",
    "VOID_PENDING_REFUND",
)
DISPUTE_TOPICS = (
    "NOTIFICATION_OF_CHARGEBACK",
    "CHARGEBACK",
    "CHARGEBACK_REVERSED",
    "SECOND_CHARGEBACK",
    "DISPUTE_DEFENSE_PERIOD_ENDED",
    "ISSUER_RESPONSE_TIMEFRAME_EXPIRED",
    "PREARBITRATION_OPEN",
    "PREARBITRATION_WON",
    "PREARBITRATION_LOST",
    "PREARBITRATION_ACCEPTED",
    "PREARBITRATION_DECLINED",
    "PREARBITRATION_ISSUER_WITHDRAWN",
    "SCHEME_ARBITRATION_WON",
    "SCHEME_ARBITRATION_LOST",
)
REPORT_TOPIC = "REPORT_AVAILABLE"

MANIFEST = Manifest(
    name="adyen",
    title="Adyen",
    roles=("payment",),
    commands={
        # Adyen's page on idempotency has said 7 and 31 days: the shorter one counts. No request reads a refund back.
        "PayLeg": Support(Idempotency.NATIVE, key_retention_seconds=7 * DAY_SECONDS, key_max_length=64, findable=False),
    },
    feeds=(
        Feed("refunds", every_seconds=3600, webhooks=REFUND_TOPICS, files=True),
        Feed("payouts", every_seconds=3600, webhooks=(REPORT_TOPIC,), files=True),
    ),
    topics=(*REFUND_TOPICS, *DISPUTE_TOPICS, REPORT_TOPIC),
    limits=Limits(concurrency=8, per_second=10.0, burst=20.0),
    secret_fields=("api_key", "report_password", "webhook_hmac_key", "webhook_hmac_key_before", "webhook_password"),
    docs="https://docs.adyen.com/online-payments/refund",
)


def _hex_key(secret: SecretStr) -> SecretStr:
    if not re.fullmatch(r"([0-9A-Fa-f]{2}){16,64}", secret.get_secret_value() or "00" * 16):
        raise ValueError("is no HMAC key: copy the hexadecimal key of the webhook from the Customer Area")
    return secret


_HmacKey = Annotated[SecretStr, AfterValidator(_hex_key)]
_ADDRESS = r"^https?://[^\s/]+\S*$"


class AdyenConfig(ConnectorConfig):
    """One merchant account."""

    merchant_account: str = Field(description="Merchant account of the payments", pattern=r"^[\w.-]{1,80}$")
    api_key: SecretStr = Field(
        description="API key of a credential that may refund (role Checkout webservice)", min_length=1
    )
    base_url: str = Field(
        description="Address of the Checkout API: https://checkout-test.adyen.com, or live "
        "https://<prefix>-checkout-live.adyenpayments.com/checkout",
        pattern=_ADDRESS,
    )
    webhook_hmac_key: _HmacKey = Field(description="HMAC key of the standard webhook, hexadecimal", min_length=1)
    webhook_hmac_key_before: _HmacKey = Field(
        SecretStr(""), description="The HMAC key before it was changed, while both are in use"
    )
    webhook_user: str = Field(description="User name of the webhook's basic authentication", min_length=1)
    webhook_password: SecretStr = Field(description="Password of the webhook's basic authentication", min_length=8)
    reports_url: str = Field(
        "https://ca-live.adyen.com",
        description="Where reports are: https://ca-test.adyen.com for tests",
        pattern=_ADDRESS,
    )
    report_user: str = Field(description="Report user, report_...@Company.<company account>", min_length=1)
    report_password: SecretStr = Field(description="Password of the report user", min_length=1)
    first_batch: int = Field(1, description="Number of the oldest settlement batch to read", ge=1)
    page_size: int = Field(10, description="Settlement batches of one page of the sweep", ge=1, le=100)
