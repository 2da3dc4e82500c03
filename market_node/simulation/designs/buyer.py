"""One buyer and what it is offered: all that a design which clears row by row looks at."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...mechanism import Offer, gain
from ...records import Round, Row
from ...settlement import offers_to, revealed, sellers, sketches, trades
from ...shortlist import Shortlist
from ...sketch import similarity_matrix
from ..play import Clearing


@dataclass(frozen=True, slots=True)
class Buyer:
    """A participant that buys, with the offers of everybody that it would buy from."""

    index: int
    value: int
    """Bid, base units; more than 0."""
    samples: int
    offers: tuple[Offer, ...]
    """In index order; minReputation, exclusions and the buyer itself are seen to."""
    max_sellers: int
    seed: bytes
    """The round's."""

    def gain(self, imported: int) -> int:
        return gain(self.value, self.samples, imported)


@dataclass(frozen=True, slots=True)
class Deal:
    """What a design makes of one buyer."""

    row: Row = ()
    subsidy: int = 0
    """What somebody from outside pays of it."""


Design = Callable[[Round, frozenset[int]], Clearing]
"""Of a round and who is excluded."""

Rule = Callable[[Buyer], Deal]
"""A design that looks at one buyer after the other."""


def buyers(
    round_: Round, excluded: frozenset[int], alike: NDArray[np.int64] | None = None, *, shortlisted: bool = False
) -> Iterator[Buyer]:
    """Everybody that trades and has a use for a model, in index order.

    Args:
        alike: the round's similarities, where they are known.
        shortlisted: whether the offers may be only those that can be among the candidates of our rule.
    """
    if alike is None:
        alike = similarity_matrix(sketches(round_), round_.terms.similarity_floor)
    selling = sellers(round_, excluded)
    shortlist = Shortlist(round_, selling)
    for index in range(len(round_.participants)):
        if trades(round_, excluded, index) and (bid := revealed(round_, index).bid).value > 0:
            among = shortlist.of(index, bid, alike[index]) if shortlisted else selling
            offers = tuple(offers_to(index, round_, excluded, alike[index].tolist(), among))
            yield Buyer(index, bid.value, bid.samples, offers, round_.terms.max_sellers, round_.seed or bytes(32))


def cleared(count: int, deals: dict[int, Deal]) -> Clearing:
    """The clearing of a round of `count` participants from its buyers' deals."""
    subsidies = {index: deal.subsidy for index, deal in deals.items() if deal.subsidy}
    return Clearing(tuple(deals[index].row if index in deals else () for index in range(count)), subsidies)


def by_rows(rule: Rule, *, shortlisted: bool = False) -> Design:
    """The design that follows a rule for each buyer. `shortlisted`: the rule looks at candidates alone."""

    def design(round_: Round, excluded: frozenset[int]) -> Clearing:
        deals = {buyer.index: rule(buyer) for buyer in buyers(round_, excluded, shortlisted=shortlisted)}
        return cleared(len(round_.participants), deals)

    return design
