"""The simulated retail world, told and proven."""

from typing import Annotated

from cyclopts import Parameter

from counterflow.cli.failures import FAILED, NOT_FOUND, Stop
from counterflow.cli.shell import dump


async def demo(*story: str, json: Annotated[bool, Parameter(name="--json", negative="")] = False) -> int:
    """Tell the storylines against simulated systems with duplicates and reordering on, and prove the sums.

    Parameters
    ----------
    story
        Only these; without any all of them.
    json
        Print one JSON object: stories, invariants, calls, seconds.
    """
    from counterflow.sandbox.demo import demo as play
    from counterflow.sandbox.stories import STORIES

    if strange := [name for name in story if name not in STORIES]:
        raise Stop(NOT_FOUND, f"there is no story {', '.join(strange)}; there are: {', '.join(STORIES)}")
    report = await play(story)
    if json:
        dump(report.as_json())
        return 0 if report.holds else FAILED
    for told in report.stories:
        cases = len(told.cases)
        how = f"NOT AS IT SHOULD: {told.error}" if told.error else f"{told.resolved} resolved, {told.closed} closed"
        print(f"{told.name:32} {cases} case{'s' if cases != 1 else ' '}  {how}, {told.open_exceptions} open exceptions")
    print()
    for each in report.invariants:
        print(f"{'holds ' if each['holds'] else 'BROKEN'}  {each['name']}: {each['left']} = {each['right']}")
    calls = ", ".join(f"{name} {count}" for name, count in report.calls.items())
    print(f"\n{report.world_days:.1f} days of that world in {report.seconds:.1f} s; calls: {calls}")
    return 0 if report.holds else FAILED
