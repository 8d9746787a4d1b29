"""What a connector can do, as data. The engine and the conformance kit derive their behaviour from it."""

from dataclasses import dataclass, field
from enum import StrEnum

from counterflow.core.effects import COMMANDS


class Idempotency(StrEnum):
    """How a write of this command is made exactly once.

    NATIVE: the other side keeps our key, so within `key_retention_seconds` the same send is safe; afterwards look up.
            Where they show nothing by our key (`Support.findable` is false) the same send is all there is, and later a
            person decides, unless a webhook or a file has told.
    LOOKUP: `find` sees our natural key; always look up before a second send.
    STATE: the call sets a state and may be repeated (a status, a tag, an announcement under our key).
    NONE: neither; an unknown outcome goes to a person.
    """

    NATIVE = "native"
    LOOKUP = "lookup"
    STATE = "state"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Support:
    """How one command is supported."""

    idempotency: Idempotency
    key_retention_seconds: int = 0
    key_max_length: int = 255
    batch: int = 1  # effects that one send may carry
    together: str = ""  # kinds with the same word may share a send; empty: a send is of this kind alone
    settle_seconds: float = 0.0  # after an unknown outcome: how long the other side can still commit
    findable: bool = True  # False: they have no request that tells whether it was done; `find` always raises


@dataclass(frozen=True, slots=True)
class Feed:
    """Something to read page by page. `lag_seconds`: how late rows may appear behind the cursor (re-read overlap)."""

    name: str
    lag_seconds: int = 0
    every_seconds: int = 300  # how often the sweep pulls it
    webhooks: tuple[str, ...] = ()  # topics that tell the same sooner
    files: bool = False  # its rows come in files: reports, statements


@dataclass(frozen=True, slots=True)
class Limits:
    """How hard a connection may be used, over all processes."""

    concurrency: int = 4
    per_second: float = 10.0  # refill of the shared bucket
    burst: float = 20.0
    timeout_seconds: float = 10.0


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a connector can do; the engine reads it and the kit proves it."""

    name: str
    title: str
    roles: tuple[str, ...]
    commands: dict[str, Support] = field(default_factory=dict)  # by command class name
    feeds: tuple[Feed, ...] = ()
    topics: tuple[str, ...] = ()  # webhook topics that are understood
    limits: Limits = Limits()
    secret_fields: tuple[str, ...] = ()
    docs: str = ""
    version: str = "1"  # of the translation; every fact keeps it

    def feed(self, name: str) -> Feed | None:
        """The feed of this name, if there is one."""
        return next((feed for feed in self.feeds if feed.name == name), None)


# role -> commands that must be supported, feeds that must be offered
ROLES: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "commerce": (frozenset({"ReadSale", "AnswerReturn", "UpdateChannel", "CreateReplacement"}), frozenset({"returns"})),
    "payment": (frozenset({"PayLeg"}), frozenset({"refunds", "payouts"})),
    "till": (frozenset({"PayLeg"}), frozenset({"receipts"})),
    "warehouse": (frozenset({"AnnounceReturn", "InstructDisposition"}), frozenset({"receipts"})),
    "erp": (
        frozenset(
            {
                "ReceiveGoods",
                "MoveGoods",
                "PostCreditNote",
                "PostRefundPayment",
                "ReverseRefundPayment",
                "PostReplacement",
                "PostSettlement",
            }
        ),
        frozenset({"documents"}),
    ),
    "bank": (frozenset(), frozenset({"lines"})),
    "notify": (frozenset({"NotifyCustomer"}), frozenset()),
}


def problems(manifest: Manifest) -> list[str]:
    """What is missing for the roles that the manifest claims, in sentences; empty when it is complete."""
    found = []
    for role in manifest.roles:
        if role not in ROLES:
            found.append(f"role {role!r} is unknown: use one of {', '.join(sorted(ROLES))}")
            continue
        commands, feeds = ROLES[role]
        found += [f"role {role} needs command {name}" for name in sorted(commands - manifest.commands.keys())]
        found += [f"role {role} needs feed {name}" for name in sorted(feeds - {f.name for f in manifest.feeds})]
    found += [f"command {name!r} does not exist" for name in manifest.commands if name not in COMMANDS]
    for name, support in manifest.commands.items():
        if support.idempotency is Idempotency.NATIVE and support.key_retention_seconds <= 0:
            found.append(f"command {name} keeps keys natively: say for how long (key_retention_seconds)")
        if support.together and support.batch < 2:
            found.append(f"command {name} shares sends with others: say how many effects one carries (batch)")
        if not support.findable and (support.idempotency is not Idempotency.NATIVE or name != "PayLeg"):
            found.append(f"command {name} cannot be looked up: only a PayLeg under a native key may be sent so")
    return found
