"""Which sellers can be a buyer's candidates: a look in float64 at all of them, so that the exact rules look at few.

Never leaves out one that matters: whoever it does has provably less merit than `max_sellers` + 1 others, or costs more
than it brings.

The exact rules are `settlement.offers_to` and `mechanism.candidates`: with a shortlist they say the same.
"""

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from market_node.mechanism import believed_samples
from market_node.records import Bid, Round

MOST_BELIEVED = 1 << 46
"""Claims below this, times a similarity, fit int64. Those above are always looked at."""

MARGIN = 2.0**-44
"""Of value and cost: more than float64 gets wrong in a gain, which is ten roundings of 2**-53 each, or in a root."""

UNITS = 4.0
"""Base units: more than the rounding of `mechanism.gain`, which is below two, and that of a small surplus."""

ROOTS = 2.0**-40
"""Roots of base units: more than the rounding of `mechanism.merit`."""


class Shortlist:
    """The sellers of one round."""

    def __init__(self, round: Round, sellers: Collection[int]) -> None:
        """`sellers`: the indices of those that sell at all, in order."""
        max_samples = round.terms.max_samples
        reveals = [reveal for seller in sellers if (reveal := round.participants[seller].reveal) is not None]
        believed = [believed_samples(each.bid.samples, each.reputation, max_samples) for each in reveals]
        self._sellers = np.array(list(sellers), np.int64)
        self._reputations = np.array([each.reputation for each in reveals], np.int64)
        self._costs = np.array([float(each.bid.cost) for each in reveals])
        self._believed = np.array([min(each, MOST_BELIEVED) for each in believed], np.int64)
        self._places = round.terms.max_sellers + 1  # the candidates and the first one left out

    def of(self, buyer: int, bid: Bid, similarities: NDArray[np.int64]) -> list[int]:
        """The indices of sellers, in order, among which are the buyer's candidates and the first one left out.

        Args:
            bid: the buyer's.
            similarities: the buyer's to each participant, 2**16 = 1.
        """
        sizes = (self._believed * similarities[self._sellers]) >> 16
        offering = np.flatnonzero((sizes > 0) & (self._reputations >= bid.min_reputation) & (self._sellers != buyer))
        sizes, costs = sizes[offering].astype(np.float64), self._costs[offering]
        value, samples = float(bid.value), float(bid.samples)
        # v · (1 − √(N / (N + s))), written so that nothing cancels where s is small beside N
        gains = value * (sizes / (samples + sizes)) / (1 + np.sqrt(samples / (samples + sizes)))
        margins = MARGIN * (value + costs) + UNITS
        unknown = self._believed[offering] == MOST_BELIEVED
        possible = unknown | (gains - costs + margins >= 0)
        highest, lowest = _merit(gains + margins, costs, 1), _merit(gains - margins, costs, -1)
        # Who surely is eligible: so many of them with more merit, whatever was rounded, leave no place.
        sure = lowest[~unknown & (gains - costs - margins >= 0)]
        if len(sure) >= self._places:
            possible &= unknown | (highest >= np.partition(sure, -self._places)[-self._places])
        listed: list[int] = self._sellers[offering[possible]].tolist()
        return listed


def _merit(gains: NDArray[np.float64], costs: NDArray[np.float64], towards: int) -> NDArray[np.float64]:
    """√G − √c, at least what `mechanism.merit` says of them where `towards` is 1, at most that where it is −1."""
    roots, paid = np.sqrt(np.maximum(gains, 0)), np.sqrt(costs)
    merits: NDArray[np.float64] = roots - paid + towards * (MARGIN * (roots + paid) + ROOTS)
    return merits
