"""Stories as data: who does what in which outside system, and what they wait for before they do it.

A script holds no behaviour. A player carries its steps out in order: it waits until all conditions of a step hold for
the case that the step names, lets `after_minutes` of the world's time pass, replaces the references in `args`, and
does the act. The oracle reads the same script and never sees the product.

References are late: "$order.name" is the field `name` of what the step named "order" answered, "$case.rma" is a field
of the case as it is then (see `looks.py`), and "order:$order.name" is text with one in it. A path may go through a
list by index, and ends in `tail` where only what follows the last slash is meant: "$order.lines.0.id.tail".
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

PEOPLE = "people"  # the system of what people do at our own console or API; `act` is then the path to post to
CASE = "order:$order.name"  # the reference by which a step's case is found, unless the step says otherwise
_REF = re.compile(r"\$([a-z_]+(?:\.[a-z0-9_]+)*)")


@dataclass(frozen=True, slots=True)
class Sold:
    """A sold line. Money in minor units, tax included; `parts` makes it a kit of as many pieces each."""

    sku: str
    quantity: int
    price_minor: int  # one piece, before the discount
    discount_minor: int = 0  # of the whole line
    promotion: str = ""  # the title of the discount
    serials: tuple[str, ...] = ()
    lot: str = ""
    parts: tuple["Sold", ...] = ()

    @property
    def paid_minor(self) -> int:
        return self.quantity * self.price_minor - self.discount_minor


@dataclass(frozen=True, slots=True)
class Tender:
    """What was paid by one means: `card` (at the provider), `gift_card` or `marketplace`."""

    kind: str
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that has to be true of the case: `kind` is a name in `looks.LOOKS`, `values` what it takes."""

    kind: str
    values: tuple[str | int, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that somebody does.

    `act` is an act of the system's simulator (`POST /<system>/_sim/do/<act>`), or for people the path that is posted
    to, with references. `name` keeps the answer for later steps. `role` is the role of the API key that a person uses.
    """

    system: str
    act: str
    args: Mapping[str, Any] = field(default_factory=dict)
    when: tuple[Condition, ...] = ()
    after_minutes: int = 0
    name: str = ""
    role: str = "agent"
    case: str = CASE


@dataclass(frozen=True, slots=True)
class Story:
    """One customer's story: what was sold in which channel, how it was paid, and everything that people do.

    `channel` is where the return begins: portal, admin (an agent in the shop), store, service (our API), marketplace,
    or blind (goods that nobody announced).
    """

    number: int
    family: str
    channel: str
    currency: str
    lines: tuple[Sold, ...]
    tenders: tuple[Tender, ...]
    steps: tuple[Step, ...]
    shipping_minor: int = 0

    @property
    def title(self) -> str:
        return f"{self.family}-{self.number}"

    @property
    def skus(self) -> frozenset[str]:
        return frozenset(part.sku for line in self.lines for part in (line, *line.parts))

    @property
    def paid_minor(self) -> int:
        return sum(line.paid_minor for line in self.lines) + self.shipping_minor


def bind(value: Any, names: Mapping[str, Any]) -> Any:
    """`value` with its references replaced, in dicts and lists too.

    A text that is nothing but a reference becomes what it names, whatever type that has. Raises KeyError or IndexError
    for a reference to something that is not there: the script is wrong.
    """
    if isinstance(value, str):
        if whole := _REF.fullmatch(value):
            return _follow(whole[1], names)
        return _REF.sub(lambda found: str(_follow(found[1], names)), value)
    if isinstance(value, Mapping):
        return {key: bind(each, names) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [bind(each, names) for each in value]
    return value


def _follow(path: str, names: Mapping[str, Any]) -> Any:
    found: Any = names
    for part in path.split("."):
        if part == "tail":
            found = str(found).rpartition("/")[2]
        else:
            found = found[int(part)] if isinstance(found, list | tuple) else found[part]
    return found
