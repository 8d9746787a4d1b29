"""Who may do what: roles and permissions as one table, and the caller that a key stands for."""

from dataclasses import dataclass

from fastapi import Request

from counterflow.api.problems import Problem
from counterflow.api.services import Services
from counterflow.engine.people import Act
from counterflow.store import api_keys

# permission -> (business function, roles that have it). Nobody who only runs the installation touches a case, and
# nobody who handles goods signs money: what the console's roles say, cell by cell.
PERMISSIONS: dict[str, tuple[str, frozenset[str]]] = {
    "cases.read": ("returns", frozenset({"reader", "agent", "finance", "integration", "admin"})),
    "cases.open": ("returns", frozenset({"agent", "integration"})),
    "cases.cancel": ("returns", frozenset({"agent", "integration"})),
    "cases.decide": ("returns", frozenset({"agent"})),
    "cases.note": ("returns", frozenset({"agent", "warehouse", "finance", "integration"})),
    "goods.read": ("stock", frozenset({"reader", "agent", "warehouse", "finance", "integration", "admin"})),
    "goods.count": ("stock", frozenset({"warehouse", "integration"})),
    "goods.decide": ("stock", frozenset({"warehouse", "agent"})),
    "refunds.read": ("refunds", frozenset({"reader", "agent", "finance", "integration", "admin"})),
    "refunds.approve": ("refunds", frozenset({"finance"})),
    "exceptions.read": ("", frozenset({"reader", "agent", "warehouse", "finance", "integration", "admin"})),
    "exceptions.settle": ("", frozenset({"agent", "warehouse", "finance", "integration"})),
    "connections.read": ("", frozenset({"reader", "agent", "finance", "integration", "admin"})),
    "policies.read": ("", frozenset({"reader", "agent", "finance", "integration", "admin"})),
    "metrics.read": ("", frozenset({"integration", "admin"})),
}

# What a signature under a refund counts as in the approvals table of the policy.
SIGNS_AS = {"finance": "finance_controller"}

ROLES = ("reader", "agent", "warehouse", "finance", "integration", "admin")

# Whoever settles an exception of these owners needs one of these roles; the others are open to all who may settle.
SETTLES: dict[str, frozenset[str]] = {
    "customer_service": frozenset({"agent", "finance"}),
    "finance": frozenset({"finance"}),
    "fraud": frozenset({"agent", "finance"}),
    "warehouse": frozenset({"warehouse", "agent"}),
    "quality": frozenset({"warehouse"}),
    "operations": frozenset({"integration"}),
    "integration": frozenset({"integration"}),
}


@dataclass(frozen=True, slots=True)
class Caller:
    """The key behind a request. `request_key` is its Idempotency-Key."""

    key: api_keys.ApiKey
    channels: tuple[str, ...] | None  # connections whose sales it sees; None: all
    request_key: str = ""

    @property
    def sees_all_channels(self) -> bool:
        return not self.key.channels

    def act(self, services: Services) -> Act:
        cause = f"{self.key.key_id}:{self.request_key}"
        role = SIGNS_AS.get(self.key.role, self.key.role)
        return Act(self.key.name, self.key.person, role, cause, services.clock())


async def authenticate(request: Request, services: Services) -> Caller:
    """The caller of a request. Raises Problem 401 or 429."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise _unknown("Send Authorization: Bearer <key>; `counterflow keys create` makes one")
    now = services.clock()
    async with services.pool.connection() as conn:
        key = await api_keys.find(conn, services.pepper, token.strip())
        if key is None:
            raise _unknown("This key was never given out: check that it is complete")
        if not key.usable(now):
            what = "was revoked" if key.revoked_at else "has expired"
            raise _unknown(f"The key {key.name} {what}: ask for a new one")
        if key.last_used_at is None or now - key.last_used_at >= api_keys.USED_EVERY:
            await api_keys.used(conn, key.key_id, now)
    if wait := services.throttle.wait(key.key_id):
        seconds = max(1, round(wait))
        raise Problem("too-many", f"Wait {seconds} s, then go on", headers={"Retry-After": str(seconds)})
    return Caller(key, _channels(key, services))


def permit(caller: Caller, permission: str) -> None:
    """Raise Problem 403 unless the key's role and functions cover this."""
    function, roles = PERMISSIONS[permission]
    if caller.key.role not in roles:
        who = ", ".join(sorted(roles))
        raise Problem("denied", f"{permission} is for {who}; your key is {caller.key.role}. Use a key with such a role")
    if function and caller.key.functions and function not in caller.key.functions:
        mine = ", ".join(caller.key.functions)
        raise Problem("denied", f"{permission} belongs to the function {function}; your key serves {mine}")


def _channels(key: api_keys.ApiKey, services: Services) -> tuple[str, ...] | None:
    """Connections of the key's environment, and of its channels where it names some. None where nothing is left out.

    A key that names no channel also sees what belongs to none (blind returns, the engine's exceptions): "".
    """
    there = {name for name, account in services.accounts.items() if account.environment == key.environment}
    if key.channels:
        return tuple(sorted(there & set(key.channels)))
    return None if len(there) == len(services.accounts) else ("", *sorted(there))


def _unknown(detail: str) -> Problem:
    return Problem("not-authenticated", detail, headers={"WWW-Authenticate": 'Bearer realm="counterflow"'})
