"""Which version this is, and of what it depends on."""

from counterflow.cli.shell import Out, dump


def version(*, output: Out = "table") -> None:
    """The version of Counterflow, of Python, and of the database's schema that it brings."""
    import platform

    from counterflow import __version__
    from counterflow.store.migrate import newest

    found = {"counterflow": __version__, "python": platform.python_version(), "schema": newest()}
    if output == "json":
        dump(found)
    else:
        print(*(f"{name} {value}" for name, value in found.items()), sep="\n")
