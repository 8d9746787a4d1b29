"""The test of the test: bugs planted in our own code, and whether the simulation notices.

Each mutant replaces one or a few texts of a module while it is imported, in a process of its own; no file is changed.
That process plays a few fixed worlds until an invariant breaks, a story is stuck, or the oracle disagrees. A mutant
that nothing notices is a survivor: either the code that it breaks is a second barrier behind another one (then
`survives` says which), or a check is missing. Where no play can notice it, `tests` names tests of the suite that do.

A table, and long for that reason; one edit is one line, so that it can be compared with the code that it changes.
"""
# ruff: noqa: E501

from collections.abc import Mapping
from dataclasses import dataclass

Edit = tuple[str, str, str]  # module below `counterflow`, the exact text, what stands there instead


@dataclass(frozen=True, slots=True)
class Mutant:
    """A planted bug: what it breaks, the plays that should show it (the likeliest first), and why it may survive them."""

    name: str
    edits: tuple[Edit, ...]
    breaks: str
    plays: tuple[str, ...]
    survives: str = ""
    tests: tuple[str, ...] = ()  # below tests/, as pytest takes them


@dataclass(frozen=True, slots=True)
class Hit:
    """A failure of a kind, at the first `times` points whose detail holds a text (see faults.py)."""

    kind: str
    point: str
    detail: str = ""
    times: int = 1


@dataclass(frozen=True, slots=True)
class Play:
    """One world: a story, and what fails in it. The number decides its draw."""

    family: str
    hits: tuple[Hit, ...] = ()
    number: int = 1
    workers: int = 1


_REFUND = "POST psp/v1/refunds"
# A name that is not here is a family, played without any failure.
PLAYS: Mapping[str, Play] = {
    "cheap_grade": Play("omnichannel", number=292),
    "shipping": Play("omnichannel", number=19),
    "yen": Play("omnichannel", number=9),
    "lost_dispute": Play("chargeback", number=8),
    "timeout": Play("grades", (Hit("timeout_after", "call", _REFUND, 2),)),
    "long_unknown": Play(
        "grades", (Hit("timeout_after", "call", "psp/v1/refunds", 60), Hit("lost_webhook", "hook", "psp", 1_000))
    ),
    "lost_call": Play("grades", (Hit("timeout_before", "call", _REFUND),)),
    "mail_timeout": Play("omnichannel", (Hit("timeout_after", "call", "mail/", 2),)),
    "crash_call": Play("grades", (Hit("crash_after_call", "call", _REFUND),)),
    "crash_commit": Play("grades", (Hit("crash_after_commit", "commit", "worker drain", 5),), workers=2),
    "crash_intake": Play("grades", (Hit("crash_before_commit", "commit", "api", 4),)),
    "two_workers": Play("grades", (Hit("delay", "hook", "", 3),), workers=2),
    "lost_notify": Play("omnichannel", (Hit("lost_notify", "notify", "", 10_000),)),
    "lost_hooks": Play("omnichannel", (Hit("lost_webhook", "hook", "", 10_000),)),
    "duplicates": Play("omnichannel", (Hit("duplicate", "hook", "", 10_000),)),
    "reordered": Play("blind_return", (Hit("reorder", "hook", "", 10_000),)),
    "corrupted": Play("omnichannel", (Hit("corrupted", "hook", "wms", 2),)),
    "counted": Play("counted_meanwhile"),
}

_KEY_KEPT = "the provider keeps our key for a day: a second request under it is answered with the first refund"
_ONCE = "ids of facts and effects come from their causes, so the next layer drops the repeat"

MUTANTS: tuple[Mutant, ...] = (
    # ---- core: money -------------------------------------------------------------------------------------------------
    Mutant(
        "round_each_piece",
        (("core.refunds.ruler", "return line.paid_minor * piece // line.quantity", "return line.paid_minor // line.quantity * piece"),),
        "the odd cents of a line are lost",
        ("partial",),
    ),
    Mutant(
        "charge_use_without_finding",
        (("core.policy.floor", '    Limit("fees", ("withdrawal", "finding"), "value_loss_ppm", source="edge case 23"),\n', ""),),
        "value is deducted although no finding says why",
        ("cheap_grade",),
    ),
    Mutant(
        "keep_the_shipping",
        (("core.refunds.shipping", 'elif "standard" in levels:', 'elif "express" in levels:'),),
        "outbound shipping is never given back",
        ("shipping",),
    ),
    Mutant(
        "keep_the_benefit",
        (("core.refunds.promotions", "if amount <= 0 or not any(weights):", "if amount >= 0 or not any(weights):"),),
        "a promotion that the return breaks is not priced again",
        ("promotion",),
    ),
    Mutant(
        "deduct_with_the_wrong_sign",
        (("core.refunds.entitlement", '"value_loss", -loss, "value_loss"', '"value_loss", loss, "value_loss"'),),
        "a loss of value is paid out instead of kept",
        ("deduction",),
    ),
    Mutant(
        "deduct_by_half",
        (("core.refunds.entitlement", "gross * item.value_loss_ppm // _PPM", "gross * item.value_loss_ppm // _PPM // 2"),),
        "half of the loss of value is kept",
        ("deduction",),
    ),
    Mutant(
        "forget_the_line_tax",
        (("core.returns.credit", "return tuple(Tax(tax.code, tax.rate_ppm, part) for tax, part in zip(sold.taxes, parts, strict=False))", "return ()"),),
        "credit notes name no tax",
        ("omnichannel", "shipping"),
        "goods are credited by the invoice's own taxes; ours count only for amounts without an invoice line",
        ("core/returns/test_edges_books.py",),
    ),
    Mutant(
        "gift_card_first",
        (("core.refunds.tenders", 'PRIORITY = ("marketplace", "card", "wallet", "bank", "pay_later", "cash", "store_credit", "gift_card")', 'PRIORITY = ("gift_card", "marketplace", "card", "wallet", "bank", "pay_later", "cash", "store_credit")'),),
        "the gift card pays before the card",
        ("split_tender",),
    ),
    Mutant(
        "more_than_captured",
        (("core.refunds.tenders", "amounts.append(min(most, owed))", "amounts.append(owed)"),),
        "the first tender pays all, whatever was captured on it",
        ("split_tender",),
    ),
    Mutant(
        "credit_although_money_was_wanted",
        (("core.refunds.tenders", 'rule.remedy == "store_credit" and tender != "store_credit"', 'tender != "store_credit"'),),
        "everybody is paid in store credit",
        ("omnichannel",),
    ),
    Mutant(
        "count_half_of_what_was_paid",
        (("core.returns.pay", "gap = work.entitled_minor - work.offset_minor - live\n", "gap = work.entitled_minor - work.offset_minor - live // 2\n"),),
        "what was paid is counted by half, so it is paid again",
        ("omnichannel",),
    ),
    Mutant(
        "forget_the_offset",
        (("core.returns.pay", "gap = work.entitled_minor - work.offset_minor - live\n", "gap = work.entitled_minor - live\n"),),
        "an exchange is refunded as well",
        ("exchange_even",),
    ),
    Mutant(
        "count_our_legs_only",
        (("core.returns.pay", "live = sum(leg.amount_minor for leg in work.legs.values() if leg.state not in LEG_DEAD)\n    gap", 'live = sum(leg.amount_minor for leg in work.legs.values() if leg.state not in LEG_DEAD and leg.origin == "ours")\n    gap'),),
        "what others have refunded is refunded again",
        ("refunded_by_hand",),
    ),
    Mutant(
        "pay_disputed_payments",
        (("core.returns.pay", 'disputed=[d.payment_ref for d in map(work.dispute_phase, work.disputes) if d.phase == "opened"]', "disputed=[]"),),
        "refunds go out while the cardholder's bank has the money",
        ("chargeback",),
    ),
    Mutant(
        "pay_before_inspection",
        (("core.returns.authorise", 'line.moment = str(moment.outputs["moment"])', 'line.moment = "request"'),),
        "everything is paid when it is asked for",
        ("deduction",),
    ),
    Mutant(
        "pay_beside_an_unknown_leg",
        (("core.returns.pay", 'if any(leg.state in ("unknown", "submitting") for leg in work.legs.values()):', "if False:"),),
        "a sibling is paid while nobody knows what became of the first",
        ("long_unknown",),
    ),
    Mutant(
        "sign_for_everybody",
        (("core.returns.approve", "missing = needed - len(signed)", "missing = 0"),),
        "large sums need no signature",
        ("signed",),
    ),
    Mutant(
        "ignore_what_siblings_hold",
        (("engine.batch", "if seen == (held.siblings or SiblingsClaimed()):", "if True:"),),
        "two returns of one line do not know of each other",
        ("partial",),
    ),
    Mutant(
        "open_beside_an_older_case_without_its_sale",
        (("engine.cases", "*(item.fact.body.sale_ref for item in items if isinstance(item.fact.body, ReturnRequested)),", ""),),
        "a second return is decided before its sale is known: the older case loses its piece and pays a cent more",
        ("partial",),
    ),
    # ---- core: books -------------------------------------------------------------------------------------------------
    Mutant(
        "credit_before_the_money",
        (("core.returns.credit", "times = [leg.succeeded_at for leg in legs if leg.succeeded_at is not None]", "times = [leg.since for leg in legs]"),),
        "credit notes are posted for refunds that nobody has confirmed",
        ("omnichannel",),
    ),
    Mutant(
        "credit_twice_by_hand",
        (("core.returns.credit", "document = _adoptable(work, due)", "document = None"),),
        "a credit note that an accountant has made is made again",
        ("credited_by_hand",),
    ),
    Mutant(
        "forget_the_exchange_in_the_books",
        (("core.returns.credit", 'if work.offset_minor and work.exchange_state in ("shipped", "delivered")', 'if False and work.exchange_state in ("shipped", "delivered")'),),
        "goods that paid for a replacement are never credited",
        ("exchange_even",),
    ),
    Mutant(
        "keep_a_payment_that_came_back",
        (("core.returns.books", "elif paid is not None and paid.state in BOOKS_POSTED and _came_back(leg):", "elif False:"),),
        "the books hold a refund that the customer never got",
        ("fails_after_success",),
    ),
    Mutant(
        "never_book_a_payment",
        (("core.returns.books", "if paid is None and leg.state in LEG_PAID and note is not None:", "if False:"),),
        "refunds are not in the ledger",
        ("omnichannel",),
    ),
    Mutant(
        "settle_without_the_bank",
        (("core.returns.books", 'if leg.state == "settled" and (not leg.payout_ref or (leg.bank_ref and leg.settled_document)):', 'if leg.state == "settled":'),),
        "a case closes before its payout is on the bank",
        ("omnichannel",),
    ),
    Mutant(
        "a_lost_dispute_waits_for_a_payout",
        (("core.returns.legs", '            leg.move("settled", fact.occurred_at)\n        elif body.phase == "won":', '            leg.move("succeeded", fact.occurred_at)\n        elif body.phase == "won":'),),
        "a case whose dispute was lost never closes",
        ("lost_dispute",),
    ),
    # ---- core: goods -------------------------------------------------------------------------------------------------
    Mutant(
        "everything_is_as_new",
        (("core.returns.dispose", "        grade=unit.grade,\n", '        grade="A",\n'),),
        "worn and broken goods go back on the shelf",
        ("grades",),
    ),
    Mutant(
        "sell_a_recalled_lot",
        (("core.returns.dispose", "        lot_status=unit.lot_status,\n", '        lot_status="ok",\n'),),
        "a recalled lot goes back on the shelf",
        ("recalled_lot",),
    ),
    Mutant(
        "any_serial_will_do",
        (
            ("core.returns.units", "    return serial_word(serial, sold, sold_to_other)\n", '    return "ok"\n'),
            ("core.returns.units", "        return serial == same_serial(unit.expected_serial)\n", "        return True\n"),
        ),
        "another piece than was sold is taken for it",
        ("serial_mismatch",),
    ),
    Mutant(
        "never_move_stock",
        (("core.returns.dispose", "if target is None or not unit.erp_location:", "if True:"),),
        "what was inspected stays where it was received",
        ("omnichannel",),
    ),
    Mutant(
        "move_before_the_receipt",
        (("core.returns.dispose", "        after=tuple(e.effect_id for e in before),\n", "        after=(),\n"),),
        "stock is moved out of a place that it has not come to",
        ("omnichannel", "blind_return"),
        "moves of one sale share a scope and go one by one, the oldest first; the order holds as long as none is put off",
        ("core/returns/test_edges_goods.py",),
    ),
    Mutant(
        "say_nothing_of_a_cancelled_return",
        (("core.returns.conditions", "if work.cancelled is not None and any(", "if False and any("),),
        "nobody is told that a cancelled return has arrived",
        ("cancel_after_receipt",),
    ),
    Mutant(
        "nothing_is_too_much",
        (("core.returns.units", '            "over_receipt",\n            unit_id,', '            "wrong_item",\n            unit_id,'),),
        "one piece too many is called another thing",
        ("over_receipt",),
    ),
    # ---- core: people and messages -----------------------------------------------------------------------------------
    Mutant(
        "say_it_twice",
        (("core.returns.channel", 'notify(work, "refund_sent", leg.leg_id, leg.amount_minor)', 'notify(work, "refund_sent", f"{leg.leg_id}/{leg.state}", leg.amount_minor)'),),
        "the customer is told of one refund twice",
        ("omnichannel",),
    ),
    Mutant(
        "say_it_too_early",
        (("core.returns.channel", 'if leg.state in LEG_PAID and leg.origin == "ours":', 'if leg.origin == "ours":'),),
        "the customer is told before the money has moved",
        ("omnichannel",),
    ),
    Mutant(
        "never_take_it_back",
        (("core.returns.channel", 'elif leg.state in ("failed_after_success", "reversed") and _was_told(work, leg.leg_id):', "elif False:"),),
        "the customer believes in a refund that has come back",
        ("fails_after_success",),
    ),
    Mutant(
        "hide_a_refund_that_came_back",
        (("core.returns.conditions", "            if not _covered(work, leg.leg_id):\n", "            if False:\n"),),
        "nobody looks for another way to pay",
        ("fails_after_success",),
    ),
    Mutant(
        "order_before_it_is_paid",
        (("core.returns.channel", 'work.exchange_state != "covered"', 'work.exchange_state not in ("covered", "awaiting_payment")'),),
        "a dearer replacement is sent before the difference is paid",
        ("exchange_up",),
    ),
    Mutant(
        "wait_for_the_difference_for_ever",
        (("core.returns.exchange", "UNPAID_AFTER = timedelta(days=14)", "UNPAID_AFTER = timedelta(days=1400)"),),
        "who never pays the difference never gets the money",
        ("exchange_unpaid",),
    ),
    Mutant(
        "keep_the_price_of_a_replacement_that_cannot_be_had",
        (("core.returns.exchange", '_FALLEN = ("out_of_stock", "cancelled")', '_FALLEN = ("out_of_stock",)'),),
        "neither goods nor money",
        ("replacement_out_of_stock",),
    ),
    Mutant(
        "believe_what_is_pending",
        (("core.returns.legs", '    "pending": "accepted",\n', '    "pending": "succeeded",\n'),),
        "a refund that the provider has only taken is called done",
        ("slow_rail",),
        "at the end it has gone through: only the hour of the message tells it",
        ("core/returns/test_edges_money.py",),
    ),
    Mutant(
        "open_and_lost_in_one_second",
        (("core.returns.gather", 'getattr(each.body, "phase", "") != "opened"', "False"),),
        "of two words of one instant the id decides",
        ("lost_dispute", "chargeback"),
    ),
    # ---- engine ------------------------------------------------------------------------------------------------------
    Mutant(
        "swallow_the_unknown",
        (("engine.verdict", 'return Verdict("unknown", "unknown", look_at, "unknown", message, code)', 'return Verdict("done", "done", None, "done")'),),
        "a call without an answer is called done",
        ("lost_call",),
    ),
    Mutant(
        "unknown_means_no",
        (("engine.verdict", 'return Verdict("unknown", "unknown", look_at, "unknown", message, code)', 'return Verdict("rejected", "rejected", None, "rejected", message, code)'),),
        "a call without an answer is called refused",
        ("timeout", "long_unknown"),
    ),
    Mutant(
        "send_again_without_looking",
        (("engine.verdict", 'return Verdict("unknown", "unknown", look_at, "unknown", message, code)', 'return Verdict("planned", "transient", look_at, "", message, code)'),),
        "a call without an answer goes out again, unasked",
        ("timeout", "lost_call"),
        _KEY_KEPT,
        ("engine/test_unknown_outcomes.py",),
    ),
    Mutant(
        "send_again_under_a_new_key",
        (
            ("engine.verdict", 'return Verdict("unknown", "unknown", look_at, "unknown", message, code)', 'return Verdict("planned", "transient", look_at, "", message, code)'),
            ("connectors.stripe.client", 'headers={"Idempotency-Key": key}', 'headers={"Idempotency-Key": f"{key}{id(params)}"}'),
        ),
        "a call without an answer goes out again as another one: the blind second attempt",
        ("timeout",),
    ),
    Mutant(
        "never_look",
        (("store.effects", "SELECT effect_id FROM effects WHERE connection = %s AND status IN ('unknown', 'accepted')", "SELECT effect_id FROM effects WHERE connection = %s AND status IN ('accepted')"),),
        "what is unknown stays so",
        ("timeout",),
    ),
    Mutant(
        "forget_the_dead",
        (("engine.effects", "if not await effects.is_dead(conn, dead):", "if True:"),),
        "what a dead worker was sending is sent by nobody",
        ("crash_call",),
    ),
    Mutant(
        "repeat_for_the_dead",
        (("engine.verdict", "if claimed.effect.kind in READS or support.idempotency is Idempotency.STATE or not (support.findable or gone):", "if True:"),),
        "what a dead worker was sending goes out again, unasked",
        ("crash_call",),
        _KEY_KEPT,
        ("engine/test_dead_workers.py",),
    ),
    Mutant(
        "skip_the_version_guard",
        (("store.cases", '"WHERE c.case_id = t.case_id AND c.version = t.before"', '"WHERE c.case_id = t.case_id"'),),
        "a case that somebody else has written is written over",
        ("two_workers", "crash_commit"),
        "the lock of the shard keeps two writers apart; the guard stands behind it for a lock that was lost",
        ("store/test_cases.py",),
    ),
    Mutant(
        "skip_guard_and_lock",
        (
            ("store.cases", '"WHERE c.case_id = t.case_id AND c.version = t.before"', '"WHERE c.case_id = t.case_id"'),
            ("engine.worker", '"SELECT s FROM unnest(%s::integer[]) s WHERE pg_try_advisory_lock(%s, s)"', '"SELECT s FROM unnest(%s::integer[]) s WHERE %s > 0"'),
        ),
        "two workers decide one case at once",
        ("two_workers", "crash_commit"),
        "the simulation takes one transaction at a time; tests/engine/test_many_workers.py has real workers at one shard",
        ("store/test_cases.py",),
    ),
    Mutant(
        "tell_nobody_of_outcomes",
        (("engine.effects", "    await inbox.add(conn, tell)\n", ""),),
        "a case never hears what became of its effects",
        ("omnichannel",),
    ),
    Mutant(
        "plan_no_effects",
        (("engine.commit", "    if batch.effects:\n", "    if False:\n"),),
        "what was decided is never done",
        ("omnichannel",),
    ),
    Mutant(
        "write_no_log",
        (("engine.commit", "    if batch.log:\n", "    if batch.log and not batch.effects:\n"),),
        "decisions leave no trace",
        ("omnichannel",),
    ),
    Mutant(
        "break_the_chain",
        (("engine.batch", "head = chain(held.head, body)", 'head = chain(b"", body)'),),
        "a row of the log does not stand on the one before",
        ("omnichannel",),
    ),
    Mutant(
        "raise_no_exceptions",
        (("engine.commit", "    await exceptions.put(conn, raised)\n    await exceptions.end(conn, ended, now)\n", ""),),
        "what needs a person is on nobody's list",
        ("over_receipt",),
    ),
    Mutant(
        "keep_no_references",
        (("engine.commit", "        await xref.add(conn, pairs)\n", ""),),
        "nothing that comes later finds its case",
        ("omnichannel",),
    ),
    Mutant(
        "lose_a_wake",
        (("engine.commit", "    await wake(conn, ready - own, {effect.connection for effect in batch.effects})\n", ""),),
        "nobody is told that there is work",
        ("omnichannel",),
        "a notification only makes it quick: the sweep of each second finds all that is due",
    ),
    Mutant(
        "never_sweep_what_is_ready",
        (("store.inbox", "\"(SELECT 1 FROM inbox WHERE status = 'ready' AND shard = s::smallint)\"", "\"(SELECT 1 FROM inbox WHERE status = 'never' AND shard = s::smallint)\""),),
        "what a lost notification left behind is found by nobody",
        ("lost_notify",),
    ),
    Mutant(
        "fire_no_timers",
        (("engine.timers", "            if not due:\n", "            if True:\n"),),
        "nothing happens because time has passed",
        ("exchange_unpaid",),
    ),
    Mutant(
        "ignore_what_comes_first",
        (("store.effects", "AND d.status NOT IN ('done', 'discarded')", "AND d.status NOT IN ('done', 'discarded', 'planned', 'sending', 'unknown')"),),
        "an effect does not wait for those before it",
        ("omnichannel", "timeout"),
        "effects of one sale share a scope and go one by one, the oldest first; the order holds as long as none is put off",
        ("engine/test_scopes_and_order.py",),
    ),
    Mutant(
        "an_unknown_scope_is_free",
        (("store.effects", "b.status IN ('sending', 'unknown')", "b.status IN ('sending')"),),
        "a sibling goes out while the first is unknown",
        ("timeout", "grades"),
        "the core asks for no sibling of an unknown leg, and documents wait for those that they stand on",
        ("engine/test_scopes_and_order.py",),
    ),
    Mutant(
        "record_without_the_lease",
        (("store.effects", "e.status = 'sending' AND e.lease = t.lease OR", "e.status = 'sending' OR"),),
        "the late answer of a dead worker is written over a newer one",
        ("crash_call",),
        "a dead process of the simulation answers nothing any more; a process that only seemed dead would be needed",
        ("engine/test_dead_workers.py",),
    ),
    # ---- intake and feeds --------------------------------------------------------------------------------------------
    Mutant(
        "verify_nothing",
        (("intake.receive", "            connector.verify(delivery)\n", "            pass\n"),),
        "whoever knows the address may tell us anything",
        ("corrupted",),
        "corrupted messages no longer parse, or point at objects that are read fresh; forgery is for tests/api/test_webhooks.py",
        ("intake/test_receive.py",),
    ),
    Mutant(
        "answer_before_the_commit",
        (("intake.receive", "        self.arrived.set()\n        return await answer\n", '        self.arrived.set()\n        return Receipt("", "translated", 0)\n'),),
        "a sender is told that we have it, and we have not",
        ("crash_intake",),
        "the sweep finds what was lost; tests/intake/test_receive.py holds the answer to its commit",
        ("intake/test_receive.py",),
    ),
    Mutant(
        "take_repeats_as_new",
        (("intake.receive", "job.kept is None or job.kept.delivery_id in new]", "True]"),),
        "a delivery that came twice is translated twice",
        ("duplicates",),
        _ONCE,
    ),
    Mutant(
        "forget_the_facts_of_a_delivery",
        (("intake.receive", "facts = [fact for job in fresh for fact in job.facts]", "facts = [fact for job in fresh for fact in job.facts[1:]]"),),
        "the first fact of each delivery is dropped",
        ("omnichannel",),
        "the sweep finds it: it is late and not lost",
        ("intake/test_receive.py",),
    ),
    Mutant(
        "sweep_and_forget",
        (("engine.feeds", "new_facts, new_looks = await accept(conn, facts, looks)", "new_facts, new_looks = await accept(conn, [], [])"),),
        "what only a sweep can find is not found",
        ("lost_hooks",),
    ),
    Mutant(
        "forget_at_both_doors",
        (
            ("intake.receive", "facts = [fact for job in fresh for fact in job.facts]", "facts = [fact for job in fresh for fact in job.facts[1:]]"),
            ("engine.feeds", "new_facts, new_looks = await accept(conn, facts, looks)", "new_facts, new_looks = await accept(conn, [], looks)"),
        ),
        "a fact is dropped and nothing finds it again",
        ("omnichannel",),
    ),
    # ---- store -------------------------------------------------------------------------------------------------------
    Mutant(
        "newest_facts_first",
        (("store.inbox", "WHERE shard = s AND status = 'ready' ORDER BY position LIMIT %(limit)s", "WHERE shard = s AND status = 'ready' ORDER BY position DESC LIMIT %(limit)s"),),
        "facts are taken in the wrong order",
        ("omnichannel", "grades"),
        "a case is the fold of its facts: their order does not matter (D8)",
    ),
    Mutant(
        "done_before_it_is_decided",
        (("store.inbox", "\"UPDATE inbox SET status = 'waiting' WHERE fact_id = ANY(%s::text[])\"", "\"UPDATE inbox SET status = 'done' WHERE fact_id = ANY(%s::text[])\""),),
        "a fact that nobody can place yet is dropped",
        ("blind_return", "reordered"),
    ),
    # ---- connectors --------------------------------------------------------------------------------------------------
    Mutant(
        "drop_the_key",
        (("connectors.stripe.client", 'headers={"Idempotency-Key": key}', "headers={}"),),
        "a refund has no key at the provider",
        ("timeout",),
        "a look-up by our key comes before any second attempt",
        ("connectors/stripe/test_conformance.py",),
    ),
    Mutant(
        "find_nothing",
        (("connectors.stripe.actions", "    return mapping.refund_outcome(connection, (alive or mine)[0], command)\n", "    return None\n"),),
        "a look-up never finds the refund that was made",
        ("timeout",),
        _KEY_KEPT,
        ("connectors/stripe/test_conformance.py",),
    ),
    Mutant(
        "drop_the_key_and_find_nothing",
        (
            ("connectors.stripe.client", 'headers={"Idempotency-Key": key}', "headers={}"),
            ("connectors.stripe.actions", "    return mapping.refund_outcome(connection, (alive or mine)[0], command)\n", "    return None\n"),
        ),
        "a refund whose answer was lost is made again",
        ("timeout",),
    ),
    Mutant(
        "leave_no_mark",
        (("connectors.stripe.mapping", '        f"metadata[{KEY}]": effect.effect_id,\n', ""),),
        "our refunds cannot be told from those of others",
        ("timeout", "omnichannel"),
        "the key is kept, and the reference in the answer tells our refund from those of others",
        ("connectors/stripe/test_conformance.py",),
    ),
    Mutant(
        "ask_for_another_amount",
        (("connectors.stripe.mapping", "str(to_stripe(command.amount_minor, command.currency))", "str(to_stripe(command.amount_minor, command.currency) // 2)"),),
        "the provider is asked for another amount",
        ("omnichannel",),
    ),
    Mutant(
        "two_decimals_for_all",
        (("core.money", "return _EXPONENTS.get(currency, 2)", "return 2"),),
        "yen and fils are counted in hundredths",
        ("yen",),
    ),
    Mutant(
        "believe_an_unknown_status",
        (("connectors.warehouse.actions", 'return Done(ref) if status == "executed" else Accepted(ref)', "return Done(ref)"),),
        "what a warehouse has only been told is called done",
        ("omnichannel",),
        "an executed disposition is told by the warehouse itself and booked by the ERP; this answer only ends the waiting",
        ("connectors/warehouse/test_connector.py",),
    ),
    Mutant(
        "announce_one_piece",
        (("connectors.warehouse.actions", "rest = item.quantity - len(serials)", "rest = 1 - len(serials)"),),
        "the warehouse expects one piece of each line",
        ("grades",),
        "the warehouse counts what comes; the case compares it with what was asked back, not with the announcement",
        ("connectors/warehouse/test_connector.py",),
    ),
    Mutant(
        "write_to_customers_again_and_again",
        (("connectors.notify", "await self._post(effect.effect_id, message(effect, effect.command))", "await self._post(f\"{effect.effect_id}-{self._now().timestamp()}\", message(effect, effect.command))"),),
        "each attempt is a message of its own",
        ("mail_timeout",),
    ),
    Mutant(
        "book_a_cent_less",
        (("connectors.odoo.post_refund_payment", '"amount": command.amount_minor,', '"amount": command.amount_minor - 1,'),),
        "the ledger holds a cent less than was refunded",
        ("omnichannel",),
    ),
    Mutant(
        "credit_a_cent_less",
        (("connectors.odoo.post_credit_note", '        "amount": command.amount_minor,\n        "day"', '        "amount": command.amount_minor - 1,\n        "day"'),),
        "a credit note is not what was refunded",
        ("omnichannel",),
        "the lines of a note carry its amount; this sum of them is not what is booked",
    ),
    Mutant(
        "overlook_a_count",
        (("connectors.odoo.counts", "odoo.now() - command.occurred_at > LATE", "False"),),
        "goods that a count has found are in stock twice, and nobody is told",
        ("counted",),
    ),
    Mutant(
        "documents_without_a_key",
        (("connectors.odoo.feeds", 'key_refs = (f"effect:{ours.group(1)}",) if ours else ()', "key_refs = ()"),),
        "a document of ours is taken for a stranger's by another case over its order",
        ("partial",),
        "the case that posted it happens to be asked first in this play; tests/connectors/odoo/test_verbs.py holds the reference",
        ("connectors/odoo/test_verbs.py",),
    ),
    # ---- reconciliation ----------------------------------------------------------------------------------------------
    Mutant(
        "tell_no_case_of_the_bank",
        (("reconcile.payouts", "await accept(conn, _tell(row, PayoutBanked(row.payout_ref, line.bank_ref), now), [effect])", "await accept(conn, [], [effect])"),),
        "cases never hear that their payout is on the bank",
        ("omnichannel",),
    ),
    Mutant(
        "tell_the_first_refund_only",
        (("reconcile.payouts", "        for entry in _entries(row)\n        if entry.kind", "        for entry in _entries(row)[:1]\n        if entry.kind"),),
        "of a payout with several refunds one is closed",
        ("grades",),
        "in the play each payout holds one refund, and it comes first",
        ("reconcile/test_payouts.py",),
    ),
    Mutant(
        "post_no_settlement",
        (("reconcile.payouts", "await accept(conn, _tell(row, PayoutBanked(row.payout_ref, line.bank_ref), now), [effect])", "await accept(conn, _tell(row, PayoutBanked(row.payout_ref, line.bank_ref), now))"),),
        "the clearing account is never cleared",
        ("omnichannel",),
    ),
    Mutant(
        "never_look_at_a_payout_again",
        (("reconcile.payouts", "now + AGAIN[row.looks] if more else None", "None"),),
        "what is booked after its payout was posted stays open on the clearing account",
        ("omnichannel",),
        "in the play all refunds of a payout are booked before it",
        ("reconcile/test_payouts.py",),
    ),
    Mutant(
        "match_no_payout",
        (("core.reconciliation.payouts", "if (line.amount_minor, line.currency) == (payout.net_minor, payout.currency):", "if False:"),),
        "no payout is ever equal to its bank line",
        ("omnichannel",),
    ),
)  # fmt: skip
