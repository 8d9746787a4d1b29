"""The storylines of the demo, each also a test.

A story acts in the outside systems and takes people's decisions; what Counterflow does in between is what is proven.
"""

from collections.abc import Awaitable, Callable

from counterflow.sandbox import real_medusa
from counterflow.sandbox.stage import Stage
from counterflow.sandbox.stories import exchanges, identity, late, medusa, money, omnichannel

Story = Callable[[Stage], Awaitable[None]]

STORIES: dict[str, Story] = {
    story.__name__: story
    for story in (
        omnichannel.omnichannel,
        omnichannel.write_off,
        omnichannel.promotion,
        omnichannel.kit_component,
        omnichannel.deduction,
        omnichannel.split_tender,
        omnichannel.opened_in_the_shop,
        exchanges.exchange_even,
        exchanges.exchange_up,
        exchanges.exchange_down,
        exchanges.replacement_out_of_stock,
        money.before_receipt,
        money.refunded_by_hand,
        money.provider_down,
        money.timeout_after_success,
        money.fails_after_success,
        money.marketplace,
        identity.serial_mismatch,
        identity.recalled_lot,
        identity.blind_return,
        identity.over_receipt,
        identity.under_receipt,
        identity.two_channels,
        late.late_warehouse,
        late.lost_webhook,
    )
}

# Told where a real Medusa is the shop (sandbox/real_medusa.py): it has neither webhooks nor idempotency keys.
MEDUSA_STORIES: dict[str, Story] = {
    story.__name__: story
    for story in (medusa.swept_return, medusa.by_hand, medusa.agents_exchange, medusa.another_piece)
}


def told_here() -> dict[str, Story]:
    """The stories of the shop that there is."""
    return STORIES if real_medusa.given() is None else MEDUSA_STORIES


def title(story: Story) -> str:
    """The story in one sentence."""
    return " ".join((story.__doc__ or "").split())
