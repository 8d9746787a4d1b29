"""What a warehouse can do, and what it has to be told. The form: docs/connectors/warehouse.md."""

from counterflow.sdk.manifest import Feed, Idempotency, Limits, Manifest, Support
from counterflow.sdk.site import SiteConfig

DAY_SECONDS = 86_400
TOPICS = ("return.received", "return.inspected", "disposition.executed", "parcel.scanned")

MANIFEST = Manifest(
    name="warehouse",
    title="Warehouse (signed JSON)",
    roles=("warehouse",),
    commands={
        "AnnounceReturn": Support(Idempotency.NATIVE, key_retention_seconds=30 * DAY_SECONDS),
        "InstructDisposition": Support(Idempotency.NATIVE, key_retention_seconds=30 * DAY_SECONDS),
    },
    feeds=(Feed("receipts", every_seconds=300, webhooks=TOPICS),),
    topics=TOPICS,
    limits=Limits(concurrency=4, per_second=20.0, burst=40.0, timeout_seconds=10.0),
    secret_fields=("token", "webhook_secret", "webhook_secret_before"),
    docs="https://www.standardwebhooks.com",
)


class WarehouseConfig(SiteConfig):
    """One warehouse, own or third-party, or several behind one address."""
