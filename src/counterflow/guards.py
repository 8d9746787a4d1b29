"""Guard cells of policy tables: a CEL expression, compiled, its names and types checked before it may decide.

`core.policy` declares what a guard is; this fills it with the `common-expression-language` package.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice, product

import cel

from counterflow.core.policy import Choice, Column, GuardError

# What CEL offers that is total and cheap. Patterns and time are left out: no use in a policy row, costly or unclear.
_NAMES = """
_>_ _>=_ _<_ _<=_ _==_ _!=_ _&&_ _||_ !_ _?_:_ _+_ _-_ _*_ _/_ _%_ -_ @in size contains startsWith endsWith
"""
_FUNCTIONS = frozenset(_NAMES.split())
_COMBINATIONS_MAX = 512


class CelGuard:
    """One compiled guard; see `compile_guard`."""

    __slots__ = ("_program", "names")

    def __init__(self, program: cel.Program) -> None:
        self._program = program
        self.names = frozenset(program.variables())

    def __call__(self, inputs: Mapping[str, object]) -> bool:
        """The guard's answer; it may raise, or be no bool where types depend on data: then a person is asked."""
        answer: bool = self._program.execute(dict(inputs))
        return answer


def compile_guard(when: str, columns: Mapping[str, Column]) -> CelGuard:
    """Compile a `when` cell over these columns.

    Raises GuardError where it does not parse, reads an unknown name, calls an unknown function, compares what cannot be
    compared, or is no condition. Types are found by trying it on values of every column that it reads.
    """
    try:
        program = cel.compile(when)
    except ValueError as error:
        raise GuardError(" ".join(str(error).split())) from error
    guard = CelGuard(program)
    unknown = sorted(guard.names - set(columns))
    if unknown:
        raise GuardError(f"it reads {', '.join(unknown)}: use the columns of the vocabulary")
    calls = sorted(set(program.functions()) - _FUNCTIONS)
    if calls:
        raise GuardError(
            f"it uses {', '.join(calls)}: use comparisons, arithmetic, in, size, contains, startsWith, endsWith"
        )
    if not guard.names:
        raise GuardError("it reads no input: leave the cell out")
    strange = _strange_words(when, program, [columns[name] for name in guard.names])
    if strange:
        raise GuardError(
            f"it compares with {', '.join(strange)}, which no column that it reads can be: correct the word"
        )
    for inputs in _trials(sorted(guard.names), columns):
        try:
            answer: object = guard(inputs)
        except TypeError as error:
            raise GuardError(f"types do not fit, for {inputs}: {str(error).split(':')[0]}") from error
        except Exception:
            continue  # depends on the data (a division by zero): at run time it asks a person
        if not isinstance(answer, bool):
            raise GuardError(f"it gives {answer!r} and not true or false, for {inputs}")
    return guard


def _strange_words(when: str, program: cel.Program, columns: Iterable[Column]) -> list[str]:
    """Quoted words outside every vocabulary: a misspelt word would only ever be unequal. Parts of words are let be."""
    if {"contains", "startsWith", "endsWith"} & set(program.functions()):
        return []
    known = {word for column in columns if isinstance(column, Choice) for word in column.words}
    return sorted({word for pair in re.findall(r"'([^']*)'|\"([^\"]*)\"", when) for word in pair if word} - known)


def _trials(names: Sequence[str], columns: Mapping[str, Column]) -> Iterable[dict[str, object]]:
    """Each value of each column at least once, and the first combinations of all."""
    axes = [_values(columns[name]) for name in names]
    for turn in range(max(map(len, axes))):
        yield {name: axis[turn % len(axis)] for name, axis in zip(names, axes, strict=True)}
    for values in islice(product(*axes), _COMBINATIONS_MAX):
        yield dict(zip(names, values, strict=True))


def _values(column: Column) -> Sequence[object]:
    return column.words if isinstance(column, Choice) else (column.low, column.low + 1, column.low + 30, column.high)
