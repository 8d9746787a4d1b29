"""The command line: one module per noun, loaded when its command is called.

Exit codes: 0 ok, 1 a check failed, 2 usage, 3 not found, 4 denied, 5 conflict, 6 a partner is unavailable.
"""

import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError

from counterflow import __version__

app = App(
    name="counterflow",
    help="Returns, inventory and finance in step between retail systems and Odoo.",
    version=__version__,
    version_flags=["--version"],
    exit_on_error=False,
    print_error=False,
    result_action="return_value",
)

# command -> where it lives, and its line on the help page: nothing is loaded until it is called
COMMANDS = {
    "demo": ("demo:demo", "Tell the storylines in a simulated world and prove the sums."),
    "simulate": ("simulate:app", "Try to refute the promises: every failure, under a virtual clock, by seed."),
    "init": ("init:init", "Make a new installation: configuration, policies, keys."),
    "serve": ("run:serve", "Run the API, and workers beside it."),
    "worker": ("run:worker", "Run one worker."),
    "doctor": ("doctor:doctor", "Check the installation from end to end."),
    "case": ("case:app", "Find a return case, read it, retry, cancel, note."),
    "exceptions": ("exceptions:app", "What needs a person: list, show, retry, park, discard, resolve."),
    "deliveries": ("deliveries:app", "What arrived, raw, and what was made of it."),
    "sweep": ("sweep:sweep", "Read feeds now: what webhooks have lost is found."),
    "replay": ("replay:replay", "Decide the whole log again and compare."),
    "check": ("check:app", "Prove that nothing was lost or doubled."),
    "audit": ("audit:app", "Verify and export the log."),
    "policy": ("policy:app", "List, check, test and explain policies."),
    "connectors": ("connectors:app", "Which systems can be connected."),
    "conformance": ("conformance:conformance", "Run the conformance kit on one connector."),
    "odoo": ("odoo:app", "The fast lane's procedure in Odoo: install, remove."),
    "workflow": ("workflow:app", "The state machines of a case."),
    "keys": ("keys:app", "API keys: create, list, revoke."),
    "version": ("version:version", "Which version this is."),
}
for name, (where, line) in COMMANDS.items():
    app.command(f"counterflow.cli.{where}", name=name, help=line, sort_key=list(COMMANDS).index(name))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and leave with its exit code."""
    sys.exit(run(list(sys.argv[1:] if arguments is None else arguments)))


def run(arguments: list[str]) -> int:
    """Run one command; its exit code. Errors are one line on standard error that names the next move."""
    try:
        result = app(arguments)
    except CycloptsError as error:
        print(f"counterflow: {_one_line(error)}: see `counterflow {_command(arguments)}--help`", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        sys.stderr.close()  # whoever read us has gone: nobody is left to tell
        return 0
    except Exception as error:
        from counterflow.cli.failures import explained

        code, said = explained(error)
        if code is None:
            raise
        print(f"counterflow: {said}", file=sys.stderr)
        return code
    return result if isinstance(result, int) else 0


def _one_line(error: CycloptsError) -> str:
    return " ".join(str(error).split()).rstrip(".")


def _command(arguments: Sequence[str]) -> str:
    return f"{arguments[0]} " if arguments and arguments[0] in COMMANDS else ""
