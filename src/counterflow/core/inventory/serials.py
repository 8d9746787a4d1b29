"""What a scanned serial number says about the thing in hand (edge cases 18-20)."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KnownSerial:
    """What we know of a serial from other sales and from stock. Empty refs: it is ours and was never sold."""

    sku: str
    sale_ref: str = ""
    returned_in: str = ""  # case id, if it has come back there


@dataclass(frozen=True, slots=True)
class SerialVerdict:
    """`word`: ok | mismatch | unknown | already_returned | sold_to_other | missing."""

    word: str
    serial: str
    linked_ref: str  # the other sale or case to link with; empty: none
    because: str

    @property
    def blocks_refund(self) -> bool:
        """The sold unit stays owed and the refund is held until a person has looked."""
        return self.word in ("mismatch", "already_returned", "sold_to_other")

    @property
    def policy_word(self) -> str:
        """The word of the policy column `serial_result`: whose the other sale is does not matter there."""
        return "mismatch" if self.word == "sold_to_other" else self.word


def same_serial(text: str) -> str:
    """The form in which serials are compared: scanners and labels differ in case, spaces and dashes."""
    return "".join(char for char in text.upper() if char.isalnum())


def serial_verdict(
    scanned: str,
    sold: Collection[str],
    *,
    returned: Collection[str] = (),
    elsewhere: Mapping[str, KnownSerial] | None = None,
    sale_ref: str = "",
) -> SerialVerdict:
    """Judge a scanned serial (empty: none could be read) against those `sold` on the line (empty: none was recorded).

    `returned`: serials of this sale that came back before. `elsewhere`: what the register knows, by serial as
    `same_serial` gives it; entries of `sale_ref` itself are about this sale.
    """
    serial = same_serial(scanned)
    if not serial:
        return SerialVerdict("missing", "", "", "no serial was found: identify the unit by its box, IMEI or photo")
    if serial in {same_serial(text) for text in returned}:
        return SerialVerdict("already_returned", serial, sale_ref, f"{serial} has already come back for this sale")
    known = (elsewhere or {}).get(serial)
    if known is not None and known.returned_in and known.sale_ref in ("", sale_ref):
        because = f"{serial} has already come back in {known.returned_in}"
        return SerialVerdict("already_returned", serial, known.returned_in, because)
    if serial in {same_serial(text) for text in sold}:
        if known is not None and known.sale_ref not in ("", sale_ref) and not known.returned_in:
            because = f"{serial} is recorded as sold here and in {known.sale_ref}: one of the two records is wrong"
            return SerialVerdict("sold_to_other", serial, known.sale_ref, because)
        return SerialVerdict("ok", serial, "", f"{serial} is what was sold")
    if known is not None and known.sale_ref not in ("", sale_ref):
        return SerialVerdict("sold_to_other", serial, known.sale_ref, f"{serial} was sold in {known.sale_ref}")
    if sold:
        return SerialVerdict("mismatch", serial, "", f"{serial} is none of the serials sold on this line")
    if known is not None and known.sale_ref == sale_ref and sale_ref:
        return SerialVerdict("ok", serial, "", f"{serial} is registered to this sale")
    if known is not None:
        return SerialVerdict("mismatch", serial, "", f"{serial} is ours and was never sold")
    return SerialVerdict("unknown", serial, "", f"the sale recorded no serial to compare {serial} with")
