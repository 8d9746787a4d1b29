"""Try to refute what is promised: production code under a virtual clock, with everything that can fail."""

import time
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from counterflow.cli.failures import FAILED, NOT_FOUND, Stop
from counterflow.cli.shell import dump, show

app = App(name="simulate", help="Try to refute the promises: every failure, under a virtual clock, by seed.")

CASES = 4  # stories of one seed, over one world
Json = Annotated[bool, Parameter(name="--json", negative="")]


@app.command
def run(
    *,
    seeds: str = "0..100",
    stories: str = "",
    faults: str = "",
    cases: int = CASES,
    budget: float = 0.0,
    jobs: int = 0,
    database: str = "",
    json: Json = False,
) -> int:
    """Run seeds A..B (B not included); exits 1 when something was refuted.

    Parameters
    ----------
    seeds
        Which, as A..B. One number reproduces a run exactly.
    stories
        Families, separated by commas; without it all of them.
    faults
        Classes or kinds of failures, separated by commas, or none; without it all of them.
    cases
        How many stories a seed plays together in its world: another number is another run.
    budget
        Stop after so many seconds of processor time, of all processes.
    jobs
        How many processes; without it one for each core.
    database
        A PostgreSQL server on which databases may be made; without it some are started that forget on purpose.
    json
        Print one JSON object: seeds, cases, foreseen and unforeseen (ends of stories that were held against the oracle,
        or were not), faults, simulated_days, violations.
    """
    from counterflow.simulate.campaign import Campaign, spread

    first, last = _range(seeds)
    campaign = Campaign(cases, _stories(stories), _faults(faults))
    started, told, days, ran, seconds = time.time(), 0, 0.0, 0, 0.0
    foreseen = stories_told = 0
    fired: Counter[str] = Counter()
    violations = []
    for _, result in spread(campaign, first, last, jobs, database=database, budget=budget):
        ran, told, days, seconds = ran + 1, told + result.cases, days + result.days, seconds + result.seconds
        fired += result.fired
        foreseen, stories_told = foreseen + result.foreseen, stories_told + len(result.stories)
        if not result.holds:
            violations.append({"seed": result.seed, "invariant": result.invariant, "what": result.what})
            if not json:
                print(f"{result.seed}: {result.invariant}: {result.what}", flush=True)
    violations.sort(key=lambda each: int(str(each["seed"])))
    if json:
        dump(
            {
                "seeds": f"{first}..{first + ran}",
                "cases": told,
                "foreseen": foreseen,
                "unforeseen": stories_told - foreseen,
                "faults": dict(sorted(fired.items())),
                "simulated_days": round(days, 1),
                "violations": violations,
                "seconds": round(seconds, 1),
                "elapsed_seconds": round(time.time() - started, 1),
            }
        )
    else:
        print(
            f"{ran} seeds, {told} cases, {fired.total()} failures of {len(fired)} kinds, {days:.0f} days of that "
            f"world in {time.time() - started:.0f} s, {foreseen} of {stories_told} ends held against the oracle: "
            f"{len(violations)} violations"
        )
    return FAILED if violations else 0


@app.command
def replay(
    seed: int,
    *,
    stories: str = "",
    faults: str = "",
    cases: int = CASES,
    database: str = "",
    last: int = 0,
    json: Json = False,
) -> int:
    """Run one seed again and print what happened, turn by turn, and the first invariant that broke.

    Parameters
    ----------
    seed
        Which one. `stories`, `faults` and `cases` have to be those of the run.
    last
        Only so many lines before the end.
    """
    from counterflow.simulate.campaign import quiet
    from counterflow.simulate.ground import stage
    from counterflow.simulate.run import planned

    quiet()
    told, plan = planned(seed, cases, _stories(stories), _faults(faults))
    with stage(database) as made:
        result = made.run(seed, told, plan, trace=True)
    if json:
        dump({"seed": seed, "digest": result.digest, "invariant": result.invariant, "what": result.what,
              "timeline": list(result.trace[-last:])})  # fmt: skip
    else:
        for line in result.trace[-last:]:
            print(line)
        print(f"\nseed {seed}, {', '.join(result.stories)}; {result.turns} turns, digest {result.digest}")
        print(f"{result.invariant}: {result.what}" if not result.holds else "everything holds")
    return 0 if result.holds else FAILED


@app.command
def mutants(*, only: str = "", database: str = "", json: Json = False) -> int:
    """Plant bugs in our own code, one at a time and never on disk, and see what notices them.

    Exits 1 when one survives that nobody has explained.

    Parameters
    ----------
    only
        These, by name, separated by commas; without it all of them.
    database
        A PostgreSQL server on which databases may be made; without it one is started that forgets on purpose.
    json
        Print one JSON object: total, caught, survivors (with what is known of why), verdicts.
    """
    from counterflow.simulate.mutants import MUTANTS
    from counterflow.simulate.planting import Verdict, find, report
    from counterflow.simulate.planting import run as judge

    try:
        chosen = [find(name) for name in _listed(only)] or list(MUTANTS)
    except KeyError as unknown:
        raise Stop(NOT_FOUND, f"there is no mutant {unknown}; the table is simulate/mutants.py") from None

    def tell(verdict: Verdict) -> None:
        if not json:
            print(f"{verdict.name}: {verdict.caught_by or 'SURVIVED'} {verdict.what}".rstrip(), flush=True)

    found = report(judge(chosen, database, tell))
    if json:
        dump(found)
    else:
        print(f"{found['caught']} of {found['total']} caught, {found['caught_by_tests']} of them by tests alone")
        for survivor in found["survivors"]:
            print(f"survived: {survivor['name']}: {survivor['because'] or 'NOT EXPLAINED'}")
    return FAILED if any(not survivor["because"] for survivor in found["survivors"]) else 0


@app.command
def head_to_head(*, seeds: str = "0..100", faults: str = "", database: str = "", json: Json = False) -> int:
    """The same plain returns and failures for Counterflow and for a direct integration; exits 1 when ours went wrong.

    The direct integration is `simulate/direct.py`: signatures checked, repeats dropped, each step noted when it is
    done, keys for the provider, five tries and then a person. Counted are refunds, credit notes and stock moves.

    Parameters
    ----------
    seeds
        Which, as A..B (B not included): one return each.
    faults
        Classes or kinds of failures, separated by commas, or none; without it all that can befall both.
    database
        A PostgreSQL server on which databases may be made; without it one is started that forgets on purpose.
    json
        Print one JSON list: integration, returns, failures, right, lost, doubled, wrong, manual, seeds.
    """
    from counterflow.simulate import head_to_head as both
    from counterflow.simulate.campaign import quiet
    from counterflow.simulate.ground import stage

    quiet()
    (first, last), chosen = _range(seeds), _faults(faults) or both.FAULTS
    with stage(database) as made:
        tallies = both.play(made, first, last, chosen)
    rows = [tally.row() for tally in tallies]
    if json:
        dump([{**row, "seeds": tally.seeds} for row, tally in zip(rows, tallies, strict=True)])
    else:
        show(rows, tuple(rows[0]), "table")
    return FAILED if tallies[1].seeds else 0


@app.command
def exhaustive(
    *,
    pairs: Annotated[bool, Parameter(negative="")] = False,
    stories: str = "",
    faults: str = "",
    each: int = 0,
    state: Path | None = None,
    budget: float = 0.0,
    jobs: int = 0,
    database: str = "",
    json: Json = False,
) -> int:
    """Every boundary with every failure on the core stories, or every two failures; exits 1 when something was refuted.

    Parameters
    ----------
    pairs
        Two failures in one run, of every two kinds.
    faults
        Classes or kinds of failures, separated by commas; without it all of them.
    each
        Of each kind of failure so many boundaries of a story, without it all; of every two kinds so many pairs, or one.
    state
        A file that keeps what was done: the next call goes on where this one stopped.
    budget
        Stop after so many seconds of processor time, of all processes.
    jobs
        How many processes; without it one for each core.
    """
    from counterflow.simulate import exhaustive as every
    from counterflow.simulate.campaign import quiet, spread
    from counterflow.simulate.faults import kinds_of
    from counterflow.simulate.ground import stage

    quiet()
    kept, families, kinds = every.State(state), _stories(stories) or every.CORE, kinds_of(_faults(faults, none=""))
    with stage(database) as made:
        found = every.pairs(made, families, each or 1, kinds) if pairs else every.singles(made, families, each, kinds)
        tasks = list(found)
    left = [task for task in tasks if task.id not in kept.done]
    for number, ran in spread(every.Chosen(left), 0, len(left), jobs, database=database, budget=budget):
        kept.keep(left[number], ran)
        if not ran.holds and not json:
            print(f"{left[number].id}: {ran.invariant}: {ran.what}", flush=True)
    done = [kept.done[task.id] for task in tasks if task.id in kept.done]
    violations = [{key: row[key] for key in ("id", "invariant", "what")} for row in done if row["invariant"]]
    fired = sum(1 for row in done if row["fired"])
    if json:
        dump({"all": len(tasks), "done": len(done), "with_failures": fired,
              "simulated_days": round(sum(row["days"] for row in done), 1), "violations": violations})  # fmt: skip
    else:
        print(f"{len(done)} of {len(tasks)} runs done, {fired} with their failures: {len(violations)} violations")
    return FAILED if violations else 0


def _range(text: str) -> tuple[int, int]:
    first, dots, last = text.partition("..")
    if not dots or not first.isdigit() or not last.isdigit():
        raise Stop(2, f"{text!r} is no range of seeds: give it as 0..100")
    return int(first), int(last)


def _stories(text: str) -> tuple[str, ...]:
    from counterflow.simulate.families import FAMILIES

    return _known(text, FAMILIES, "family of stories")


def _faults(text: str, none: str = "none") -> tuple[str, ...]:
    """`none`: what stands for no failure at all, where that may be."""
    from counterflow.simulate.faults import CLASSES, KINDS

    return (none,) if none and text == none else _known(text, (*CLASSES, *KINDS), "class or kind of failure")


def _known(text: str, known: Collection[str], what: str) -> tuple[str, ...]:
    names = _listed(text)
    if unknown := [name for name in names if name not in known]:
        raise Stop(NOT_FOUND, f"there is no {what} {unknown[0]!r}: take some of {', '.join(known)}")
    return names


def _listed(text: str) -> tuple[str, ...]:
    return tuple(filter(None, text.split(",")))
