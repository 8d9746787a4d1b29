"""The conformance kit: what every connector has to hold to, run from its manifest against its simulator.

A connector's package has a module `conformance` with a class `Harness(counterflow.sdk.testing.Harness)`. Then

    counterflow conformance NAME                                     every check that applies, and the flows of `live`
    counterflow conformance NAME --url URL --key KEY                 the flows of its module `live` on a real system
    class TestAcme(ConnectorConformance): Harness = AcmeHarness      runs the same under pytest

(`ConnectorConformance` is in `counterflow.sdk.testing.conformance`, the only module here that needs pytest.)
"""

from counterflow.sdk.testing.check import Case, Result, Skipped, Target, cases, harness_of, live, run, run_harness
from counterflow.sdk.testing.harness import CONNECTION, File, Harness

__all__ = [
    "CONNECTION",
    "Case",
    "File",
    "Harness",
    "Result",
    "Skipped",
    "Target",
    "cases",
    "harness_of",
    "live",
    "run",
    "run_harness",
]
