"""The proof's own sums of what outside systems hold."""

from counterflow.sandbox.proof import credited


def test_credit_notes_are_summed_in_their_own_currencies() -> None:
    def note(amount: float, currency: str, state: str = "posted", kind: str = "out_refund") -> dict[str, object]:
        return {"model": "account.move", "move_type": kind, "amount": amount, "currency": currency, "state": state}

    written = [note(20.0, "EUR"), note(1500.0, "JPY"), note(500.0, "JPY"), note(1.25, "KWD"), note(7.0, "EUR", "draft")]
    assert credited([*written, note(9.0, "EUR", kind="out_invoice")]) == {"EUR": 2000, "JPY": 2000, "KWD": 1250}
