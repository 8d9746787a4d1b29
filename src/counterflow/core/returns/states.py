"""The state machines as data: which states exist on each axis, and which may follow which.

Two rules. Everything about states lives in this file; it does not know what causes a move. And facts may be missing: a
move is legal when the target can be *reached*, since a lost scan does not make a receipt untrue. What cannot be reached
is a backward move and is ignored by the fold (domain.md section 8.2). Diagrams in the docs are generated from here.
"""

from collections.abc import Mapping
from functools import cache

Table = Mapping[str, tuple[str, ...]]

# Goods, per unit (domain.md section 4).
GOODS: Table = {
    "not_expected": ("expected", "received", "received_unidentified"),
    "expected": (
        *("label_issued", "handed_over", "in_transit", "cancelled", "expired", "received", "not_in_parcel", "lost"),
        *("with_third_party", "not_expected", "denied_goods"),
    ),
    "label_issued": ("handed_over", "expired", "cancelled", "received", "not_expected"),
    "handed_over": ("in_transit", "received", "lost", "with_third_party"),
    "in_transit": ("delivered_unreceived", "lost", "received"),
    "delivered_unreceived": ("received", "not_in_parcel", "lost"),
    "received_unidentified": ("received", "quarantined", "handover_to_owner"),
    "received": ("inspecting", "inspected", "quarantined", "disposition_decided", "wrong_item"),
    "inspecting": ("inspected",),
    "wrong_item": ("quarantined", "handover_to_owner"),
    "inspected": ("disposition_decided", "inspecting", "quarantined"),
    "quarantined": ("inspecting", "disposition_decided", "handover_to_owner", "denied_goods"),
    "disposition_decided": ("dispositioned", "inspected", "quarantined"),
    "dispositioned": ("disposition_reversed",),
    "disposition_reversed": ("disposition_decided",),
    "not_in_parcel": ("received", "lost", "denied_goods", "not_expected"),
    "with_third_party": ("received", "dispositioned", "lost"),
    "lost": ("received", "denied_goods"),
    "expired": ("handed_over", "received"),
    "cancelled": ("handed_over", "received"),
    "denied_goods": ("received",),
    "handover_to_owner": (),
}

GOODS_TERMINAL = frozenset(
    {"not_expected", "dispositioned", "lost", "expired", "cancelled", "denied_goods", "handover_to_owner"}
)
GOODS_SOFT = frozenset({"lost", "expired", "cancelled", "denied_goods", "not_expected"})  # a parcel re-opens them
GOODS_ON_THE_WAY = frozenset({"expected", "label_issued", "handed_over", "in_transit", "delivered_unreceived"})
GOODS_HERE = frozenset(
    {
        "received",
        "inspecting",
        "inspected",
        "quarantined",
        "disposition_decided",
        "dispositioned",
        "disposition_reversed",
    }
)
GOODS_INSPECTED = frozenset(
    {"inspected", "quarantined", "disposition_decided", "dispositioned", "disposition_reversed"}
)

# Refund leg: the machine that matters (domain.md section 5).
LEG: Table = {
    "planned": ("submitting", "cancelled", "rerouted"),
    "submitting": ("accepted", "succeeded", "rejected", "unknown", "requires_action", "failed"),
    "unknown": ("accepted", "succeeded", "rejected", "submitting", "failed", "requires_action", "cancelled"),
    "accepted": ("succeeded", "failed", "requires_action", "cancelled"),
    "requires_action": ("succeeded", "failed", "cancelled"),
    "succeeded": ("settled", "failed_after_success", "reversed"),
    "failed": ("rerouted", "succeeded"),  # the newest word of the provider counts
    "failed_after_success": ("rerouted",),
    "reversed": ("rerouted",),
    "settled": ("reversed", "failed_after_success"),
    "observed": ("accepted", "succeeded", "settled", "failed", "requires_action"),
    "rejected": ("rerouted", "submitting"),
    "rerouted": (),
    "cancelled": ("succeeded",),  # given up, and it happened all the same
}

LEG_DEAD = frozenset({"failed", "failed_after_success", "reversed", "rejected", "rerouted", "cancelled"})
LEG_PAID = frozenset({"succeeded", "settled"})
LEG_OPEN = frozenset({"planned", "submitting", "unknown", "accepted", "requires_action", "observed"})

# Refund intent.
INTENT: Table = {
    "proposed": ("approved", "held", "cancelled", "superseded"),
    "approved": ("held", "released"),
    "held": ("released", "cancelled", "superseded"),
    "released": ("fulfilled", "partly_fulfilled"),
    "partly_fulfilled": ("fulfilled", "released"),
    "fulfilled": ("partly_fulfilled",),
    "cancelled": (),
    "superseded": (),
}

# Money axis of a line, computed from amounts.
LINE_MONEY: Table = {
    "undetermined": ("estimated", "denied", "nothing_owed"),
    "estimated": ("owed", "nothing_owed", "denied", "waived", "refunded_by_others"),
    "owed": ("granted", "disputed", "waived", "offset", "refunded_by_others"),
    "granted": ("paying",),
    "paying": ("succeeded", "partly_succeeded", "credit_issued", "owed"),
    "partly_succeeded": ("succeeded", "owed"),
    "succeeded": ("settled", "owed"),
    "settled": ("owed",),
    "nothing_owed": ("owed",),
    "denied": ("owed",),
    "waived": ("owed",),
    "offset": ("settled", "owed"),
    "credit_issued": ("settled", "owed"),
    "refunded_by_others": ("settled",),
    "disputed": ("owed", "settled"),
}

MONEY_RESOLVED = frozenset(
    {"succeeded", "settled", "credit_issued", "offset", "nothing_owed", "denied", "waived", "refunded_by_others"}
)

# Books, per posting (domain.md section 6).
BOOKS: Table = {
    "not_required": ("required",),
    "required": ("not_required", "blocked", "submitting", "drafted", "posted", "found_existing"),
    "submitting": ("unknown", "drafted", "posted", "blocked", "not_required"),
    "unknown": ("posted", "drafted", "submitting", "blocked", "not_required"),
    "blocked": ("not_required", "required", "submitting", "posted", "found_existing"),
    "drafted": ("posted", "required"),
    "found_existing": ("posted",),
    "posted": ("applied", "reversed", "mismatched"),
    "applied": ("settled", "mismatched", "reversed"),
    "settled": ("reversed",),
    "mismatched": ("posted", "required"),
    "reversed": ("required",),
}

BOOKS_POSTED = frozenset({"posted", "applied", "settled"})
BOOKS_FINAL = frozenset({"settled", "not_required", "reversed"})

EXCHANGE: Table = {
    "quoted": ("awaiting_payment", "covered", "withdrawn"),
    "awaiting_payment": ("covered", "withdrawn"),
    "covered": ("ordered", "withdrawn"),
    "ordered": ("shipped", "withdrawn"),
    "shipped": ("delivered", "withdrawn"),
    "delivered": ("settled",),
    "settled": (),
    "withdrawn": (),  # out of stock, cancelled: the entitlement goes back to refund
}

# Case status, in the order in which it grows; computed by status.py from the bottom up.
STATUS: Table = {
    "draft": ("requested",),
    "requested": ("under_review", "authorised", "partially_authorised", "declined", "cancelled"),
    "under_review": ("authorised", "partially_authorised", "declined", "cancelled"),
    "authorised": ("awaiting_goods", "in_progress", "cancelled"),
    "partially_authorised": ("awaiting_goods", "in_progress", "cancelled"),
    "awaiting_goods": ("in_progress", "expired", "cancelled"),
    "in_progress": ("resolved",),
    "resolved": ("closed", "in_progress"),
    "closed": ("in_progress",),
    "declined": ("in_progress", "requested"),
    "cancelled": ("in_progress",),
    "expired": ("in_progress",),
}

AXES: Mapping[str, Table] = {
    "status": STATUS,
    "goods": GOODS,
    "money": LINE_MONEY,
    "intent": INTENT,
    "leg": LEG,
    "books": BOOKS,
    "exchange": EXCHANGE,
}

START: Mapping[str, str] = {
    "status": "draft",
    "goods": "not_expected",
    "money": "undetermined",
    "intent": "proposed",
    "leg": "planned",
    "books": "required",
    "exchange": "quoted",
}


@cache
def reachable(axis: str, state: str) -> frozenset[str]:
    """Every state that may follow `state`, directly or through others. Raises KeyError for an unknown one."""
    table, seen, todo = AXES[axis], set[str](), [state]
    while todo:
        for after in table[todo.pop()]:
            if after not in seen:
                seen.add(after)
                todo.append(after)
    return frozenset(seen)


def may(axis: str, before: str, after: str) -> bool:
    """Whether the axis may go from `before` to `after`, intermediate facts possibly lost."""
    return before == after or after in reachable(axis, before)


def mermaid(axis: str) -> str:
    """The axis as a Mermaid state diagram."""
    table = AXES[axis]
    lines = ["stateDiagram-v2", f"    [*] --> {START[axis]}"]
    lines += [f"    {before} --> {after}" for before, afters in table.items() for after in afters]
    lines += [f"    {state} --> [*]" for state, afters in table.items() if not afters]
    return "\n".join(lines)
