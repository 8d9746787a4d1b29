"""The state machines, drawn."""

from typing import Literal

from cyclopts import App

app = App(name="workflow", help="The state machines of a case.")


@app.command
def graph(*, axis: Literal["status", "goods", "money", "intent", "leg", "books", "exchange"] | None = None) -> None:
    """Print state machines as Mermaid diagrams.

    Parameters
    ----------
    axis
        Only this one; without it all of them, each after a comment with its name.
    """
    from counterflow.core.returns.states import AXES, mermaid

    if axis is not None:
        print(mermaid(axis))
        return
    for name in AXES:
        print(f"%% {name}\n{mermaid(name)}\n")
