from counterflow.core.returns.explain import Entry, explain
from tests.core.returns.telling import Story, line, sale


def told(story: Story) -> str:
    """What `case explain` says; the log rows are the facts with what was decided on each."""
    rows = zip(story.told, story.decisions, strict=True)
    entries = [Entry(fact.seen_at, fact, decision.effects, decision.hits) for fact, decision in rows]
    names = {e.exception_id: e.kind for decision in story.decisions for e in decision.view.exceptions}
    return "\n".join(explain(story.view, entries, names))


def test_a_closed_case_says_who_paid_what_allowed_it_and_where_it_is_booked() -> None:
    story = Story().request().settle().receive().settle().inspect().settle(keep=lambda e: e.kind != "PostCreditNote")
    story.answer("PostCreditNote", "done", "account.move/7", name="RINV/2026/7", accounting_on="2026-11-02").settle()
    text = told(story.closed())
    assert "is closed since" in text
    assert "Whether L1 may come back: row window of pv_" in text
    assert (
        "was initiated on 2026-11-02 09:10 UTC after wms (warehouse) told ItemInspected, allowed by row small" in text
    )
    assert "psp confirmed it as PayLeg:" in text
    assert "It is in payout po_1, found on bank line bank_1." in text
    assert "Credit note of 20.00 EUR stands in the ERP as RINV/2026/7, accounting date 2026-11-02" in text


def test_an_open_case_says_what_it_waits_for_and_since_when() -> None:
    text = told(Story().request().settle())
    assert "Waiting for TEE to arrive (expected), since 2026-11-02 09:02 UTC." in text


def test_signatures_resolutions_and_refunds_by_others_are_named() -> None:
    signed = Story(sale(line(paid=60000))).full().sign("lea").settle()
    assert "signed by lea" in told(signed)
    others = Story().request().settle().refunded_by("psp", 2000).resolve("unattributed_refund", "accept")
    text = told(others)
    assert "The refund of 20.00 EUR was made by psp and not by us" in text
    assert "kim settled unattributed refund on" in text
    unknown = Story().request().settle().receive().settle().inspect().settle(keep=lambda e: e.kind != "PayLeg")
    unknown.answer("PayLeg", "unknown", "re_1")
    assert "psp has not confirmed it yet as re_1: unknown since" in told(unknown)
