"""What an owner does in a round: which accounts it takes, what they bid, and with which sketch."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TypeAlias

import numpy as np

from ..errors import BadInput
from ..records import LEAST_VALUE, Terms
from ..terms import deposit_range
from .lines import Line
from .play import Owner, Seat


@dataclass(frozen=True, slots=True)
class View:
    """What an owner knows when it bids, beside its own truth."""

    round: int
    """From 1."""
    aggregator: int
    terms: Terms
    sketch: bytes
    """Of the update that it trained for this round."""
    real: bytes | None = None
    """Of the same update, under a seed by which nobody buys: what it is worth is measured by this one, which is that of
    a seat that names none. None: by `sketch`."""
    left: int | None = None
    """Of its budget, base units; None, it has no limit."""
    standing: Mapping[str, int] | None = None
    """The aggregator's reputations by account, public; who is not in it is new."""
    past: Sequence[Line] = ()
    """What came of its own seats, from the first round on; kept only for strategies other than the truth."""

    @property
    def most_value(self) -> int:
        """The highest value that the terms and what is left allow to bid, base units; 0, nothing can be bought."""
        least, most = deposit_range(self.terms)
        # A unit per seller is what prices can exceed the value by.
        allowed = most - least if self.left is None else min(most - least, self.left - self.terms.max_sellers)
        return allowed if allowed >= LEAST_VALUE else 0


Strategy: TypeAlias = Callable[[Owner, View, np.random.Generator], Sequence[Seat]]
"""One seat or several; none, the owner sits out. What it draws, it draws from the generator that it is given."""


def account(owner: int, which: int = 0) -> str:
    """The address of one of an owner's accounts."""
    return f"0x{which:08x}{owner:032x}"


def whose(account: str) -> tuple[int, int]:
    """An account's owner, and which of its accounts it is."""
    return int(account[10:], 16), int(account[2:10], 16)


def truth(owner: Owner, view: View, rng: np.random.Generator) -> Sequence[Seat]:
    """One account that bids what is true, as far as the terms and its budget allow."""
    bid = owner.truth
    if owner.value > view.most_value:
        bid = type(bid)(view.most_value, bid.cost, bid.samples, bid.min_reputation)
    return (Seat(owner, account(owner.number), bid, view.sketch),)


STRATEGIES: dict[str, Strategy] = {"truth": truth}
"""By the name that a scenario's group gives."""


def strategy(name: str) -> Strategy:
    """The strategy of this name, or what stands at `package.module:function`.

    Raises:
        BadInput: there is none.
    """
    if name in STRATEGIES:
        return STRATEGIES[name]
    module, _, function = name.partition(":")
    try:
        found: Strategy = getattr(import_module(module), function)
    except (ImportError, AttributeError, ValueError):
        known = ", ".join(STRATEGIES)
        raise BadInput(f"there is no strategy {name!r}; there are {known}, or package.module:function") from None
    return found
