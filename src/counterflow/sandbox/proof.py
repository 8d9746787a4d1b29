"""The proof at the end of the demo: what the cases say against what the outside systems hold, to the cent and piece."""

import asyncio
from collections import Counter
from typing import Any

from counterflow.core import invariants
from counterflow.core.effects import Effect, ReceiveGoods
from counterflow.core.money import number_to_minor
from counterflow.core.returns.case import View
from counterflow.core.returns.decide import decide
from counterflow.core.returns.invariants import Finding
from counterflow.core.returns.states import BOOKS_POSTED
from counterflow.engine import prove as inside
from counterflow.engine import replay
from counterflow.sandbox.estate import SECRETS
from counterflow.sandbox.stage import Stage
from counterflow.store import audit, checkpoints, keys, log
from counterflow.store.codec import decode, decode_log, encode

CLEARING = "101450"  # where the provider's payments wait in the ledger until a payout is booked
Rows = list[dict[str, Any]]


async def prove(stage: Stage) -> list[dict[str, Any]]:
    """All findings as plain objects: name, holds, left, right, what."""
    async with stage.pool.connection() as conn:
        findings = await inside.prove(conn)
        stored = await (await conn.execute("SELECT case_id, view FROM cases")).fetchall()
        posted = await (await conn.execute("SELECT payout_ref FROM payouts WHERE status = 'posted'")).fetchall()
        views = [decode(View, encode(view)) for _, view in stored]
        bodies = await log.bodies(conn, [case_id for case_id, _ in stored])
        again = await replay.verify(conn, decide, stage.setting)
        findings.append(await _audited(stage, conn))
    effects = [effect for each in bodies.values() for body in each for effect in decode_log(body).effects]
    refunds, charges, orders, credit, documents = await asyncio.gather(
        _truth(stage, "psp", "refunds"),
        _truth(stage, "psp", "charges"),
        _truth(stage, "shop", "orders"),
        _truth(stage, "shop", "store_credit"),
        _get(stage, "/odoo/_sim/books"),
    )
    keyed = [(r["id"], r["metadata"].get("counterflow_key", "")) for r in refunds]
    keyed += [(row["id"], row["key"]) for order in orders for row in order["transactions"] if row.get("key")]
    findings += [
        Finding("I11", again.holds, again.facts, again.facts, "replay of the log = the stored views, no new effect"),
        *invariants.money(views, refunded(refunds, orders, credit)),
        *invariants.credit(views, credited(documents["documents"])),
        invariants.single_refunds(effects, keyed),
        invariants.captured([(c["id"], c["amount_captured"], c["amount_refunded"]) for c in charges]),
        *invariants.stock(_sold_less_returned(orders, effects, views), _at_customers(documents["stock"])),
        await _cleared(stage, documents, charges, [ref for (ref,) in posted]),
    ]
    return [
        {"name": f.name, "holds": f.holds, "left": f.left, "right": f.right, "what": f.what}
        for f in sorted(findings, key=lambda f: inside.order(f.name))
    ]


async def _audited(stage: Stage, conn: Any) -> Finding:
    """The log's chains and signed checkpoints, up to a last one taken now."""
    signing = keys.load_or_create(stage.home)
    await checkpoints.take_checkpoint(conn, signing, stage.conductor.clock.now(), stage.home / "checkpoints")
    report = await audit.verify(conn, stage.home / "checkpoints", signing.public)
    proven = report.rows - report.rows_after
    return Finding("I6-audit", report.holds, report.rows, proven, "rows of the log = rows under a signed checkpoint")


async def _get(stage: Stage, path: str, **headers: str) -> Any:
    answer = await stage.outside.get(path, headers=headers)
    answer.raise_for_status()
    return answer.json()


async def _truth(stage: Stage, system: str, collection: str) -> Rows:
    found: Rows = await _get(stage, f"/{system}/_sim/truth/{collection}")
    return found


def refunded(refunds: Rows, orders: Rows, credit: Rows) -> Counter[str]:
    """Currency -> what customers got back: from the provider, in the shop's own credit, from a marketplace."""
    sums: Counter[str] = Counter()
    for refund in refunds:
        if refund["status"] == "succeeded":
            sums[refund["currency"].upper()] += refund["amount"]
    for order in orders:
        for row in order["transactions"]:
            if row["kind"] == "REFUND" and row["status"] == "SUCCESS" and row["gateway"] != "stripe":
                sums[order["presentment_currency"]] += row["amount"]["presentment"]
    for account in credit:
        sums[account["currency"]] += sum(move["amount_minor"] for move in account["movements"])
    return sums


def credited(documents: Rows) -> Counter[str]:
    """Currency -> credit notes that stand in the ledger."""
    sums: Counter[str] = Counter()
    for row in documents:
        if row.get("move_type") == "out_refund" and row["state"] == "posted":
            sums[row["currency"]] += number_to_minor(row["amount"], row["currency"])
    return sums


def _sold_less_returned(orders: Rows, effects: list[Effect], views: list[View]) -> Counter[str]:
    """sku -> pieces that the shop shipped (the warehouse ships replacements), less those booked as returned."""
    pieces: Counter[str] = Counter()
    for order in orders:
        if not (order.get("source_identifier") or "").startswith("ef_"):
            for line in order["lines"]:
                pieces[line["sku"]] += line["fulfilled"]
    posted = {p.effect_id for view in views for p in view.postings if p.state in BOOKS_POSTED}
    for effect in effects:
        if isinstance(effect.command, ReceiveGoods) and effect.effect_id in posted:
            for item in effect.command.items:
                pieces[item.sku] -= item.quantity
    return pieces


def _at_customers(stock: Rows) -> Counter[str]:
    """sku -> pieces that the ERP has at customers: what it delivered and did not take back."""
    pieces: Counter[str] = Counter()
    for row in stock:
        if row["usage"] == "customer":
            pieces[row["sku"]] += round(row["quantity"])
    return pieces


async def _cleared(stage: Stage, books: dict[str, Any], charges: Rows, payouts: list[str]) -> Finding:
    """The ledger's clearing account = what the provider took in and gave back for booked sales, less booked payouts."""
    booked = {d["ref"] for d in books["documents"] if d["model"] == "account.payment"}
    right = sum(c["amount_captured"] for c in charges if c["payment_intent"] in booked)
    moved = await _truth(stage, "psp", "balance_transactions")
    right += sum(t["amount"] for t in moved if t["type"] in ("refund", "refund_failure", "payment_failure_refund"))
    for payout in payouts:
        path = f"/psp/v1/balance_transactions?payout={payout.rpartition(':')[2]}&limit=100"
        members = await _get(stage, path, Authorization=f"Bearer {SECRETS['psp_key']}")
        right -= sum(t["amount"] for t in members["data"] if t["type"] != "payout")
    row = next((a for a in books["trial_balance"] if a["code"] == CLEARING), {"balance": 0})
    left = round(row["balance"] * 100)
    return Finding(
        "clearing", left == right, left, right, "clearing account in the ledger = what the provider still holds"
    )
