"""Return cases: find one by anything that is printed on it, and see what is true, why, and what it waits for."""

from typing import Any

from cyclopts import App

from counterflow.cli.failures import CONFLICT, Stop
from counterflow.cli.shell import Desk, Out, Reason, desk, dump, missing, money, plain, show, shown

app = App(name="case", help="Find a return case, read it, retry, cancel, note.")

_COLUMNS = ("case_id", "status", "attention", "order_number", "rma_number", "owed", "paid", "updated_at")


@app.command(name="list")
async def list_(
    *,
    status: str = "",
    kind: str = "",
    attention: bool | None = None,
    channel: str = "",
    limit: int = 50,
    output: Out = "table",
) -> None:
    """Cases, last changed first.

    Parameters
    ----------
    status
        Only those in this status: awaiting_goods, in_progress, resolved, closed, ...
    kind
        Only those of this kind: return, withdrawal, exchange, ...
    attention
        Only those that need a person (or do not).
    channel
        Only those of sales of this connection.
    limit
        At most so many.
    """
    from counterflow.store import case_queries

    async with desk() as at:
        rows = await case_queries.page(
            at.conn, status=status, kind=kind, attention=attention, channel=channel, limit=max(1, min(limit, 10_000))
        )
    show(map(_row, rows), _COLUMNS, output, "No case.")


@app.command
async def find(query: str, *, output: Out = "table") -> int:
    """Cases that an identifier means.

    Parameters
    ----------
    query
        Order number, RMA, e-mail, SKU, serial, tracking number, payment reference, Odoo document, or a case's id.
    """
    from counterflow.store import case_queries

    async with desk() as at:
        rows = await case_queries.find(at.conn, query, await at.connections())
    if not rows:
        raise missing(
            f"nothing is known as {shown(query)}", "a channel may not have told us yet: try again, or its own id"
        )
    show(map(_row, rows), _COLUMNS, output)
    return 0


@app.command(name="show")
async def show_(case: str, *, output: Out = "table") -> None:
    """Everything that is true of a case now.

    Parameters
    ----------
    case
        A case's id, or anything else that means just one case.
    """
    async with desk() as at:
        view = (await _the_case(at, case))["view"]
    if output == "json":
        dump(view)
        return
    currency = view["currency"]
    print(f"{view['case_id']}  {view['kind']}  {view['status']}{'  NEEDS ATTENTION' if view['attention'] else ''}")
    print(
        f"order {shown(view['order_number'])}  rma {shown(view['rma_number'])}  policy {shown(view['policy_version'])}"
    )
    owed, paid, pending = (money(view[name], currency) for name in ("entitled_minor", "paid_minor", "pending_minor"))
    print(f"owed {owed}  paid {paid}  on its way {pending}")
    _part("lines", view["lines"], ("line_ref", "sku", "quantity", "reason", "authorisation", "money", "because"))
    _part("units", view["units"], ("unit_id", "goods", "since", "place", "grade", "serial", "disposition", "because"))
    _part("refunds", view["legs"], ("leg_id", "rail", "amount_minor", "state", "origin", "since", "refund_ref"))
    _part("books", view["postings"], ("kind", "state", "document_name", "accounting_on", "amount_minor", "origin"))
    _part("exceptions", view["exceptions"], ("exception_id", "kind", "severity", "owner", "due_at", "message"))
    _part("waits for", view["waiting"], ("what", "since", "on"))


@app.command
async def timeline(case: str, *, output: Out = "table") -> None:
    """What happened and what was decided, in the order of the log.

    Parameters
    ----------
    case
        A case's id, or anything else that means just one case.
    """
    from counterflow.engine import reading

    async with desk() as at:
        entries = await reading.timeline(at.conn, (await _the_case(at, case))["case_id"])
    if output == "json":
        dump(entries)
        return
    for entry in entries:
        print(f"{entry.seq:>4}  {shown(entry.occurred_at)}  {entry.kind}  by {shown(entry.by)}  {shown(entry.summary)}")
        moved = [f"{c.axis} {c.subject}: {c.before or '-'} -> {c.after}" for c in entry.changes]
        rows = [f"{hit.table} row {hit.row} ({hit.version}): {hit.answer} {hit.floor}".rstrip() for hit in entry.policy]
        done = [f"-> {effect.kind} at {effect.connection}" for effect in entry.effects]
        for line in (*moved, *rows, *done):
            print(f"      {shown(line)}")


@app.command
async def explain(case: str, *, output: Out = "table") -> None:
    """The case in sentences: who initiated the refund, what allowed it, what is posted, what it waits for.

    Parameters
    ----------
    case
        A case's id, or anything else that means just one case.
    """
    from counterflow.core.returns.case import View
    from counterflow.engine import reading
    from counterflow.store.codec import decode, encode

    async with desk() as at:
        view = decode(View, encode((await _the_case(at, case))["view"]))
        sentences = await reading.explained(at.conn, view)
    if output == "json":
        dump({"case_id": view.case_id, "sentences": sentences})
    else:
        print(*sentences, sep="\n")


@app.command
async def beliefs(case: str, *, output: Out = "table") -> None:
    """What each outside system believes, since when, and what is on its way to it.

    Parameters
    ----------
    case
        A case's id, or anything else that means just one case.
    """
    from counterflow.core.returns.case import View
    from counterflow.engine import reading
    from counterflow.store import effect_queries
    from counterflow.store.codec import decode, encode

    async with desk() as at:
        row = await _the_case(at, case)
        effects = await effect_queries.of_owner(at.conn, row["case_id"])
    found = [plain(each) for each in reading.beliefs(decode(View, encode(row["view"])).beliefs, effects)]
    if output == "table":
        for each in found:
            each["on_its_way"] = [f"{e['kind']} {e['status']} since {e['since']}" for e in each["on_its_way"]]
    show(found, ("connection", "says", "since", "on_its_way"), output, "No system has said anything yet.")


@app.command
async def retry(case: str, *, reason: Reason = "retried by hand", output: Out = "table") -> int:
    """Try again what has stopped in a case. An outcome that is unknown is looked up, not repeated.

    Parameters
    ----------
    case
        A case's id, or anything else that means just one case.
    """
    from counterflow.engine.parked import By, NotPossible, act_on_effect
    from counterflow.store import effect_queries

    async with desk() as at:
        row = await _the_case(at, case)
        act = at.act("retry")
        stopped = [
            effect
            for effect in await effect_queries.of_owner(at.conn, row["case_id"])
            if effect.status in ("parked", "rejected", "unknown")
        ]
        if not stopped:
            raise Stop(
                CONFLICT, f"nothing of {row['case_id']} has stopped: `counterflow case show` says what it waits for"
            )
        done: list[dict[str, Any]] = []
        for effect in stopped:
            try:
                status = await act_on_effect(at.conn, effect.effect_id, "retry", By(act.person, reason), act.at)
            except NotPossible as why:
                status = f"left alone: {why}"
            done.append({"effect_id": effect.effect_id, "kind": effect.kind, "was": effect.status, "is": status})
    show(done, ("effect_id", "kind", "was", "is"), output)
    return 0


@app.command
async def cancel(case: str, *, reason: Reason, output: Out = "table") -> None:
    """Cancel a return. What is on its way or here already goes on.

    Parameters
    ----------
    case
        A case's id, or anything else that means just one case.
    """
    from counterflow.core.facts import ReturnCancelled
    from counterflow.intake.accept import accept

    async with desk() as at:
        row = await _the_case(at, case)
        if row["status"] in ("closed", "cancelled", "declined", "expired"):
            raise Stop(CONFLICT, f"{row['case_id']} is {row['status']}: there is nothing left to cancel")
        act = at.act("cancel")
        fact = act.fact(ReturnCancelled(act.person, reason), f"case:{row['case_id']}")
        async with at.conn.transaction():
            await accept(at.conn, [fact])
    _told(row["case_id"], fact.fact_id, output)


@app.command
async def note(case: str, text: str, *, output: Out = "table") -> None:
    """Write something down for the next person.

    Parameters
    ----------
    case
        A case's id, or anything else that means just one case.
    text
        The note. It can be erased; that it was written stays in the log.
    """
    from counterflow.engine import people

    async with desk() as at:
        row = await _the_case(at, case)
        note_ref = await people.add_note(at.conn, row["case_id"], text.replace("\x00", "")[:4000], at.act("note"))
    _told(row["case_id"], note_ref, output)


async def _the_case(at: Desk, query: str) -> dict[str, Any]:
    """The one case that a query means. Stops with 3 for none, with 5 for several."""
    from counterflow.store import case_queries

    row = await case_queries.get(at.conn, query)
    if row is not None:
        return row
    rows = await case_queries.find(at.conn, query, await at.connections(), limit=5)
    if not rows:
        raise missing(f"there is no case {shown(query)}")
    if len(rows) > 1:
        ids = ", ".join(each.case_id for each in rows)
        raise Stop(CONFLICT, f"{shown(query)} means several cases: name one of {ids}")
    found = await case_queries.get(at.conn, rows[0].case_id)
    assert found is not None, "what was just found is there"
    return found


def _row(row: Any) -> dict[str, Any]:
    found: dict[str, Any] = plain(row)
    return {**found, "owed": money(row.entitled_minor, row.currency), "paid": money(row.paid_minor, row.currency)}


def _part(title: str, rows: list[dict[str, Any]], columns: tuple[str, ...]) -> None:
    if rows:
        print(f"\n{title}")
        show(rows, columns, "table")


def _told(case_id: str, ref: str, output: str) -> None:
    if output == "json":
        dump({"case_id": case_id, "told": ref})
    else:
        print(f"{case_id} was told ({ref})")
