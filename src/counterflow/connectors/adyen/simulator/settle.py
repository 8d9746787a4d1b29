"""What shoppers, banks, colleagues and Adyen's night do: `POST /_sim/do/<act>`; and batches with their report."""

import csv
import io
import json
from functools import partial
from typing import Any

from counterflow.connectors.adyen.simulator.account import Account, major, whole
from counterflow.sdk.simulator import Doc

COLUMNS = (
    "Company Account", "Merchant Account", "Psp Reference", "Merchant Reference", "Payment Method", "Creation Date",
    "TimeZone", "Type", "Modification Reference", "Gross Currency", "Gross Debit (GC)", "Gross Credit (GC)",
    "Exchange Rate", "Net Currency", "Net Debit (NC)", "Net Credit (NC)", "Commission (NC)", "Markup (NC)",
    "Scheme Fees (NC)", "Interchange (NC)", "Payment Method Variant", "Modification Merchant Reference",
    "Batch Number", "Reserved4", "Reserved5", "Reserved6", "Reserved7", "Reserved8", "Reserved9", "Reserved10",
)  # fmt: skip
_DISPUTE = {"NOTIFICATION_OF_CHARGEBACK": 0, "CHARGEBACK": -1, "CHARGEBACK_REVERSED": 1, "SECOND_CHARGEBACK": -1}


def register(account: Account) -> None:
    """The acts of one account, and what its agenda does."""
    world = account.world
    world.on("decide", account.decide)
    for act in (
        pay, refund_in_customer_area, fail_refund, reverse_refund, dispute, say, close_batch, correct_batch, hold,
        release,
    ):  # fmt: skip
        world.act(act.__name__)(partial(act, account))


def pay(account: Account, wanted: Doc) -> Doc:
    """{value, currency, method?, captured?, reference?}: a shopper pays; captured at once unless told."""
    value, psp = whole(wanted, "value"), account.reference("payment")
    payment: Doc = {
        "pspReference": psp,
        "value": value,
        "currency": str(wanted["currency"]).upper(),
        "method": str(wanted.get("method", "visa")),
        "captured": bool(wanted.get("captured", True)),
        "reference": str(wanted.get("reference", "")),
        "refunded": 0,
    }
    account.world.put("payments", psp, payment)
    account.notify(account.item("AUTHORISATION", psp, payment, payment, "1234:7777:12/2030"))
    if payment["captured"]:
        capture = account.reference("capture")
        fees = {"Markup (NC)": value // 500, "Interchange (NC)": value // 125}
        account.book("Settled", payment, value, capture, payment["reference"], fees)
        account.notify(account.item("CAPTURE", capture, payment, payment))
    return {"pspReference": psp}


def refund_in_customer_area(account: Account, wanted: Doc) -> Doc:
    """{payment, value}: a person refunds by hand; the reference is the payment's."""
    payment = account.need("payments", wanted["payment"])
    return account.receive_refund(payment, whole(wanted, "value"), payment["currency"], payment["reference"])


def fail_refund(account: Account, wanted: Doc) -> Doc:
    """{refund, reason?}: the scheme refuses it after it had succeeded."""
    reason = str(wanted.get("reason", "Refund Failed"))
    return account.give_back(account.need("refunds", wanted["refund"]), "REFUND_FAILED", reason)


def reverse_refund(account: Account, wanted: Doc) -> Doc:
    """{refund}: the bank sends the money back."""
    return account.give_back(account.need("refunds", wanted["refund"]), "REFUNDED_REVERSED", "")


def dispute(account: Account, wanted: Doc) -> Doc:
    """{payment, event, dispute?}: one step of a dispute over the whole payment; the first one makes its reference."""
    payment, event = account.need("payments", wanted["payment"]), str(wanted["event"])
    psp = str(wanted.get("dispute") or account.reference("dispute"))
    if moved := _DISPUTE.get(event, 0) * payment["value"]:
        types = {"CHARGEBACK": "Chargeback", "CHARGEBACK_REVERSED": "ChargebackReversed"}
        fees = {"Commission (NC)": 500} if event == "CHARGEBACK" else {}
        account.book(types.get(event, "SecondChargeback"), payment, moved, psp, payment["reference"], fees)
    account.notify(account.item(event, psp, payment, payment, "Merchandise Not Received", defendable="true"))
    return {"dispute": psp}


def say(account: Account, wanted: Doc) -> Doc:
    """{event, pspReference, payment?, value?, currency?, reference?, success?, reason?, more?}: any notification."""
    payment = account.need("payments", wanted["payment"]) if "payment" in wanted else None
    money = {"value": wanted.get("value", 0), "currency": wanted.get("currency", "EUR")}
    money["reference"] = wanted.get("reference", "")
    success, reason = bool(wanted.get("success", True)), str(wanted.get("reason", ""))
    psp = str(wanted["pspReference"])
    account.notify(account.item(str(wanted["event"]), psp, payment, money, reason, success, **wanted.get("more", {})))
    return {}


def hold(account: Account, wanted: Doc) -> Doc:
    """From now on notifications wait."""
    account.world.put("_settings", "held", {"items": []})
    return {}


def release(account: Account, wanted: Doc) -> Doc:
    """What waited goes out in one POST."""
    items = account.need("_settings", "held")["items"]
    account.world.delete("_settings", "held")
    if items:
        account.notify(*items)
    return {"items": len(items)}


def close_batch(account: Account, wanted: Doc) -> Doc:
    """All that is in the journal becomes the next batch, is paid out by currency, and is reported."""
    world = account.world
    batch = world.next_id("batches")
    rows = [row for row in world.all("journal") if row["batch"] is None]
    for row in rows:
        world.put("journal", row["number"], row | {"batch": batch})
    payouts = []
    for currency in sorted({row["payment"]["currency"] for row in rows}):
        net = sum(_net(row) for row in rows if row["payment"]["currency"] == currency)
        if net > 0:
            name = f"TX{world.next_id('payouts'):09d}XT"
            payouts.append(
                {"name": name, "currency": currency, "net": net, "text": f"{name} batch {batch}, {account.merchant}"}
            )
        else:  # what is owed is carried into the next batch
            payment = {"pspReference": "", "currency": currency, "method": "", "reference": ""}
            account.book("Balancetransfer", payment, net, "Balancetransfer", f"Balancetransfer from batch {batch}")
    world.put("batches", str(batch), {"batch": batch, "payouts": payouts, "at": world.now().isoformat()})
    _report(account, batch)
    for payout in payouts:
        if account.bank_url:
            order = {"payout_ref": payout["name"], "amount_minor": payout["net"], "currency": payout["currency"]}
            order["text"] = payout["text"]
            headers = {"Content-Type": "application/json"}
            world.emit(account.bank_url, headers, json.dumps(order).encode(), (60,) * 60, reliable=True)
    return {"batch": batch, "payouts": [payout["name"] for payout in payouts]}


def correct_batch(account: Account, wanted: Doc) -> Doc:
    """{batch}: one more minor unit of interchange, and one less is paid; the report is written and told of again."""
    world, batch = account.world, account.need("batches", str(wanted["batch"]))
    rows = [row for row in world.all("journal") if row["batch"] == batch["batch"]]
    moved = next(row for row in rows if "Interchange (NC)" in row["fees"])
    moved["fees"]["Interchange (NC)"] += 1
    world.put("journal", moved["number"], moved)
    payout = next(payout for payout in batch["payouts"] if payout["currency"] == moved["payment"]["currency"])
    payout["net"] -= 1
    world.put("batches", str(batch["batch"]), batch)
    _report(account, batch["batch"])
    return {}


def _net(row: Doc) -> int:
    return int(row["value"] - sum(row["fees"].values()))


def _report(account: Account, batch: int) -> None:
    world = account.world
    closed = account.need("batches", str(batch))
    lines = [_line(account, row, batch) for row in world.all("journal") if row["batch"] == batch]
    for row in world.all("journal"):
        if row["reference"] == f"Balancetransfer from batch {batch}":  # the other half of what the next one begins with
            back = row | {"value": -row["value"], "reference": f"Balancetransfer to batch {batch + 1}"}
            lines.append(_line(account, back, batch))
    lines += [_payout_line(account, payout, closed["at"], batch) for payout in closed["payouts"]]
    columns = COLUMNS[::-1] if world.take_fault("column_order") else COLUMNS
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows(lines)
    content = out.getvalue()
    if world.take_fault("cut"):
        content = content[:-20]
    name = f"settlement_detail_report_batch_{batch}.csv"
    world.put(
        "reports", name, {"name": name, "content": content.encode().decode("latin-1")}
    )  # bytes, as JSON keeps them
    where = f"https://ca-test.adyen.com/reports/download/MerchantAccount/{account.merchant}/{name}"
    account.notify(account.item("REPORT_AVAILABLE", name, None, {"value": 0, "currency": "EUR"}, where))


def _line(account: Account, row: Doc, batch: int) -> dict[str, Any]:
    payment, currency = row["payment"], row["payment"]["currency"]
    money = row["type"] != "Balancetransfer"
    side = "Credit" if row["value"] > 0 else "Debit"
    net = _net(row)
    line = {
        **_head(account, row["at"], row["type"], currency, batch),
        "Psp Reference": payment["pspReference"],
        "Merchant Reference": payment["reference"],
        "Payment Method": payment["method"],
        "Modification Reference": row["modification"],
        f"Net {'Credit' if net > 0 else 'Debit'} (NC)": major(abs(net), currency),
        "Modification Merchant Reference": row["reference"],
        **{column: major(fee, currency) for column, fee in row["fees"].items() if fee},
    }
    if money:
        line |= {
            "Gross Currency": currency,
            f"Gross {side} (GC)": major(abs(row["value"]), currency),
            "Exchange Rate": "1",
        }
        line["Payment Method Variant"] = payment["method"]
    return line


def _payout_line(account: Account, payout: Doc, at: str, batch: int) -> dict[str, Any]:
    currency = payout["currency"]
    line = _head(account, at, "MerchantPayout", currency, batch)
    line |= {"Modification Reference": payout["text"], "Gross Currency": currency}
    return line | {"Net Debit (NC)": major(payout["net"], currency)}


def _head(account: Account, at: str, type: str, currency: str, batch: int) -> dict[str, Any]:
    return {
        "Company Account": "Counterflow",
        "Merchant Account": account.merchant,
        "Creation Date": at[:19].replace("T", " "),
        "TimeZone": "UTC",
        "Type": type,
        "Net Currency": currency,
        "Batch Number": str(batch),
    }
