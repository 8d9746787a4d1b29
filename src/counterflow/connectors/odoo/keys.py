"""Our API key: when it ends, and a new one from Odoo itself where it allows that.

Odoo lets keys of users who are no administrators live 90 days at most. From 19 on a key can make the next one
(`res.users.apikeys.generate`), for administrators always, for others if the system parameter
`base.enable_programmatic_api_keys` is set. A user may read the dates of its own keys, but not which of them it uses.
"""

from collections.abc import Callable
from datetime import UTC, datetime

from counterflow.connectors.odoo.client import STAMP, Client
from counterflow.connectors.odoo.wires import major_of
from counterflow.sdk.connector import Credential
from counterflow.sdk.outcomes import AuthFailed, Rejected

MODEL = "res.users.apikeys"
FIELD = "api_key"
_FIELDS = ("name", "scope", "create_date", "expiration_date")


async def credential(client: Client) -> Credential | None:
    """The key of our user that ends first: which one is ours is not told, and a dedicated user has one."""
    user = (await client.ask("res.users", "context_get"))["uid"]
    rows = await client.search(MODEL, [["user_id", "=", user]], _FIELDS)
    ends = {row["expiration_date"]: row["create_date"] for row in rows if row["scope"] in (False, "rpc")}
    first = min((end for end in ends if end), default="")
    return Credential(FIELD, _instant(ends[first]), _instant(first)) if first else None


async def renew(
    client: Client, connect: Callable[[str], Client], old: Credential, connection: str, now: datetime
) -> Credential:
    """A key that lives as long as the one before, which is what its user is allowed; proven by a call."""
    if major_of(await client.version()) < 19:
        raise Rejected("before Odoo 19 a person has to make keys")
    until = (now + (old.ends_at - old.made_at)).replace(microsecond=0)
    key = await client.do(
        MODEL,
        "generate",
        key=client.access.key,
        scope="rpc",
        name=f"counterflow {connection}",
        expiration_date=until.strftime(STAMP),
    )
    new = connect(str(key))
    try:
        await new.ask("res.users", "context_get")
    finally:
        await new.transport.aclose()
    return Credential(FIELD, now, until, str(key))


async def retire(client: Client, key: str) -> None:
    try:
        await client.do(MODEL, "revoke", key=key)
    except AuthFailed as error:
        if error.code != "AccessDenied":  # what it says of a key that is gone
            raise


def _instant(stamp: str) -> datetime:
    return datetime.strptime(stamp, STAMP).replace(tzinfo=UTC)
