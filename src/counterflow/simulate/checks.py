"""What is looked at after every step, and once more when all is at rest: the functions of `core/invariants.py`.

After a step only what has changed is read: the cases with a new version and their logs. What compares sums over all
cases with the outside is an inequality while work is under way (nothing is paid that was not decided) and an equality
at rest.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx2

from counterflow.connectors.odoo.session import theirs
from counterflow.core import invariants
from counterflow.core.effects import Effect
from counterflow.core.facts import Fact
from counterflow.core.money import number_to_minor
from counterflow.core.returns.case import Case, View
from counterflow.core.returns.decide import decide
from counterflow.core.returns.invariants import Finding, check
from counterflow.core.returns.states import LEG_PAID
from counterflow.engine import prove, replay
from counterflow.sandbox import estate
from counterflow.sandbox.estate import SECRETS
from counterflow.sandbox.proof import refunded
from counterflow.simulate import compare
from counterflow.simulate.network import ask
from counterflow.simulate.oracle import Ends
from counterflow.simulate.script import Story
from counterflow.simulate.store import Connection, Watch
from counterflow.simulate.town import OUTSIDE, STARTED, Broken
from counterflow.store.codec import decode, decode_log

if TYPE_CHECKING:
    from counterflow.simulate.kernel import Kernel

# Nobody's name or address, and none of the retailer's secrets, is in what we write.
CANARIES = ("@example.com", "Kim", *SECRETS.values())
_MAY_DIFFER = re.compile(r"waits for|its cases are")
_BOOKED = ("in_process", "paid")  # states of a payment in the ERP
ON_ITS_WAY = timedelta(days=2)  # so long may a payout that has arrived be without its entry
ENDED = frozenset({"closed", "declined", "cancelled", "expired"})
_OPEN = "('planned', 'sending', 'unknown', 'accepted')"


@dataclass
class Seen:
    """A case as it was committed last."""

    version: int
    view: View
    facts: list[Fact] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)


@dataclass
class Checks:
    """The state of all cases, read again as it changes."""

    kernel: "Kernel"
    seen: dict[str, Seen] = field(default_factory=dict)
    by_ref: dict[str, str] = field(default_factory=dict)
    conn: Connection | None = None
    idle: bool = False
    loose: list[tuple[Any, ...]] = field(default_factory=list)  # exceptions of no case: (kind, message)
    foreseen: int = 0  # stories whose ends were held against the oracle

    async def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        if self.conn is None:
            self.conn = await self.kernel.server.open(Watch())
        found: list[tuple[Any, ...]] = await (await self.conn.execute(query, values, prepare=True)).fetchall()
        return found

    # ---- what others ask ---------------------------------------------------------------------------------------------

    def view_of(self, ref: str) -> View | None:
        """The case that is found by a reference, as it was committed last."""
        found = self.seen.get(self.by_ref.get(ref, ""))
        return found.view if found is not None else None

    async def next_due(self, query: str) -> datetime | None:
        assert self.conn is not None
        now = self.kernel.outside.worlds["shop"].clock.now()
        found = await self.conn.execute(query, {"now": now}, prepare=True)
        row = await found.fetchone()
        open_ = await self.rows(
            f"SELECT EXISTS (SELECT 1 FROM effects WHERE status IN {_OPEN}) "
            "OR EXISTS (SELECT 1 FROM inbox WHERE status = 'ready')"
        )
        self.idle = not open_[0][0]
        self.loose = await self.rows("SELECT kind, message FROM exceptions WHERE status = 'open' AND case_id = ''")
        return row[0] if row else None

    def settled(self) -> bool:
        """Every case has ended or waits for a named person, and nothing is on its way or wrong that is of no case."""
        return self.idle and not self.unsettled()

    def unsettled(self) -> str:
        cases = [
            f"{case_id}: {self.told(seen.view)}"
            for case_id, seen in self.seen.items()
            if seen.view.status not in ENDED and not any(e.owner for e in seen.view.exceptions)
        ]
        return "; ".join([*cases, *(f"{kind}: {message}" for kind, message in self.loose)])

    def told(self, view: View | None) -> str:
        if view is None:
            return "there is no such case"
        waits = "; ".join(w.what for w in view.waiting)
        problems = "; ".join(f"{e.kind}: {e.message}" for e in view.exceptions)
        return f"it is {view.status}, waits for: {waits or '-'}, exceptions: {problems or '-'}"

    # ---- after every step --------------------------------------------------------------------------------------------

    async def changed(self) -> None:
        """Read what has a new version, and hold it against the invariants. Raises Broken."""
        versions = {row[0]: row[1] for row in await self.rows("SELECT case_id, version FROM cases")}
        fresh = [id_ for id_, version in versions.items() if (s := self.seen.get(id_)) is None or s.version != version]
        if lost := self.seen.keys() - versions.keys():
            raise Broken("I9", f"cases are gone: {sorted(lost)}")
        await self._refs()
        if not fresh:
            return
        views = dict(await self.rows("SELECT case_id, view::text FROM cases WHERE case_id = ANY(%s)", fresh))
        for case_id in sorted(fresh):
            seen = self.seen.get(case_id)
            before = seen.version if seen is not None else 0
            rows = await self.rows(
                "SELECT seq, body FROM log WHERE case_id = %s AND seq > %s ORDER BY seq", case_id, before
            )
            self._hold([invariants.versions({case_id: [number - before for number, _ in rows]})])
            if versions[case_id] <= before:
                raise Broken("I9", f"{case_id} went back from version {before} to {versions[case_id]}")
            self._hold([invariants.log_rows({case_id: versions[case_id]}, {case_id: before + len(rows)})])
            view = decode(View, views[case_id])
            seen = seen or Seen(0, view)
            decoded = [decode_log(body) for _, body in rows]
            seen.version, seen.view = versions[case_id], view
            seen.facts += [row.fact for row in decoded]
            seen.effects += [effect for row in decoded for effect in row.effects]
            self.seen[case_id] = seen
            for (number, _), row in zip(rows, decoded, strict=True):
                self.kernel.note("log", f"{case_id} {number} {row.fact.kind} {row.fact.fact_id} {view.status}")
            self._hold(check(Case(case_id, tuple(seen.facts), tuple(seen.effects)), view), case_id)
        changed = [self.seen[case_id] for case_id in sorted(fresh)]
        self._hold(
            invariants.within([seen.view for seen in changed], [effect for seen in changed for effect in seen.effects])
        )
        self._hold([invariants.serials(seen.view for seen in self.seen.values())])
        self.outside()

    def outside(self) -> None:
        """Nobody was paid twice, or without a decision, or more than was taken from them."""
        world = self.kernel.outside.worlds["psp"]
        refunds, charges = world.all("refunds"), world.all("charges")
        effects = [effect for seen in self.seen.values() for effect in seen.effects]
        keyed = [(r["id"], r["metadata"].get("counterflow_key", "")) for r in refunds]
        self._hold(
            [
                invariants.single_refunds(effects, keyed),
                invariants.captured([(c["id"], c["amount_captured"], c["amount_refunded"]) for c in charges]),
            ]
        )

    async def _refs(self) -> None:
        for playing in self.kernel.playing:
            ref = playing.case_ref()
            if ref and ref not in self.by_ref:
                found = await self.rows(
                    "SELECT target FROM xref WHERE ref = %s AND kind = 'case' ORDER BY target LIMIT 1", ref
                )
                if found:
                    self.by_ref[ref] = found[0][0]

    # ---- at rest -----------------------------------------------------------------------------------------------------

    async def at_rest(self) -> None:
        """Everything, read anew: `engine.prove`, the replay of the log, and both sides against the outside."""
        await self.changed()
        assert self.conn is not None
        self._hold(await prove.prove(self.conn))
        again = await replay.verify(self.conn, decide, self.kernel.ground.configuration.setting)
        if not again.holds or again.new_effects:
            said = again.failed or again.different_views or again.different_effects or again.broken_chains
            raise Broken("I11", f"the log gives something else: {said or again.new_effects}")
        await self._outside_at_rest()
        for case_id, seen in sorted(self.seen.items()):
            self.kernel.note("end", f"{case_id} {seen.version} {seen.view.status} {seen.view.paid_minor}")

    async def _outside_at_rest(self) -> None:
        """Everybody holds what the oracle foresaw, and what the cases say of money is so."""
        kernel, views = self.kernel, [seen.view for seen in self.seen.values()]

        async def get(path: str) -> Any:
            answer = await ask(kernel.outside.app, httpx2.Request("GET", f"{OUTSIDE}{path}"))
            return answer.raise_for_status().json()

        world = await compare.look(get, views)
        self._hold([invariants.unsaid(await self._written(), _tells), self._valued(world)])
        paid = refunded(world.refunds, world.orders, world.credit)
        for dispute in world.disputes:
            if dispute["status"] == "lost":  # the bank took it from us and gave it to the customer
                paid[dispute["currency"].upper()] += dispute["amount"]
        self._hold([*invariants.money(views, paid), self._booked(world, views), self._settled(world)])
        ends, skus = list[tuple[Story, tuple[Ends, ...]]](), set[str]()
        for playing in kernel.playing:
            late = kernel.rules.late(playing)
            if playing.told or late is None:  # another end than the script's, or one that nobody can say
                skus |= playing.story.skus
            else:
                ends.append((playing.story, kernel.rules.oracle.foresee(playing.story, late)))
        # Another end than the first needs a failure: that of a message, say, which comes later than what it is about.
        failed = bool(kernel.plan.fired)
        foreseen = [(story, each if failed else each[:1]) for story, each in ends]
        found = compare.disagreements(world, foreseen, skus)
        # Who has something to do, and how far a case is, may differ after a failure: money, goods and words may not.
        said = [each for each in found if not (failed and _MAY_DIFFER.search(each))]
        if said:
            raise Broken("oracle", "; ".join(said))
        self.foreseen = len(ends)

    def _booked(self, world: compare.World, views: list[View]) -> Finding:
        """Refund by refund, the provider against the payments in the ERP; of an open case one may be on its way."""
        legs = [(leg, view) for view in views for leg in view.legs if leg.refund_ref]
        stands = {refund["id"]: refund["amount"] * (refund["status"] == "succeeded") for refund in world.refunds}
        due = dict.fromkeys(stands, (0, 0))  # what no case knows of is not booked
        for leg, view in legs:
            ref = theirs(leg.refund_ref)
            amount = stands.get(ref, leg.amount_minor if leg.state in LEG_PAID else 0)
            due[ref] = (amount if view.status == "closed" else 0, amount)
        rows = [d for d in world.books["documents"] if d["model"] == "account.payment" and d["state"] in _BOOKED]
        booked = [
            (row["ref"] or "", number_to_minor(row["amount"], row["currency"]) * (1 if out else -1))
            for row in rows
            for out in [row["payment_type"] == "outbound"]
            if out or row["ref"] in due
        ]
        return invariants.payments(due, booked)

    def _settled(self, world: compare.World) -> Finding:
        """Payout by payout, the provider against the entries in the ERP; that of one just arrived may be on its way."""
        psp, gross, fees = self.kernel.outside.worlds["psp"], Counter[str](), Counter[str]()
        for txn in psp.all("balance_transactions"):
            if txn["_payout"] and txn["type"] != "payout":
                gross[txn["_payout"]] += txn["amount"]
                fees[txn["_payout"]] += txn["fee"]
        by_now = (STARTED + timedelta(seconds=self.kernel.loop.virtual) - ON_ITS_WAY).timestamp()
        due = {}
        for payout in psp.all("payouts"):
            all_of_it, fee = gross[payout["id"]], fees[payout["id"]]
            debits = sum(max(0, part) for part in (all_of_it - fee, fee, -all_of_it))
            arrived = payout["status"] == "paid" and payout["arrival_date"] < by_now
            due[payout["id"]] = (debits if arrived else 0, debits)  # the bank may book before the provider says "paid"
        booked = [
            (row["ref"].removeprefix("payout:"), number_to_minor(row["amount"], row["currency"]))
            for row in world.books["documents"]
            if row["model"] == "account.move" and row["state"] == "posted" and (row["ref"] or "").startswith("payout:")
        ]
        return invariants.settlements(due, booked)

    async def _written(self) -> list[str]:
        """Everything that is written down by us and may not name a person or a secret."""
        rows = await self.rows(
            "SELECT body FROM log UNION ALL SELECT message FROM attempts UNION ALL SELECT message FROM exceptions "
            "UNION ALL SELECT message || command FROM effects UNION ALL SELECT fact || reason FROM inbox"
        )
        return [row[0] for row in rows]

    def _valued(self, world: compare.World) -> Finding:
        """What the goods in our hands cost, against what the ERP's books say that they are worth."""
        costs = {str(product["sku"]): product.get("cost", 0) for product in estate.PRODUCTS}
        for playing in self.kernel.playing:
            for step in playing.story.steps:
                if step.act == "seed_products":
                    costs.update({product["sku"]: product["cost"] for product in step.args["products"]})
        here = [row for row in world.books["stock"] if row["usage"] == "internal"]
        cost = sum(round(row["quantity"] * costs.get(row["sku"], 0) * 100) for row in here)
        return invariants.valuation([("all goods", 1, cost, round(world.books["stock_value"] * 100))])

    def _hold(self, findings: Iterable[Finding], where: str = "") -> None:
        for finding in findings:
            if not finding.holds:
                raise Broken(finding.name, f"{where} {finding.left} and {finding.right}: {finding.what}".strip())


def _tells(text: str) -> bool:
    return any(canary in text for canary in CANARIES)
