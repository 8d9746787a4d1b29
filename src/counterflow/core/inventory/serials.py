"""What a scanned serial number says about the thing in hand (edge cases 18-20)."""

from collections.abc import Collection


def same_serial(text: str) -> str:
    """The form in which serials are compared: scanners and labels differ in case, spaces and dashes."""
    return "".join(char for char in text.upper() if char.isalnum())


def serial_word(scanned: str, sold: Collection[str], sold_to_other: bool = False) -> str:
    """Judge a scanned serial (empty: none could be read) against those `sold` on the line (empty: none was recorded).

    ok | mismatch | unknown | sold_to_other | missing. `sold_to_other`: another sale has recorded it, which outweighs
    that this one did too.
    """
    serial = same_serial(scanned)
    if not serial:
        return "missing"
    if sold_to_other:
        return "sold_to_other"
    if serial in {same_serial(text) for text in sold}:
        return "ok"
    return "mismatch" if sold else "unknown"


def policy_word(word: str) -> str:
    """The word of the policy column `serial_result`: whose the other sale is does not matter there."""
    return "mismatch" if word == "sold_to_other" else word
