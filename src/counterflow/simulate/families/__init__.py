"""Families of stories, and their seeded variety: the same seed and number give the same script, to the cent.

A family is what happens; its draw decides goods, quantities of one to five, prices with odd cents, discounts that do
not divide, tenders, currencies, channels, grades and pauses.
"""

import random
from collections.abc import Callable, Mapping

from counterflow.simulate.draft import Draft
from counterflow.simulate.families import crossings, exchanges, goods, money
from counterflow.simulate.script import Story

# The order counts: a seed draws by it.
FAMILIES: Mapping[str, Callable[[Draft], None]] = {
    family.__name__: family
    for family in (
        goods.omnichannel,
        goods.partial,
        goods.grades,
        goods.deduction,
        goods.promotion,
        goods.kit,
        goods.serial_mismatch,
        goods.recalled_lot,
        goods.blind_return,
        goods.over_receipt,
        goods.under_receipt,
        exchanges.exchange_even,
        exchanges.exchange_down,
        exchanges.exchange_up,
        exchanges.exchange_unpaid,
        exchanges.replacement_out_of_stock,
        money.split_tender,
        money.store_credit,
        crossings.marketplace,
        money.chargeback,
        money.fails_after_success,
        money.slow_rail,
        goods.late_warehouse,
        crossings.cancel_after_receipt,
        crossings.credited_by_hand,
        crossings.two_channels,
        money.before_receipt,
        crossings.refunded_by_hand,
        money.signed,
        goods.counted_meanwhile,
    )
}


def write(seed: int, number: int, family: str = "") -> Story:
    """The story of this seed and number; of any family unless one is named. Raises KeyError for an unknown family."""
    rng = random.Random(f"{seed}:{number}")
    chosen = rng.choice(list(FAMILIES))
    draft = Draft(number, family or chosen, rng)
    FAMILIES[draft.family](draft)
    return draft.end()


def write_all(seed: int, count: int) -> tuple[Story, ...]:
    """`count` stories over one world, numbered from 1."""
    return tuple(write(seed, number) for number in range(1, count + 1))
