"""Ask a table: the first row that holds answers; whatever cannot be decided for sure is left to a person."""

from collections.abc import Iterable, Mapping

from counterflow.core.policy.table import Golden, Hit, PolicySet, Problem, Review, Table
from counterflow.core.policy.vocabulary import FLAGS

# For products of which nothing special is known; merge what is known over it.
NO_FLAGS: Mapping[str, bool] = dict.fromkeys(FLAGS, False)


def evaluate(table: Table, inputs: Mapping[str, object]) -> Hit | Review:
    """The first row whose cells and guard hold.

    `inputs` may hold more than the table reads. None counts as missing. An input that is missing matters only when a
    row's answer depends on it: then, as with a value outside the vocabulary, of the wrong type, or a guard that fails,
    the answer is a Review and never a later row.
    """
    plan = table.plan
    values: dict[str, object] = {}
    for name, kind, vocabulary in plan.inputs:
        value = inputs.get(name)
        if value is None:
            continue
        if type(value) is not kind:
            why = f"{name} is {_shown(value)}, a {type(value).__name__}: send a {kind.__name__}"
            return Review(table.name, "", table.version, why, (name,))
        if value not in vocabulary:
            why = f"{name} is {_shown(value)}, outside the vocabulary of the policy: correct the input or its mapping"
            return Review(table.name, "", table.version, why, (name,))
        values[name] = value

    for row, tests, because in plan.rows:
        missing: list[str] = []
        for name, allowed in tests:
            value = values.get(name)
            if value is None:
                missing.append(name)
            elif value not in allowed:
                break
        else:
            if row.guard is not None:
                missing += sorted(name for name in row.guard.names if name not in values and name not in missing)
            if missing:
                why = f"row {row.id} depends on {', '.join(missing)}, which is not known: supply it"
                return Review(table.name, row.id, table.version, why, tuple(missing))
            if row.guard is None:
                return Hit(table.name, row.id, table.version, row.then, because, values)
            try:
                holds: object = row.guard(values)
            except Exception as error:  # whatever a guard raises, it is a question for a person
                why = f"the guard of row {row.id} failed ({error}): decide by hand and correct its `when`"
                return Review(table.name, row.id, table.version, why)
            if holds is True:
                return Hit(table.name, row.id, table.version, row.then, (*because, row.when), values)
            if holds is not False:
                why = f"the guard of row {row.id} gave {_shown(holds)}, not true or false: correct its `when`"
                return Review(table.name, row.id, table.version, why)
    why = "no row holds for these inputs: add a last row without conditions"
    return Review(table.name, "", table.version, why)


def explain(result: Hit | Review) -> str:
    """One sentence for a person: what was answered, by which row of which version, and why."""
    table, version = result.table.replace("_", " "), f" of {result.version}" if result.version else ""
    if isinstance(result, Review):
        return f"The {table} table{version} asks a person: {result.why}."
    answer = ", ".join(f"{name.replace('_', ' ')} {show(value)}" for name, value in result.outputs.items())
    because = "; ".join(result.because) if result.because else "no earlier row applied"
    seen = ", ".join(f"{name} = {show(value)}" for name, value in result.inputs.items())
    return f"The {table} table{version} answers {answer} by row {result.row}, because {because} (read: {seen or '-'})."


def show(value: object) -> str:
    """A value as people read it: 5.00 EUR, yes, A 0 B 100000."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return " ".join(f"{key} {each}" for key, each in value.items())
    return str(value)


def run_golden(policies: PolicySet) -> list[Problem]:
    """Run the set's golden cases; one Problem for each that does not come out as agreed."""
    problems = []
    for case in policies.golden:
        table = policies.tables.get(case.table)
        if table is None:
            continue  # check says so
        got = _as_expected(evaluate(table, {**NO_FLAGS, **case.inputs}))
        wrong = [
            f"{key} is {show(got.get(key, 'absent'))}, agreed was {show(want)}" for key, want in _differing(case, got)
        ]
        if wrong:
            what = f"row {got['row'] or '-'} of {case.table} answered: {'; '.join(wrong)}"
            next_move = "Correct the row, or agree on the new answer and change the golden case"
            problems.append(Problem("golden", case.name, what, next_move, sample=case.inputs))
    return problems


def _as_expected(result: Hit | Review) -> Mapping[str, object]:
    if isinstance(result, Review):
        return {"row": result.row, "needs_review": True}
    return {**result.outputs, "row": result.row, "needs_review": False}


def _differing(case: Golden, got: Mapping[str, object]) -> Iterable[tuple[str, object]]:
    return [(key, want) for key, want in case.expect.items() if key not in got or got[key] != want]


def _shown(value: object) -> str:
    return repr(value)[:60]
