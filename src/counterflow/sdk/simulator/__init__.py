"""What every simulator of an outside system is built from.

A simulator is `create_app(world, **config) -> Starlette`: it keeps its documents in a `World`, ends with
`return with_sim(app, world)`, and then has a jumpable clock, durable state, faults on the wire, webhooks that are
retried, doubled, late or lost, an agenda of things to come, and actors. It imports nothing else of ours: it imitates
the outside.

Over HTTP each simulator answers, beside the vendor's own API:

    POST /_sim/do/<act>              what a person or machine does inside that system; JSON in, JSON out
    POST|GET|DELETE /_sim/faults     {"name", "times", "match", "seconds"}
    POST|GET /_sim/chaos             {"duplicate", "reorder_seconds", "jitter_seconds", "lose"}
    GET  /_sim/truth/<collection>    its documents; `_webhooks` are the deliveries that ended, with their answers
    GET  /_sim/calls                 {label: count}
    GET  /_sim/next_due              {"now", "next_due"}: where a conductor may jump the clock to
    POST /_sim/pump                  do now what is due now
"""

from counterflow.sdk.simulator.clock import Clock
from counterflow.sdk.simulator.webhooks import Chaos
from counterflow.sdk.simulator.wire import together, with_sim
from counterflow.sdk.simulator.world import Doc, World

__all__ = ["Chaos", "Clock", "Doc", "World", "together", "with_sim"]
