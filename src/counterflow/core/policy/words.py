"""Cells in words, the same for a person's explanation and for the printed file."""

from collections.abc import Iterable

from counterflow.core.policy.vocabulary import COUNTRY_GROUPS, Column, Span


def in_words(name: str, cell: frozenset[str] | frozenset[bool] | tuple[int, int], column: Column) -> str:
    """'country is DE or FR', 'days since delivery at most 30', 'not final sale'."""
    label = name.replace("_", " ")
    if isinstance(cell, tuple):
        low, high = cell
        if low == high:
            return f"{label} is {low}"
        if isinstance(column, Span) and low == column.low:
            return f"{label} at most {high}"
        if isinstance(column, Span) and high == column.high:
            return f"{label} at least {low}"
        return f"{label} from {low} to {high}"
    if cell == frozenset({True}):
        return label
    if cell == frozenset({False}):
        return f"not {label}"
    return f"{label} is {' or '.join(grouped(name, cell))}"


def grouped(name: str, words: Iterable[str | bool]) -> list[str]:
    """Words in a fixed order, all members of a country group under the group's name."""
    left = {str(word) for word in words}
    names: list[str] = []
    if name == "country":
        for group, members in COUNTRY_GROUPS.items():
            if members <= left:
                names.append(group)
                left -= members
    return names + sorted(left)
