"""What a script's conditions mean for a case's view, and what "$case..." refers to."""

from collections.abc import Callable, Mapping
from typing import Any

from counterflow.core.returns.case import View
from counterflow.simulate.script import Condition

Values = tuple[str | int, ...]


def _authorised(view: View, values: Values) -> bool:
    return bool(view.lines) and all(line.authorisation in ("approved", "declined") for line in view.lines)


def _goods(view: View, values: Values) -> bool:
    """At least `values[1]` pieces (one, if it is not given) are in a goods state."""
    state, least = values[0], values[1] if len(values) > 1 else 1
    return sum(unit.goods == state for unit in view.units) >= int(least)


def _remedy(view: View, values: Values) -> bool:
    return _authorised(view, ()) and all(line.remedy in values for line in view.lines)


def _booked(view: View, values: Values) -> bool:
    """As many refund payments as given are in the books (one, if it is not given)."""
    done = [p for p in view.postings if p.kind == "refund_payment" and p.document_ref]
    return len(done) >= int(values[0] if values else 1)


LOOKS: Mapping[str, Callable[[View, Values], bool]] = {
    "case": lambda view, values: True,  # there is one
    "status": lambda view, values: view.status in values,
    "authorised": _authorised,  # every line is decided
    "remedy": _remedy,  # every line is decided and has one of these remedies
    "goods": _goods,
    "received": lambda view, values: sum(bool(unit.place) for unit in view.units) >= int(values[0] if values else 1),
    "paid": lambda view, values: view.paid_minor >= int(values[0] if values else 1),
    "booked": _booked,
    "observed": lambda view, values: any(leg.origin == values[0] for leg in view.legs),
    "exchange": lambda view, values: view.exchange is not None and view.exchange.state in values,
    "replacement": lambda view, values: view.exchange is not None and bool(view.exchange.replacement_ref),
    "exception": lambda view, values: any(each.kind in values for each in view.exceptions),
}


def holds(condition: Condition, view: View | None) -> bool:
    """Whether it is true of the case; of no case nothing is. Raises KeyError for an unknown kind of condition."""
    return view is not None and LOOKS[condition.kind](view, condition.values)


def case_names(view: View, when: tuple[Condition, ...] = ()) -> dict[str, Any]:
    """The fields of "$case": id, rma, units (their ids), replacement and refund (the other system's own ids), owed.

    `exception` is the id of the open one that the step waited for, `intent` the refund that waits for a signature.
    """
    kinds = {value for each in when if each.kind == "exception" for value in each.values}
    exchange = view.exchange.replacement_ref if view.exchange is not None else ""
    refunds = [leg.refund_ref for leg in view.legs if leg.rail == "card" and leg.refund_ref]
    waiting = [intent for intent in view.intents if intent.state == "proposed"]
    return {
        "id": view.case_id,
        "rma": view.rma_number,
        "units": [unit.unit_id for unit in view.units],
        "replacement": exchange.rpartition(":")[2],
        "refund": refunds[0].rpartition(":")[2] if refunds else "",
        "exception": next((each.exception_id for each in view.exceptions if each.kind in kinds), ""),
        "intent": waiting[0].intent_id if waiting else "",
        "intent_minor": waiting[0].amount_minor if waiting else 0,
        "entitled_minor": view.entitled_minor,
    }
