"""Paying a refund leg, and asking whether it was paid."""

from counterflow.connectors.stripe import mapping
from counterflow.connectors.stripe.client import Client
from counterflow.core.effects import Effect, PayLeg
from counterflow.sdk.outcomes import AuthFailed, ConnectorError, Outcome, UnknownOutcome

KEYS_MOST = 5  # a key and those derived from it; more than one is burnt only when Stripe fails for hours


async def pay(client: Client, connection: str, effect: Effect, command: PayLeg) -> Outcome:
    """Pay once. Raises the eight words.

    Stripe keeps the first answer of a key for a day, a 500 included: such a key is burnt, and asking again tells
    nothing. Then the payment's refunds are searched for our key, and only when it is surely not there a key that is
    derived from it goes out. Two workers derive the same one, so it is still paid once.
    """
    params = mapping.refund_params(effect, command)
    for number in range(KEYS_MOST):
        key = f"{effect.effect_id}-{number}" if number else effect.effect_id
        refund, burnt = await client.create_refund(params, key)
        if not burnt:
            return mapping.refund_outcome(connection, refund, command)
        try:
            found = await find(client, connection, effect, command)
        except AuthFailed:
            raise
        except ConnectorError as error:
            raise UnknownOutcome(f"Stripe replays an error, and the look-up failed: {error.message}") from None
        if found is not None:
            return found
    raise UnknownOutcome(
        f"Stripe replays errors for {KEYS_MOST} keys of this leg: look at the payment in the dashboard"
    )


async def find(client: Client, connection: str, effect: Effect, command: PayLeg) -> Outcome | None:
    """The refund that carries our key among the refunds of the payment; None: it is surely not there now."""
    refunds = [refund async for refund in client.rows("/v1/refunds", mapping.payment_param(command.payment_ref))]
    mine = [refund for refund in refunds if (refund["metadata"] or {}).get(mapping.KEY) == effect.effect_id]
    if not mine:
        return None
    alive = [refund for refund in mine if refund.get("status") not in ("failed", "canceled")]
    return mapping.refund_outcome(connection, (alive or mine)[0], command)
