"""A batch of facts of some shards, decided in memory: what was read goes in, what is to be written comes out. No I/O.

Every fact ends in exactly one of: done, waiting (nobody knows its references yet), unmatched (that for too long: it
waits on, and a person is told), moved (its case lives in another shard), parked (the decision failed on it), or held
back (an earlier fact of its case was parked: next batch).
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from counterflow.core.effects import Effect
from counterflow.core.facts import (
    OPENS_AFTER_SECONDS,
    OURSELVES,
    DisputeMoved,
    ExceptionResolved,
    Fact,
    MarketplaceRefunded,
    RefundReported,
    ReturnRequested,
    SaleRecorded,
    SiblingsClaimed,
)
from counterflow.core.ids import case_id as make_case_id
from counterflow.core.ids import fact_id as make_fact_id
from counterflow.core.returns.case import Case, Claims, Decision, Setting
from counterflow.core.returns.whose import awaits, likeness
from counterflow.core.sale import Sale
from counterflow.engine.enrich import enrich
from counterflow.engine.held import Held, Open
from counterflow.store.codec import decode, effect_values, encode, fact_values
from counterflow.store.inbox import Incoming
from counterflow.store.log import LogRow, chain
from counterflow.store.shards import shard_of
from counterflow.store.xref import Target

Decide = Callable[[Case, Fact, Setting], Decision]
# Facts about a payment, which may be that of several cases.
OVER_PAYMENT = ("RefundReported", "MarketplaceRefunded", "DisputeMoved")


@dataclass(frozen=True, slots=True)
class Item:
    """One fact of the inbox. `case_id` is empty where the references have to find the case.

    `opens_at`: when it may open one itself, or is shown to a person; None: it has been shown.
    """

    fact: Fact
    case_id: str
    opens_at: datetime | None


@dataclass(frozen=True, slots=True)
class Known:
    """What was read for a batch."""

    held: Mapping[str, Held]
    elsewhere: Mapping[str, int]  # named cases that live in other shards
    targets: Mapping[str, Sequence[Target]]
    sales: Mapping[str, Sale]  # newest version, by sale_ref
    over_sale: Mapping[str, Sequence[str]]  # sale_ref -> case ids
    claims: Mapping[str, Mapping[str, str]]  # root sale -> case id -> claims


@dataclass(slots=True)
class Batch:
    """Decides facts one after the other, then says what to write."""

    shards: Collection[int]
    now: datetime
    known: Known
    decide: Decide
    setting: Setting
    opened: dict[str, Open] = field(default_factory=dict)
    found: dict[str, str] = field(default_factory=dict)  # reference -> case, learnt in this batch
    claims: dict[str, dict[str, str]] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)  # cases with a parked fact in this batch
    log: list[LogRow] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    tell: list[Incoming] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    unmatched: list[Fact] = field(default_factory=list)
    found_late: list[str] = field(default_factory=list)  # of the done ones, those that a person was told about
    moved: list[tuple[str, int]] = field(default_factory=list)
    parked: list[tuple[Fact, str]] = field(default_factory=list)
    new_refs: dict[str, set[str]] = field(default_factory=dict)
    learnt: dict[str, str] = field(default_factory=dict)  # case id -> its sale, which has to be handed to it yet

    def take(self, item: Item) -> None:
        fact = item.fact
        try:
            if isinstance(fact.body, SaleRecorded):
                self._sale(item, fact.body.sale)
                return
            if isinstance(fact.body, DisputeMoved) and not item.case_id:
                self._tell_others(fact)
            case_id = item.case_id or self._find(fact)
            if not case_id:
                case_id = self._open(item)
                if not case_id:
                    return
            if (away := self.known.elsewhere.get(case_id)) is not None:
                self.moved.append((fact.fact_id, away))
                return
            if case_id in self.broken:
                return  # held back: it stays ready
            if case_id not in self.opened and case_id not in self.known.held:
                self.parked.append((fact, f"there is no case {case_id}: discard it, or retry when the case exists"))
                return
            self._apply_all(self._case(case_id), fact)
            self.done.append(fact.fact_id)
            if item.opens_at is None:
                self.found_late.append(fact.fact_id)
        except Poison as poison:
            self.broken.add(poison.case_id)
            self.parked.append((fact, poison.reason))

    # ---- which case --------------------------------------------------------------------------------------------------

    def _find(self, fact: Fact) -> str:
        for ref in fact.refs:
            if ref.startswith("case:"):
                return ref[5:]
            if isinstance(fact.body, ReturnRequested) and (
                self._of_sale(ref, fact.body.sale_ref) or self._of_another(ref, fact.body)
            ):
                continue  # a second return of one sale is another case
            if isinstance(fact.body, RefundReported | MarketplaceRefunded) and (known := self._cases_of(ref)):
                return self._whose(fact, ref, known)
            if ref in self.found:
                return self.found[ref]
            for target in self.known.targets.get(ref, ()):
                if target.kind == "case":
                    return target.target
        if isinstance(fact.body, ReturnRequested):
            return next((id_ for id_ in self._cases_of(fact.body.sale_ref) if self._awaits(id_, fact.body)), "")
        return ""

    def _awaits(self, case_id: str, request: ReturnRequested) -> bool:
        here = case_id in self.opened or case_id in self.known.held
        return here and awaits(self._case(case_id).held.case, request, self.setting)

    def _cases_of(self, ref: str) -> list[str]:
        """All cases that have this reference, those that were open before this batch first."""
        stored = [target.target for target in self.known.targets.get(ref, ()) if target.kind == "case"]
        return [*dict.fromkeys((*stored, *(id_ for id_, case in self.opened.items() if ref in case.held.refs)))]

    def _whose(self, fact: Fact, ref: str, case_ids: Sequence[str]) -> str:
        """The case whose refund it is; empty when it is none of these: it waits for the one, or opens its own."""
        if ref.startswith("effect:") or ":refund:" in ref:
            return case_ids[0]
        here = [id_ for id_ in case_ids if id_ in self.opened or id_ in self.known.held]
        if not here:
            return case_ids[0]
        like = {id_: likeness(self._case(id_).held.case, fact, self.setting) for id_ in here}
        best = max(here, key=like.__getitem__)
        return best if like[best] >= 0 else ""

    def _tell_others(self, fact: Fact) -> None:
        """A dispute stops every case that would pay on the payment: the first gets the fact, the others word of it."""
        known = next((known for ref in fact.refs if (known := self._cases_of(ref))), [])
        for other in known[1:]:
            again = replace(fact, fact_id=make_fact_id(fact.connection, fact.kind, other, fact.fact_id))
            shard = next((t.shard for ts in self.known.targets.values() for t in ts if t.target == other), -1)
            if shard < 0:
                shard = self.opened[other].held.shard
            self.tell.append(Incoming(again, shard, other))

    def _of_another(self, ref: str, request: ReturnRequested) -> bool:
        """Whether an order, of which we do not know the sale yet, leads to a case of another return."""
        if "order:" not in ref:
            return False
        opened, held = self.opened, self.known.held
        cases = [opened[id_].held if id_ in opened else held.get(id_) for id_ in self._cases_of(ref)]
        return any(each is None or any(other_return(f.body, request) for f in each.case.facts) for each in cases)

    def _of_sale(self, ref: str, sale_ref: str) -> bool:
        return ref == sale_ref or any(target.kind == "sale" for target in self.known.targets.get(ref, ()))

    def _open(self, item: Item) -> str:
        """The id of a case opened for this fact, or empty when it waits or belongs to another shard."""
        fact = item.fact
        if item.opens_at is None or item.opens_at > self.now:
            self.waiting.append(fact.fact_id)
            return ""
        if fact.kind not in OPENS_AFTER_SECONDS:
            self.unmatched.append(fact)
            return ""
        home = home_shard(fact, self.known.targets)
        if home not in self.shards:
            self.moved.append((fact.fact_id, home))
            return ""
        case_id = make_case_id(fact.refs[0])
        if case_id in self.known.held or case_id in self.opened:
            return case_id
        self.opened[case_id] = Open(Held(Case(case_id), home, 0), 0)
        self.found[fact.refs[0]] = case_id
        self.new_refs.setdefault(case_id, set()).add(fact.refs[0])
        return case_id

    def _sale(self, item: Item, sale: Sale) -> None:
        """A sale goes to every case over it; the row itself was kept before."""
        fact = item.fact
        home = shard_of(sale.root)
        if home not in self.shards and not item.case_id:
            self.moved.append((fact.fact_id, home))
            return
        over = {item.case_id} if item.case_id else set(self.known.over_sale.get(sale.sale_ref, ()))
        if item.case_id in self.known.elsewhere:
            self.moved.append((fact.fact_id, self.known.elsewhere[item.case_id]))
            return
        over |= {id_ for id_, case in self.opened.items() if case.held.sale_ref == sale.sale_ref}
        for case_id in sorted(over):
            if case_id in self.broken:
                return  # held back
            if (away := self.known.elsewhere.get(case_id)) is not None:  # it lived under what it knew before its sale
                self.tell.append(Incoming(sale_fact(sale, self.now, case_id), away, case_id))
                continue
            case = self._case(case_id)
            if sale == _last_sale(case.held.case):
                continue  # it has been told another way
            case.held = replace(case.held, shard=home)  # the root sale decides where a case lives
            self._apply_all(case, fact)
        self.done.append(fact.fact_id)

    def _case(self, case_id: str) -> Open:
        case = self.opened.get(case_id)
        if case is None:
            held = self.known.held[case_id]
            case = self.opened[case_id] = Open(held, held.version, held.case.exceptions, wanted=held.timers)
        return case

    # ---- deciding ----------------------------------------------------------------------------------------------------

    def _apply_all(self, case: Open, fact: Fact) -> None:
        """The fact, after what the case has to know first: its sale, and what its siblings hold."""
        if (sale := self._sale_for(case, fact)) is not None:
            self._apply(case, sale_fact(sale, self.now, case.held.case.case_id))
        if (siblings := self._siblings(case)) is not None:
            self._apply(case, siblings)
        if not isinstance(fact.body, SiblingsClaimed):  # one from the inbox is a nudge; what counts is read above
            self._apply(case, fact)

    def _sale_for(self, case: Open, fact: Fact) -> Sale | None:
        """The stored sale that this fact names, if the case has none yet."""
        if case.held.sale_ref or isinstance(fact.body, SaleRecorded):
            return None
        named = [getattr(fact.body, "sale_ref", "")]
        if fact.kind in OPENS_AFTER_SECONDS:  # goods or money without a request: found by number, payment or serial
            named += [t.target for ref in fact.refs for t in self.known.targets.get(ref, ()) if t.kind == "sale"]
        return next((self.known.sales[ref] for ref in named if ref in self.known.sales), None)

    def _siblings(self, case: Open) -> Fact | None:
        held = case.held
        if not held.root:
            return None
        mine = held.case.case_id
        claims = {**self.known.claims.get(held.root, {}), **self.claims.get(held.root, {})}
        claims.pop(mine, None)
        seen = merge(claims)
        if seen == (held.siblings or SiblingsClaimed()):
            return None
        cause = f"{held.version}:{encode(seen)}"
        refs = (f"case:{mine}",)
        return Fact(make_fact_id(OURSELVES, "SiblingsClaimed", mine, cause), OURSELVES, self.now, self.now, refs, seen)

    def _apply(self, case: Open, fact: Fact) -> None:
        held = case.held
        case_id = held.case.case_id
        try:
            fact = enrich(fact, self.known.targets, held.sale_ref)
            decision = self.decide(held.case, fact, self.setting)
            if decision.duplicate:
                return
            seq = held.version + 1
            body = encode(
                {
                    "case": case_id,
                    "seq": seq,
                    "recorded_at": self.now,
                    "fact": fact_values(fact),
                    "effects": [effect_values(effect) for effect in decision.effects],
                    "changes": decision.changes,
                    "hits": decision.hits,
                    "because": decision.because,
                    "status": decision.view.status,
                }
            )
            claims = encode(decision.claims)
        except Exception as error:
            raise Poison(case_id, f"{type(error).__name__}: {error}"[:1000]) from error
        head = chain(held.head, body)
        self.log.append(LogRow(case_id, seq, body, held.head, head, self.now))
        self.effects += decision.effects
        view = decision.view
        root = view.root_sale_ref or view.sale_ref
        if view.sale_ref and not held.sale_ref and _last_sale(decision.case) is None:
            self.learnt[case_id] = view.sale_ref
        refs = frozenset(decision.refs)
        if fresh := refs - held.refs:
            self.new_refs.setdefault(case_id, set()).update(fresh)
            self.found.update(dict.fromkeys(fresh - self.known.targets.keys(), case_id))
        case.held = Held(
            decision.case,
            shard_of(root) if root else held.shard,
            seq,
            view.sale_ref,
            root,
            claims,
            head,
            held.timers,
            held.refs | refs,
            fact.body if isinstance(fact.body, SiblingsClaimed) else held.siblings,
        )
        case.view, case.wanted = view, frozenset(decision.timers)
        if isinstance(fact.body, ExceptionResolved):
            case.resolutions[fact.body.exception_id] = f"{fact.body.action} by {fact.body.by}: {fact.body.reason}"
        if root and (claims != held.claims or root != held.root):
            self.claims.setdefault(root, {})[case_id] = claims
            self._nudge(case_id, root, case.held)

    def _nudge(self, case_id: str, root: str, held: Held) -> None:
        """Let the other cases over the sale look: what this one holds has changed."""
        others = {*self.known.claims.get(root, {}), *self.claims[root]} - {case_id}
        for other in sorted(others):
            cause = make_fact_id(OURSELVES, "SiblingsClaimed", other, f"{case_id}:{held.version}")
            nudge = Fact(cause, OURSELVES, self.now, self.now, (f"case:{other}",), SiblingsClaimed())
            self.tell.append(Incoming(nudge, held.shard, other))


class Poison(Exception):
    """The decision failed on this fact for this case."""

    def __init__(self, case_id: str, reason: str) -> None:
        super().__init__(reason)
        self.case_id, self.reason = case_id, reason


def _last_sale(case: Case) -> Sale | None:
    return next((f.body.sale for f in reversed(case.facts) if isinstance(f.body, SaleRecorded)), None)


def other_return(body: object, request: ReturnRequested) -> bool:
    return isinstance(body, ReturnRequested) and body.return_ref != request.return_ref


def home_shard(fact: Fact, targets: Mapping[str, Sequence[Target]]) -> int:
    """Where a case that this fact opens lives: by the root of its sale if that is known, else by what it says."""
    named = getattr(fact.body, "sale_ref", "")
    for ref in (named, *fact.refs):
        for target in targets.get(ref, ()):
            if target.root:
                return shard_of(target.root)
    return shard_of(named or fact.refs[0])


def sale_fact(sale: Sale, now: datetime, case_id: str) -> Fact:
    """A stored sale as a fact for one case."""
    cause = make_fact_id(OURSELVES, "SaleRecorded", sale.sale_ref, f"{sale.version}:{case_id}")
    return Fact(cause, sale.connection, sale.ordered_at, now, (sale.sale_ref,), SaleRecorded(sale))


def merge(claims: Mapping[str, str]) -> SiblingsClaimed:
    """What these cases hold together, in one order whatever the order of the cases."""
    pieces: list[tuple[str, int, str]] = []
    refunded: dict[str, int] = {}
    observed: set[str] = set()
    for case_id, text in claims.items():
        held = decode(Claims, text)
        pieces += [(line_ref, piece, case_id) for line_ref, piece in held.pieces]
        for payment_ref, amount in held.refunded:
            refunded[payment_ref] = refunded.get(payment_ref, 0) + amount
        observed.update(held.observed)
    return SiblingsClaimed(tuple(sorted(pieces)), tuple(sorted(refunded.items())), tuple(sorted(observed)))
