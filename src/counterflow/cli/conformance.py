"""The conformance kit on one connector."""

from counterflow.cli.failures import FAILED, NOT_FOUND, Stop
from counterflow.cli.shell import Out, show


def conformance(name: str, *, faults: int = 1000, output: Out = "table") -> int:
    """Run every check of the kit on an installed connector, against its own simulator.

    Parameters
    ----------
    name
        The connector, as `counterflow connectors list` prints it.
    faults
        How many random faults the soak goes through, over all commands.
    """
    from counterflow.sdk.testing.check import run

    try:
        results = run(name, faults)
    except LookupError as error:
        raise Stop(NOT_FOUND, str(error).strip("'\"")) from None
    show(results, ("point", "outcome", "case", "message"), output)
    return FAILED if any(result.outcome == "failed" for result in results) else 0
