"""`python -m benchmarks [name ...]`: all figures, or those of the named modules; `odoo --url ...` for a real Odoo."""

import asyncio
import sys

from benchmarks import engine, intake, lab, odoo, replay, simulation, waiting, wake

BENCHES = {
    "engine": engine.bench,
    "intake": intake.bench,
    "wake": wake.bench,
    "waiting": waiting.bench,
    "replay": replay.bench,
    "simulation": simulation.bench,
}


async def main(names: list[str]) -> None:
    with lab.server() as url:
        for name in names or BENCHES:
            await BENCHES[name](url)


if __name__ == "__main__":
    if sys.argv[1:2] == ["odoo"]:
        odoo.main(sys.argv[2:])
    else:
        asyncio.run(main(sys.argv[1:]))
