"""The simulated retail world, told and proven."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from counterflow.cli.failures import CONFLICT, FAILED, NOT_FOUND, Stop
from counterflow.cli.shell import dump


async def demo(
    *story: str, json: Annotated[bool, Parameter(name="--json", negative="")] = False, keep: Path | None = None
) -> int:
    """Tell the storylines against simulated systems with duplicates and reordering on, and prove the sums.

    Parameters
    ----------
    story
        Only these, with their timelines; without any all of them.
    json
        Print one JSON object: stories, invariants, calls, seconds.
    keep
        A new directory in which the world stays afterwards: it is a COUNTERFLOW_HOME to look around in.
    """
    from counterflow.sandbox.demo import demo as play
    from counterflow.sandbox.stories import title, told_here

    stories = told_here()
    if strange := [name for name in story if name not in stories]:
        raise Stop(NOT_FOUND, f"there is no story {', '.join(strange)}; there are: {', '.join(stories)}")
    if keep is not None and keep.exists() and any(keep.iterdir()):
        raise Stop(CONFLICT, f"{keep} is not empty: name a new directory")
    report = await play(story, home=keep)
    if json:
        dump(report.as_json())
        return 0 if report.holds else FAILED
    for told in report.stories:
        cases = len(told.cases)
        how = f"NOT AS IT SHOULD: {told.error}" if told.error else f"{told.resolved} resolved, {told.closed} closed"
        print(f"{told.name}: {title(stories[told.name])}")
        print(f"    {cases} case{'s' if cases != 1 else ''}, {how}, {told.open_exceptions} open exceptions")
        for line in told.told if story else ():
            print(f"    {line}")
    print("\nThe proof: what the cases say, against the log and what the outside systems hold")
    for each in report.invariants:
        verdict = "holds " if each["holds"] else "BROKEN"
        print(f"{verdict}  {each['name']:16} {each['left']:>9} {each['right']:>9}  {each['what']}")
    calls = ", ".join(f"{name} {count}" for name, count in report.calls.items())
    print(f"\n{report.world_days:.1f} days of that world in {report.seconds:.1f} s; calls: {calls}")
    return 0 if report.holds else FAILED
