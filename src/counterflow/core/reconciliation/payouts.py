"""Which bank line is which payout: equal to the cent, or a difference that a person sees. Pure.

A payout is found by its own id in the line's text; else by its amount, if exactly one payout and one line of that
amount are open and the days fit. Two that could be each other's stay open: a guess is no proof. So does a line that
names another payout, which has perhaps not been reported yet.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import takewhile

DAYS_BEFORE, DAYS_AFTER = 1, 7  # a line may be booked this far from the day that the provider named


@dataclass(frozen=True, slots=True)
class Payout:
    """What a provider says it sends. `entries_minor` is the sum of what it consists of."""

    payout_ref: str
    net_minor: int
    currency: str
    entries_minor: int
    arrives_on: str = ""


@dataclass(frozen=True, slots=True)
class BankLine:
    """Money that arrived, as the bank booked it; `text` is the bank's."""

    bank_ref: str
    amount_minor: int
    currency: str
    text: str
    booked_on: str


@dataclass(frozen=True, slots=True)
class Difference:
    """A payout that does not add up, or whose line has another amount. `impact_minor` is line (or entries) - net."""

    payout_ref: str
    impact_minor: int
    message: str


@dataclass(frozen=True, slots=True)
class Matches:
    """What was paired and what does not add up; the rest stays open."""

    pairs: tuple[tuple[str, str], ...]  # payout_ref, bank_ref
    differences: tuple[Difference, ...]


def match(payouts: Sequence[Payout], lines: Sequence[BankLine]) -> Matches:
    """Pairs and differences among what is open; the same for every order of the arguments."""
    pairs: list[tuple[str, str]] = []
    differences: list[Difference] = []
    sound: list[Payout] = []
    free = {line.bank_ref: line for line in sorted(lines, key=lambda line: line.bank_ref)}
    for payout in sorted(payouts, key=lambda payout: payout.payout_ref):
        if payout.entries_minor != payout.net_minor:
            differences.append(_incomplete(payout))
        else:
            sound.append(payout)
    unnamed: list[Payout] = []
    for payout in sound:
        line = next((line for line in free.values() if _names(line, payout)), None)
        if line is None:
            unnamed.append(payout)
        else:
            del free[line.bank_ref]
            if (line.amount_minor, line.currency) == (payout.net_minor, payout.currency):
                pairs.append((payout.payout_ref, line.bank_ref))
            else:
                differences.append(_differs(payout, line))
    for payout in unnamed:
        fitting = [line for line in free.values() if _fits(line, payout)]
        rivals = [p for p in unnamed if len(fitting) == 1 and _fits(fitting[0], p)]
        if len(fitting) == 1 and rivals == [payout]:
            pairs.append((payout.payout_ref, fitting[0].bank_ref))
    return Matches(tuple(pairs), tuple(differences))


def _names(line: BankLine, payout: Payout) -> bool:
    """Banks change case and drop punctuation."""
    name = _name(payout)
    return len(name) >= 6 and name in _letters(line.text)


def _names_another(line: BankLine, payout: Payout) -> bool:
    """Whether a word of the line looks as this payout's name does (po_1Nx7..., by its first letters and its length)."""
    name = _name(payout)
    kind = "".join(takewhile(str.isalpha, name))
    words = map(_letters, line.text.split())
    return bool(kind) and any(len(word) == len(name) and word.startswith(kind) for word in words)


def _name(payout: Payout) -> str:
    return _letters(payout.payout_ref.rsplit(":", 1)[-1])


def _letters(text: str) -> str:
    return "".join(c for c in text.casefold() if c.isalnum())


def _fits(line: BankLine, payout: Payout) -> bool:
    if (line.amount_minor, line.currency) != (payout.net_minor, payout.currency) or _names_another(line, payout):
        return False
    if not payout.arrives_on:
        return True
    days = (date.fromisoformat(line.booked_on) - date.fromisoformat(payout.arrives_on)).days
    return -DAYS_BEFORE <= days <= DAYS_AFTER


def _incomplete(payout: Payout) -> Difference:
    impact = payout.entries_minor - payout.net_minor
    return Difference(
        payout.payout_ref,
        impact,
        f"{payout.payout_ref} pays {payout.net_minor} {payout.currency} (minor units) but its entries sum up to "
        f"{payout.entries_minor}. Ask the provider for the missing entries",
    )


def _differs(payout: Payout, line: BankLine) -> Difference:
    impact = line.amount_minor - payout.net_minor
    return Difference(
        payout.payout_ref,
        impact,
        f"{payout.payout_ref} should bring {payout.net_minor} {payout.currency} (minor units) but bank line "
        f"{line.bank_ref} has {line.amount_minor} {line.currency}. Compare both, then correct the one that is wrong",
    )
