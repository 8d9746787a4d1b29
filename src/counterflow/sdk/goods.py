"""What people write who count and inspect goods, in the words that the policies ask for."""

from counterflow.sdk.fields import Fields

GRADES = ("A", "B", "C", "D")

# What stores and warehouses call it -> the flag of the policy tables (core/policy/vocabulary.py).
FINDINGS = {
    "used": "used_beyond_testing",
    "worn": "used_beyond_testing",
    "washed": "used_beyond_testing",
    "missing_parts": "incomplete",
    "missing_accessories": "incomplete",
    "empty": "empty_box",
    "empty_parcel": "empty_box",
    "data_wiped": "wiped",
    "wipe_certificate": "wiped",
    "seal_open": "seal_broken",
    "unsealed": "seal_broken",
}
LOT_STATUS = {"lot_recalled": "recalled", "lot_expired": "expired", "recalled": "recalled", "expired": "expired"}


def findings_of(data: Fields) -> tuple[str, ...]:
    """The codes of `findings` [{code, note}], ours where we have a word for it; every other code stays as it is."""
    codes = [row.text("code") for row in data.rows("findings")]
    return tuple(dict.fromkeys(FINDINGS.get(code, code) for code in codes))


def lot_status_of(findings: tuple[str, ...]) -> str:
    """recalled | expired | ok; recalled wins."""
    told = {LOT_STATUS[code] for code in findings if code in LOT_STATUS}
    return "recalled" if "recalled" in told else "expired" if told else "ok"


def pieces(row: Fields) -> int:
    """How many; a serial number is of one piece. Raises Malformed."""
    quantity = row.quantity()
    if quantity > 1 and row.has("serial"):
        raise row.wrong("quantity", "1 where there is a serial: each piece with its own line")
    return quantity
