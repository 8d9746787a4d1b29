"""The oracle: what each party should hold when a story has ended, from the script and the retailer's tables alone.

It is a second reading of the requirements and shares no code with the product: it does not import `core` (an import
contract holds it to that), it knows no facts, effects or states, and it does not play time. It reads who did what, in
order, and answers with sums. Where the requirements leave room (which piece of a line carries the odd cent) an answer
is a range. Sources: requirements 3, 10-13, 28-37, 62, 65, 69-76; edge cases by number; the policy tables as text.
One file, and under 500 lines by design, so that a person can read it through and hold it against its sources.
"""

import re
import tomllib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import ceil, floor
from typing import Any

from counterflow.simulate.script import PEOPLE, Sold, Step, Story

Range = tuple[int, int]  # both ends included
NOTHING: Range = (0, 0)
_PPM = 1_000_000
_TILL = "till-1"

# The words of the shop's portal, in those of the policy tables (glossary; requirement 36: one canonical return).
_REASONS = {
    "UNWANTED": "changed_mind",
    "COLOR": "changed_mind",
    "STYLE": "changed_mind",
    "SIZE_TOO_SMALL": "does_not_fit",
    "SIZE_TOO_LARGE": "does_not_fit",
    "DEFECTIVE": "defective",
    "NOT_AS_DESCRIBED": "not_as_described",
    "WRONG_ITEM": "wrong_item",
    "UNKNOWN": "none_given",
}
_FLAGS = (
    *("customised", "perishable", "digital", "hygiene", "seal_broken", "sealed_media", "final_sale", "hazmat"),
    *("data_bearing", "wiped", "incomplete", "empty_box", "used_beyond_testing"),
)
_OUR_FAULT = ("not_as_described", "wrong_item", "damaged_in_transit", "defective", "missing_parts")

# Where a disposition takes a piece in the ERP's stock (requirements 34, 35): classes of places, not names.
_GOES_TO = {
    "restock": "sellable",
    "refurbish": "refurbishment",
    "repair": "refurbishment",
    "liquidate": "refurbishment",
    "quarantine": "returns",
    "hold": "returns",
    "return_to_vendor": "vendor",
    "scrap": "scrap",
    "recycle": "scrap",
    "send_back": "customer",
}


@dataclass(frozen=True, slots=True)
class Ends:
    """What is true at the end of one story. Money in minor units of the story's currency."""

    refunded: Mapping[str, Range]  # tender on which the customer got it -> how much; what others paid is in it
    total: Range  # over all tenders
    credited: tuple[Range, ...]  # posted credit notes; one of these
    offset: int  # of it paid for with a replacement, not with money
    pieces: Mapping[tuple[str, str], int]  # (class of place, sku) -> change in the ERP's stock
    notices: Mapping[str, Range]  # template -> messages to the customer
    waits_for: frozenset[str]  # classes of exceptions that a person still has; empty: every case is closed
    status: str = "closed"  # of the cases, where nobody is waited for


@dataclass(slots=True)
class _Piece:
    """One thing that is asked back, or has come unasked."""

    line: int
    part: str
    value: Fraction  # its share of what was paid
    here: str = ""  # class of place that it has come to
    grade: str = ""
    findings: tuple[str, ...] = ()
    disposition: str = ""
    missing: str = ""  # what a person found out about it


@dataclass(slots=True)
class _Return:
    """One return: what was asked in one go, and what became of it."""

    ref: str
    kind: str
    reason: str
    remedy: str
    channel: str
    pieces: list[_Piece]
    receipts: int = 0
    judged: int = 0  # how often somebody has judged pieces; what is judged apart may be paid apart
    wrong: Counter[str] = field(default_factory=Counter)  # class of exception -> pieces that are not as announced
    settled: Counter[str] = field(default_factory=Counter)  # class of exception -> how many a person has resolved
    replacement_minor: int = 0
    paid_in_minor: int = 0
    signatures: int = 0
    cancelled: bool = False
    sent: bool = False  # a carrier has it: what does not arrive was lost on its way
    late: bool = False  # asked for under the tables that came later


@dataclass(slots=True)
class _Story:
    """What the walk through a script has met."""

    story: Story
    returns: list[_Return] = field(default_factory=list)
    receipts: dict[str, tuple[_Return, list[list[_Piece]]]] = field(default_factory=dict)
    by_hand_minor: int = 0
    by_marketplace_minor: int = 0
    dispute: str = ""  # opened | won | lost
    failed: bool = False
    failed_settled: str = ""
    late: bool = False  # what is walked now is done under the later tables
    sold_late: bool = False


class Oracle:
    """Predicts with a retailer's policies: the text of a policy file, and of the one that came later."""

    def __init__(self, policies: str, later: str = "") -> None:
        self._tables: dict[str, list[dict[str, Any]]] = tomllib.loads(policies)
        self._later: dict[str, list[dict[str, Any]]] = tomllib.loads(later)

    def foresee(self, story: Story, late: Collection[int] = ()) -> tuple[Ends, ...]:
        """What each party may hold in the end, nearly always one thing. Raises ValueError for an unknown act.

        `late`: the steps, by number, that were done under the later policies.
        """
        walk = _Story(story)
        for n, step in enumerate(story.steps):
            walk.late = n in late
            _walk(walk, step)
        ends = [self._return(walk, each) for each in walk.returns]
        owed = self._owed(walk, ends)
        found = self._ends(walk, ends, owed)
        if walk.dispute != "won":
            return (found,)
        # Where the refund went out before anybody knew of the dispute the provider has refused it, and a person has it.
        waits, told = frozenset({"refund_rejected", "refund_unroutable"}), dict(found.notices)
        told.pop("refund_sent", None)
        refused = replace(found, refunded={}, total=NOTHING, credited=(NOTHING,), notices=told, waits_for=waits)
        return found, refused

    # ---- the tables --------------------------------------------------------------------------------------------------

    def _ask(self, table: str, inputs: Mapping[str, Any], late: bool) -> dict[str, Any]:
        """The answer of the first row that holds (docs: Policies); guards in CEL are not for the oracle."""
        for row in (self._later if late else self._tables)[table]:
            if "when" not in row and all(_fits(cell, inputs[name]) for name, cell in row.get("if", {}).items()):
                return {"row": row["id"], **row["then"]}
        raise ValueError(f"no row of {table} holds")

    def _inputs(self, walk: _Story, each: _Return, piece: _Piece | None = None) -> dict[str, Any]:
        """A consumer in Germany who bought at a distance a few days ago: nothing in the stories says otherwise."""
        sold = walk.story.lines[piece.line if piece else 0]
        inputs: dict[str, Any] = dict.fromkeys(_FLAGS, False)
        inputs |= dict.fromkeys(piece.findings if piece else (), True)
        recalled = piece is not None and "lot_recalled" in piece.findings
        return inputs | {
            "case_kind": each.kind, "reason": each.reason, "remedy": each.remedy, "regime": "consumer", "country": "DE",
            "currency": walk.story.currency, "amount_minor": sold.paid_minor, "tender": walk.story.tenders[0].kind,
            "lot_status": "recalled" if recalled else "ok", "serial_result": "ok", "days_since_delivery": 5,
            "stated_condition": "unopened", "grade": (piece and piece.grade) or "not_graded", "category": "general",
        }  # fmt: skip

    # ---- one return --------------------------------------------------------------------------------------------------

    def _return(self, walk: _Story, each: _Return) -> "_Owed":
        """What is owed for a return, and where its pieces are."""
        found = _Owed()
        inputs = self._inputs(walk, each)
        if self._ask("eligibility", inputs, each.late)["decision"] != "approve":
            found.declined = True
            return found
        early = self._ask("refund_moment", inputs, each.late)["moment"] == "request"
        for piece in each.pieces:
            if piece.grade and not piece.disposition:
                piece.disposition = self._ask("disposition", self._inputs(walk, each, piece), each.late)["disposition"]
            if piece.here:
                found.places[_GOES_TO.get(piece.disposition, piece.here), _sku(walk, piece)] += 1
                found.places["customer", _sku(walk, piece)] -= 1
            lost = piece.missing == "lost" and each.sent  # proof of dispatch decides (edge case 35)
            if not (piece.grade or early or lost) or (piece.missing and not lost):
                continue
            # What was promised at the sale stands where the later rules are harsher (requirement: policies are data).
            rules = {each.late, walk.sold_late}
            answers = [self._ask("fees", self._inputs(walk, each, piece), late) for late in rules]
            terms = min(answers, key=lambda answer: self._kept(each, piece, answer))
            found.back.append(piece)
            found.kept += self._kept(each, piece, terms) * piece.value
            found.deducted += bool(self._kept(each, piece, terms))
            found.shipping |= terms["shipping_refund"] in ("standard", "full")
            found.re_price |= terms["promotion"] == "re_price"
        return found

    def _kept(self, each: _Return, piece: _Piece, terms: Mapping[str, Any]) -> Fraction:
        """The share of a piece that the retailer keeps.

        The law stands above the table (edge cases 13, 23): a consumer who withdraws loses value only by a finding that
        says so, and a claim that is our fault loses nothing.
        """
        if each.reason in _OUR_FAULT:
            return Fraction(0)
        loss = terms.get("value_loss_ppm", {}).get(piece.grade, 0) if "used_beyond_testing" in piece.findings else 0
        return Fraction(loss + terms.get("restocking_fee_ppm", 0), _PPM)

    # ---- the sums ----------------------------------------------------------------------------------------------------

    def _owed(self, walk: _Story, ends: list["_Owed"]) -> Range:
        """What the customer is owed for all pieces that came back, over all returns: in any order the same sum (10)."""
        low = high = 0
        back = [piece for each in ends for piece in each.back]
        for i, sold in enumerate(walk.story.lines):
            mine = [piece for piece in back if piece.line == i]
            share = sum((piece.value for piece in mine), Fraction(0))
            low, high = low + floor(share), high + ceil(share)
            if (
                (earned := _promotion(sold))
                and any(each.re_price for each in ends)
                and len(mine) < sold.quantity
                and mine
            ):
                left = sold.quantity - len(mine)  # edge case 1: the kept pieces cost what they cost alone
                alone = sold.paid_minor - (left * sold.price_minor - left // earned * sold.price_minor)
                low, high = max(0, min(low, alone)), max(0, min(high, alone))
        kept, pieces = sum((each.kept for each in ends), Fraction(0)), sum(each.deducted for each in ends)
        if kept:
            low, high = low - ceil(kept) - (pieces - 1), high - floor(kept) + (pieces - 1)
        if any(each.shipping for each in ends if each.back):
            low, high = low + walk.story.shipping_minor, high + walk.story.shipping_minor
        if walk.by_marketplace_minor:  # edge case 71: it decides what its customer gets
            return walk.by_marketplace_minor, walk.by_marketplace_minor
        return max(0, low), max(0, high)

    def _ends(self, walk: _Story, ends: list["_Owed"], owed: Range) -> Ends:
        offset = paid_back = 0
        for each in walk.returns:
            unpaid = each.replacement_minor - owed[0] > each.paid_in_minor  # two weeks later it is money (edge case 65)
            if each.replacement_minor and not unpaid:  # requirements 30, 31
                offset += min(owed[0], each.replacement_minor)
            elif each.paid_in_minor:
                paid_back += each.paid_in_minor
        waits = self._waits(walk, ends, owed)
        due = (owed[0] - offset + paid_back, owed[1] - offset + paid_back)
        if waits & {"approval_needed", "serial_mismatch"} or walk.dispute == "opened":
            apart = any(each.judged > 1 for each in walk.returns)  # what was judged first may be below the limit
            due = (0, due[1] - 1) if waits == {"approval_needed"} and apart else NOTHING
        by_others = walk.by_hand_minor + walk.by_marketplace_minor
        total = (max(due[0], by_others), max(due[1], by_others))
        refunded = self._tenders(walk, total)
        credited: tuple[Range, ...] = ((total[0] + offset, total[1] + offset),)
        if walk.dispute == "lost":  # the customer has that money already (edge case 57): nothing is paid by us
            credited, refunded, total = (NOTHING, owed), {}, NOTHING
        pieces = Counter[tuple[str, str]]()
        for end in ends:
            pieces.update(end.places)
        for sold in walk.story.lines:
            for part in sold.parts or (sold,):
                count = part.quantity * (sold.quantity if sold.parts else 1)
                pieces["sellable", part.sku] -= count
                pieces["customer", part.sku] += count
        moved = {key: n for key, n in pieces.items() if n}
        notices = self._notices(walk, ends, refunded, by_others)
        status = "declined" if ends and all(each.declined for each in ends) else "closed"
        return Ends(refunded, total, credited, offset, moved, notices, waits, status)

    def _waits(self, walk: _Story, ends: list["_Owed"], owed: Range) -> frozenset[str]:
        """The exceptions that are left for a person (requirements 11, 20, 69)."""
        waits = set()
        for each in walk.returns:
            signers = {"auto": 0, "one": 1, "two": 2}
            inputs = self._inputs(walk, each) | {"amount_minor": owed[1]}
            by_others = walk.by_hand_minor + walk.by_marketplace_minor >= owed[1]
            if (
                signers[self._ask("approvals", inputs, each.late)["persons"]] > each.signatures
                and not by_others
                and owed[1]
            ):
                waits.add("approval_needed")
            waits |= {kind for kind, count in each.wrong.items() if count > each.settled[kind]}
            if any(not piece.here and not piece.missing for piece in each.pieces) and each.receipts:
                waits.add("missing_goods")
            if any(piece.missing == "lost" for piece in each.pieces):
                waits.add("recovery_claim" if each.sent else "missing_goods")
            if each.cancelled and not each.settled["cancelled_after_receipt"]:
                waits.add("cancelled_after_receipt")
            if any(_GOES_TO.get(piece.disposition) == "returns" for piece in each.pieces):
                waits.add("quarantine")
        if walk.failed and not walk.failed_settled:
            waits.add("refund_failed")
        return frozenset(waits)

    def _tenders(self, walk: _Story, total: Range) -> dict[str, Range]:
        """On which tender: the card first, up to what it paid, then the gift card (edge case 53)."""
        refunded: dict[str, Range] = {}
        if {each.remedy for each in walk.returns} == {"store_credit"}:
            refunded["store_credit"] = total
        else:
            before = 0
            for tender in sorted(walk.story.tenders, key=lambda each: each.kind == "gift_card"):
                refunded[tender.kind] = (
                    max(0, min(total[0] - before, tender.amount_minor)),
                    max(0, min(total[1] - before, tender.amount_minor)),
                )
                before += tender.amount_minor
            if total[1] > before:  # what was paid in for an exchange that fell through goes back to that card
                low, high = refunded.get("card", NOTHING)
                refunded["card"] = (low + max(0, total[0] - before), high + total[1] - before)
        if walk.failed and (card := refunded.pop("card", None)):  # edge case 48: on another rail
            refunded[walk.failed_settled or "card"] = card if walk.failed_settled else NOTHING
        return {kind: amount for kind, amount in refunded.items() if amount[1]}

    def _notices(
        self, walk: _Story, ends: list["_Owed"], refunded: Mapping[str, Range], by_others: int
    ) -> dict[str, Range]:
        """One message for each real change (requirement 75); none of what others paid, and none of a promise."""
        notices = Counter[str]()
        received = [NOTHING]
        for each, end in zip(walk.returns, ends, strict=True):
            if each.channel in ("portal", "store", "cases"):
                notices["return_declined" if end.declined else "return_approved"] += 1
            if end.places:
                received.append((1, max(1, each.receipts)))
        legs = Counter[str]()
        if not by_others:
            waves = sum(max(1, each.judged) for each, end in zip(walk.returns, ends, strict=True) if end.back)
            for amount in refunded.values():
                legs.update(low=1 if amount[0] else 0, high=waves)  # what is judged apart may be paid apart
        if walk.failed:
            notices["refund_corrected"] = 1
            legs.update(low=1, high=1)
        found: dict[str, Range] = {name: (n, n) for name, n in notices.items()}
        if len(received) > 1:
            found["goods_received"] = (sum(low for low, _ in received), sum(high for _, high in received))
        if legs["high"]:
            found["refund_sent"] = (legs["low"], legs["high"])
        return found


@dataclass(slots=True)
class _Owed:
    """What one return comes to."""

    back: list[_Piece] = field(default_factory=list)
    kept: Fraction = Fraction(0)
    deducted: int = 0  # pieces of which something is kept
    shipping: bool = False
    re_price: bool = False
    declined: bool = False
    places: Counter[tuple[str, str]] = field(default_factory=Counter)


# ---- the walk through a script ---------------------------------------------------------------------------------------

# Parts of the sale, which the story's head says already, and what has no consequence for the end.
_NOTHING = ("pay", "set_rate", "issue_gift_card", "sell", "seed_products", "fulfil", "manual_credit_note", "count")


def _walk(walk: _Story, step: Step) -> None:
    act, args, first = step.act, step.args, walk.returns[0] if walk.returns else None
    if step.system == PEOPLE:
        act = act.rpartition("/")[2]  # of a path what it ends in
    if act in ("request_return", "create_return", "cases"):
        _ask_back(walk, step)
    elif act == "receive":
        _counted(walk, step)
    elif act == "inspect":
        _inspected(walk, step)
    elif act == "marketplace_refund":
        pieces = [piece for row in args["lines"] for piece in _pieces(walk, row, int(row["quantity"]))]
        made = _Return("$marketplace", "marketplace_return", "none_given", "refund", act, pieces, late=walk.late)
        walk.returns.append(made)
        walk.by_marketplace_minor = round(sum((piece.value for piece in pieces), Fraction(0)))
    elif act == "place_order":
        walk.sold_late = walk.late
    elif act == "refund_in_dashboard":
        walk.by_hand_minor += args["amount_minor"]
    elif act in ("open_dispute", "close_dispute"):
        walk.dispute = "opened" if act == "open_dispute" else "won" if args["won"] else "lost"
    elif act == "fail_refund":
        walk.failed = True
    elif first is None:
        if act not in _NOTHING:
            raise ValueError(f"the oracle does not know what {step.system} {act} means")
    elif act == "customer_picks":
        first.remedy = args["remedy"]
        first.replacement_minor = args.get("unit_price_minor", 0) * args.get("quantity", 1)
    elif act == "resolve":
        kind = next(str(value) for each in step.when if each.kind == "exception" for value in each.values)
        first.settled[kind] += 1
        if kind == "refund_failed":
            walk.failed_settled = args["action"].removeprefix("pay_")
    elif act == "missing":
        first.judged += 1
        for piece in first.pieces:
            piece.missing = "" if piece.here else args["verdict"]
    elif act == "dispositions":
        for piece in first.pieces:
            piece.disposition = args["disposition"]
    elif act == "payments":
        first.paid_in_minor += args["amount_minor"]
    elif act == "grant":
        first.signatures += 1
    elif act == "scan":
        first.sent = True
    elif act == "cancel_order":
        first.replacement_minor = 0  # it cannot be had: the entitlement goes back as money (requirement 31)
    elif act == "cancel_return":
        first.cancelled = any(piece.here for piece in first.pieces)
    elif act not in (*_NOTHING, "deliver"):
        raise ValueError(f"the oracle does not know what {step.system} {act} means")


def _ask_back(walk: _Story, step: Step) -> None:
    reason, pieces = "none_given", list[_Piece]()
    for row in step.args["lines"]:
        reason = _REASONS.get(row["reason"], row["reason"])
        pieces += _pieces(walk, row, int(row["quantity"]))
    channel = "store" if step.system == _TILL else {"request_return": "portal"}.get(step.act, step.act.lstrip("/"))
    walk.returns.append(_Return(f"${step.name}", "return", reason, "refund", channel, pieces, late=walk.late))


def _pieces(walk: _Story, row: Mapping[str, Any], count: int) -> list[_Piece]:
    """The pieces that a row of a request or a receipt names, by its sku or by the index of the line in the order."""
    for i, sold in enumerate(walk.story.lines):
        part = next((part for part in sold.parts if part.sku == row.get("sku")), None)
        if part is not None:  # edge case 15: its share as it was frozen at the sale
            return [_Piece(i, part.sku, Fraction(part.paid_minor, part.quantity)) for _ in range(count)]
        if row.get("sku") == sold.sku or f".{i}." in str(row.get("line_ref", "")):
            return [_Piece(i, "", Fraction(sold.paid_minor, sold.quantity)) for _ in range(count)]
    return []


def _counted(walk: _Story, step: Step) -> None:
    named = (each for each in walk.returns if f"{each.ref}." in step.case)
    mine = next(named, walk.returns[0] if walk.returns else None)
    if mine is None:  # nobody announced it (requirement 69, blind return)
        pieces = [piece for row in step.args["lines"] for piece in _pieces(walk, row, int(row["quantity"]))]
        mine = _Return("$blind", "return", "none_given", "refund", "blind", pieces, late=walk.late)
        walk.returns.append(mine)
    place, rows = "store" if step.system == _TILL else "returns", list[list[_Piece]]()
    mine.receipts += 1
    for row in step.args["lines"]:
        sold = [line for line in walk.story.lines if line.sku == row["sku"] and line.serials]
        if sold and row.get("serial") not in sold[0].serials:  # requirement 11
            mine.wrong["serial_mismatch"] += 1
            rows.append([])
            continue
        fits = [p for p in mine.pieces if _sku(walk, p) == row["sku"] and (not p.here or p.here == "store" != place)]
        taken = fits[: int(row["quantity"])]
        for piece in taken:
            piece.here = place
        mine.wrong["over_receipt"] += int(row["quantity"]) - len(taken)
        rows.append(taken)
    walk.receipts[step.name] = mine, rows


def _inspected(walk: _Story, step: Step) -> None:
    mine, rows = walk.receipts[step.args["receipt_id"].removeprefix("$").partition(".")[0]]
    mine.judged += 1
    line = [piece for piece in rows[step.args["line_no"] - 1] if not piece.grade]
    for piece in line[: step.args.get("quantity", len(line))]:
        piece.grade = step.args["grade"]
        piece.findings = tuple(each["code"] for each in step.args["findings"])


def _sku(walk: _Story, piece: _Piece) -> str:
    return piece.part or walk.story.lines[piece.line].sku


def _fits(cell: Any, value: Any) -> bool:
    """One cell of a row: a word, a list of words, a flag, or a range with both ends included."""
    if isinstance(cell, dict):
        return bool(cell.get("min", value) <= value <= cell.get("max", value))
    return value in cell if isinstance(cell, list) else value == cell


def _promotion(sold: Sold) -> int:
    """Pieces of which one is free, by the title that was frozen at the sale: "Buy 2 get 1", "3 for 2"; 0: no such."""
    if found := re.search(r"(?i)buy (\d+) get 1", sold.promotion):
        return int(found[1]) + 1
    found = re.search(r"(?i)(\d+) for (\d+)", sold.promotion)
    return int(found[1]) if found else 0


def stock(ends: Iterable[Ends]) -> Counter[tuple[str, str]]:
    """(class of place, sku) -> how the ERP's stock has changed by all stories together."""
    pieces = Counter[tuple[str, str]]()
    for each in ends:
        pieces.update(each.pieces)
    return Counter({key: n for key, n in pieces.items() if n})
