"""The statutory floor: what the law gives the customer, whatever a policy row says; and what goods must never become.

A ground is a small decision table of its own: does this right or duty hold here? A limit says what an answer may not be
on that ground. `apply` overrides a harsher row and keeps both: the row, and the limit with its source. A floor lists
what we are sure of; it is no legal advice, and the law of a country may give more: put that in the tables.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date

from counterflow.core.money import Money
from counterflow.core.policy.evaluate import evaluate, show
from counterflow.core.policy.table import Answer, Cell, Hit, Review, Row, Table
from counterflow.core.policy.vocabulary import EEA, SELLER_FAULT, Output, Word

ANSWERS: Mapping[str, Output] = {"applies": Word((True, False))}

_YES: Mapping[str, Answer] = {"applies": True}
_NO: Mapping[str, Answer] = {"applies": False}
_CRD, _SGD, _GPSR = "Directive 2011/83/EU", "Directive (EU) 2019/771", "Regulation (EU) 2023/988"
_ON, _OFF = frozenset({True}), frozenset({False})
_CONSUMER: Mapping[str, Cell] = {"regime": frozenset({"consumer"}), "country": EEA}


def _words(*words: str) -> frozenset[str]:
    return frozenset(words)


def _ground(name: str, *rows: tuple[str, Mapping[str, Cell], Mapping[str, Answer], str]) -> Table:
    listed = [Row(row, cells, then, note=source) for row, cells, then, source in rows]
    return Table(f"floor:{name}", (*listed, Row("otherwise", {}, _NO, note="no ground")))


# id, when it holds, whether the ground then applies, the source. First hit wins, as in every table.
GROUNDS: Mapping[str, Table] = {
    "withdrawal": _ground(
        "withdrawal",
        ("customised", {"customised": _ON}, _NO, f"{_CRD} art. 16(c)"),
        ("perishable", {"perishable": _ON}, _NO, f"{_CRD} art. 16(d)"),
        ("hygiene", {"hygiene": _ON, "seal_broken": _ON}, _NO, f"{_CRD} art. 16(e)"),
        ("sealed-media", {"sealed_media": _ON, "seal_broken": _ON}, _NO, f"{_CRD} art. 16(i)"),
        ("digital", {"digital": _ON}, _NO, f"{_CRD} art. 16(m)"),
        (
            "consumer",
            {
                **_CONSUMER,
                "contract": _words("distance", "off_premises"),
                "case_kind": _words("withdrawal", "return"),
                "remedy": _words("refund", "store_credit", "none"),  # an exchange keeps the contract
                "withdrawal_open": _ON,
            },
            _YES,
            f"{_CRD} art. 9, 10",
        ),
    ),
    "finding": _ground(
        "finding",
        # The row above decides whether there is a withdrawal at all; here: may its value loss be charged?
        ("not-informed", {"informed": _OFF}, _YES, f"{_CRD} art. 14(2), last sentence"),
        ("no-finding", {"used_beyond_testing": _OFF}, _YES, f"{_CRD} art. 14(2)"),
    ),
    "guarantee": _ground(
        "guarantee",
        (
            "consumer",
            {**_CONSUMER, "reason": _words(*SELLER_FAULT), "guarantee_open": _ON},
            _YES,
            f"{_SGD} art. 10(1), 13",
        ),
    ),
    "delivery": _ground(
        "delivery",
        ("consumer", {**_CONSUMER, "reason": _words("not_received")}, _YES, f"{_CRD} art. 18(3)"),
    ),
    "recall": _ground(
        "recall",
        ("lot", {**_CONSUMER, "lot_status": _words("recalled")}, _YES, f"{_GPSR} art. 37"),
        ("case", {**_CONSUMER, "case_kind": _words("recall")}, _YES, f"{_GPSR} art. 37"),
    ),
    "unsafe": _ground(
        "unsafe",
        ("lot", {"lot_status": _words("recalled", "expired")}, _YES, f"{_GPSR} art. 5; edge case 22"),
    ),
    "identity": _ground(
        "identity",
        ("serial", {"serial_result": _words("mismatch", "unknown", "already_returned")}, _YES, "edge cases 18, 19"),
    ),
    "personal-data": _ground(
        "personal-data",
        ("not-wiped", {"data_bearing": _ON, "wiped": _OFF}, _YES, "Regulation (EU) 2016/679 art. 5(1)(f), 32"),
    ),
    "hygiene": _ground(
        "hygiene",
        ("seal-broken", {"hygiene": _ON, "seal_broken": _ON}, _YES, "edge case 25"),
    ),
    "not-inspected": _ground(
        "not-inspected",
        ("no-grade", {"grade": _words("not_graded")}, _YES, "a unit is sellable only after a finding (invariant D4)"),
    ),
}


@dataclass(frozen=True, slots=True)
class Limit:
    """On these grounds (all of them) `output` may not be one of `never`; it becomes what `never` maps it to.

    For fees and value loss (shares or sums) `never` is empty and the most that may be charged is nothing.
    `also` are outputs that change with it.
    """

    table: str
    grounds: tuple[str, ...]
    output: str
    never: Mapping[str, str] = field(default_factory=dict)
    also: Mapping[str, Answer] = field(default_factory=dict)
    source: str = ""  # where it is written, beside the grounds' own sources


def _sell(instead: str) -> Mapping[str, str]:
    return dict.fromkeys(("restock", "refurbish", "liquidate", "donate"), instead)


LIMITS: tuple[Limit, ...] = (
    Limit("eligibility", ("withdrawal",), "decision", {"decline": "approve"}, {"reason_code": "statutory_withdrawal"}),
    Limit("eligibility", ("guarantee",), "decision", {"decline": "approve"}, {"reason_code": "legal_guarantee"}),
    Limit("eligibility", ("recall",), "decision", {"decline": "approve"}, {"reason_code": "recall"}),
    # Whether it is lost has to be found out first, by a person.
    Limit("eligibility", ("delivery",), "decision", {"decline": "review"}, {"reason_code": "evidence_needed"}),
    *(
        Limit("fees", (ground,), fee, source=source)
        for ground, source in (
            ("withdrawal", f"{_CRD} art. 9(1), 14(5)"),
            ("guarantee", f"{_SGD} art. 14(1)(a); edge case 13"),
            ("delivery", f"{_CRD} art. 18(3)"),
            ("recall", f"{_GPSR} art. 37(5)"),
        )
        for fee in ("restocking_fee_ppm", "restocking_fee")
    ),
    Limit("fees", ("withdrawal",), "shipping_refund", {"none": "standard"}, source=f"{_CRD} art. 13(1), 13(2)"),
    Limit("fees", ("delivery",), "shipping_refund", dict.fromkeys(("none", "standard"), "full")),
    Limit("fees", ("withdrawal", "finding"), "value_loss_ppm", source="edge case 23"),
    # A grade cannot tell the defect from the wear, so it deducts nothing from a justified claim.
    Limit("fees", ("guarantee",), "value_loss_ppm", source=f"{_SGD} art. 14(4)"),
    Limit("fees", ("recall",), "value_loss_ppm"),
    # Taking back one piece of a promotion is a withdrawal too: it may be re-priced, it may not be refused.
    Limit("fees", ("withdrawal",), "promotion", {"deny_partial": "re_price"}, source="edge case 1"),
    Limit("disposition", ("unsafe",), "disposition", {**_sell("quarantine"), "send_back": "quarantine"}),
    Limit("disposition", ("identity",), "disposition", _sell("quarantine")),
    Limit("disposition", ("personal-data",), "disposition", {**_sell("hold"), "return_to_vendor": "hold"}),
    Limit("disposition", ("hygiene",), "disposition", {"restock": "quarantine"}),
    Limit("disposition", ("not-inspected",), "disposition", _sell("hold")),
)


@dataclass(frozen=True, slots=True)
class Override:
    """One answer that the floor changed, the grounds that hold, and where they are written."""

    output: str
    was: Answer
    now: Answer
    grounds: tuple[str, ...]  # "withdrawal/consumer"
    source: str


@dataclass(frozen=True, slots=True)
class Floored:
    """What counts: the row's answer after the floor. `hit` keeps the row, `overrides` what the floor changed in it."""

    hit: Hit
    outputs: Mapping[str, Answer]
    overrides: tuple[Override, ...] = ()


def clocks(
    declared_on: date, withdrawal_deadline_on: date | None, guarantee_until_on: date | None
) -> Mapping[str, bool]:
    """The inputs `withdrawal_open` and `guarantee_open`; a deadline of None has not begun to run: nothing delivered."""
    return {
        "withdrawal_open": withdrawal_deadline_on is None or declared_on <= withdrawal_deadline_on,
        "guarantee_open": guarantee_until_on is None or declared_on <= guarantee_until_on,
    }


def apply(hit: Hit, inputs: Mapping[str, object]) -> Floored | Review:
    """Keep the answer of a table above the floor.

    A Review names the input that is missing to know whether the law stands against a harsh answer; an answer that no
    limit could touch ask for nothing.
    """
    outputs, overrides = dict(hit.outputs), list[Override]()
    for limit in LIMITS:
        if limit.table != hit.table or limit.output not in outputs:
            continue
        was = outputs[limit.output]
        now = _limited(limit, was)
        if now == was:
            continue
        held = list(_hold(limit.grounds, inputs))
        unknown = next((each for each in held if isinstance(each, Review)), None)
        if unknown is not None:
            why = f"row {hit.row} says {limit.output} {show(was)}, and {unknown.table} cannot be settled: {unknown.why}"
            return Review(hit.table, hit.row, hit.version, why, unknown.names)
        rows = [each for each in held if isinstance(each, Row)]
        if len(rows) < len(limit.grounds):
            continue
        outputs[limit.output] = now
        outputs.update(limit.also)
        grounds = tuple(f"{name}/{row.id}" for name, row in zip(limit.grounds, rows, strict=True))
        sources = [*(row.note for row in rows), *([limit.source] if limit.source else [])]
        overrides.append(Override(limit.output, was, now, grounds, "; ".join(sources)))
    return Floored(hit, outputs, tuple(overrides)) if overrides else Floored(hit, hit.outputs)


def explain_floor(floored: Floored) -> str:
    """What the floor changed, in one sentence for each answer; empty where it changed nothing."""
    return " ".join(
        f"The law overrides row {floored.hit.row}: {each.output.replace('_', ' ')} is {show(each.now)} and not "
        f"{show(each.was)} ({', '.join(each.grounds)}: {each.source})."
        for each in floored.overrides
    )


def _hold(grounds: tuple[str, ...], inputs: Mapping[str, object]) -> Iterable[Row | Review]:
    """The row of each ground that applies, until one does not; a Review where it cannot be told."""
    for name in grounds:
        table = GROUNDS[name]
        answer = evaluate(table, inputs)
        if isinstance(answer, Review):
            yield answer
            return
        if answer.outputs["applies"] is not True:
            return
        yield next(row for row in table.rows if row.id == answer.row)


def _limited(limit: Limit, was: Answer) -> Answer:
    if limit.never:
        return limit.never.get(was, was) if isinstance(was, str) else was
    if isinstance(was, Money):
        return Money(was.currency, 0)
    if isinstance(was, Mapping):
        return dict.fromkeys(was, 0)
    return 0
