"""Connectors: which kinds of systems this installation can speak to."""

from cyclopts import App

from counterflow.cli.shell import Out, show

app = App(name="connectors", help="Which systems can be connected.")


@app.command(name="list")
def list_(*, output: Out = "table") -> None:
    """Every installed connector, ours and others'."""
    from counterflow.configuration import makers

    rows = []
    for name, maker in sorted(makers().items()):
        manifest = maker.manifest
        rows.append(
            {
                "name": name,
                "title": manifest.title,
                "roles": list(manifest.roles),
                "commands": sorted(manifest.commands),
                "feeds": [feed.name for feed in manifest.feeds],
                "topics": list(manifest.topics),
                "docs": manifest.docs,
            }
        )
    show(rows, ("name", "title", "roles", "feeds"), output, "No connector is installed.")
