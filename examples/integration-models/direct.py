"""Direct: a program of yours calls one system through its connector, and keeps the intent itself.

    python examples/integration-models/direct.py

The provider is Stripe's simulator, in this process; the answer to the refund is lost on its way. What is left to the
caller is what the engine does otherwise: keep the intent before the call, and never send again before asking.
"""

import asyncio

from counterflow.connectors.stripe.conformance import Harness
from counterflow.sdk.outcomes import ConnectorError, UnknownOutcome


async def refund() -> dict[str, object]:
    """Refund 19.90 EUR whose answer is lost; what was told, and how often the provider has really paid."""
    stripe = Harness()
    effect = await stripe.sample("PayLeg", amount_minor=19_90)  # keep this, with its key, before you send it
    stripe.world.fault("lost_reply", match="POST /v1/refunds")
    told: list[str] = []
    try:
        [outcome] = await stripe.connector.send([effect])
    except ConnectorError as error:
        outcome = error
    told.append(type(outcome).__name__)
    if isinstance(outcome, UnknownOutcome):  # maybe it was done: ask, do not send again
        found = await stripe.connector.find(effect)
        told.append(type(found).__name__)
    await stripe.connector.aclose()
    return {"told": told, "refunds_at_the_provider": await stripe.applied(effect)}


if __name__ == "__main__":
    print(asyncio.run(refund()))
