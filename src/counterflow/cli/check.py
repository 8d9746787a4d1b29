"""The proof: sums and counts that must be equal."""

from typing import Annotated

from cyclopts import App, Parameter

from counterflow.cli.failures import FAILED
from counterflow.cli.shell import desk, dump, plain

app = App(name="check", help="Prove that nothing was lost or doubled.")


@app.command
async def invariants(*, json: Annotated[bool, Parameter(name="--json", negative="")] = False) -> int:
    """Compare the two sides of every invariant over all stored cases; exits 1 if one does not hold.

    Parameters
    ----------
    json
        Print one JSON object: invariants, each with name, holds, left, right and what they are.
    """
    from counterflow.engine.prove import prove

    async with desk() as at:
        found = await prove(at.conn)
    if json:
        dump({"invariants": plain(found)})
    else:
        for each in found:
            print(f"{'holds ' if each.holds else 'BROKEN'}  {each.name}: {each.left} = {each.right}  ({each.what})")
    return 0 if all(each.holds for each in found) else FAILED
