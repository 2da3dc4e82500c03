"""Who could take part: owners with data, costs and budgets drawn from stated distributions.

Each owner is drawn from the seed and its number alone; groups have exactly their shares, in blocks of numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import exp

import numpy as np

from ..records import LEAST_VALUE, NOT_SELLING
from .draws import keyed
from .play import Owner

TOKEN = 10**18
"""Base units of a simulated token."""

MOST = 1e10
"""Of samples or tokens, where nothing else is said."""

_GRAIN = 10**9
"""Drawn amounts are multiples of a billionth of a token: a float has no more digits than that to give."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixed:
    """Always the same."""

    value: float

    def draw(self, rng: np.random.Generator) -> float:
        return self.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Uniform:
    """Anything from `least` to `most`."""

    least: float
    most: float

    def draw(self, rng: np.random.Generator) -> float:
        return float(rng.uniform(self.least, self.most))


@dataclass(frozen=True, slots=True, kw_only=True)
class Lognormal:
    """`median` · exp(`sigma` · standard normal), within `least` and `most`."""

    median: float
    sigma: float
    least: float = 0.0
    most: float = MOST

    def draw(self, rng: np.random.Generator) -> float:
        return min(self.most, max(self.least, self.median * exp(self.sigma * float(rng.standard_normal()))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pareto:
    """Above `least`, with P(more than x) = (least / x)^alpha, cut off at `most`: few have much."""

    least: float
    alpha: float
    most: float = MOST

    def draw(self, rng: np.random.Generator) -> float:
        return float(min(self.most, self.least * (1 - rng.random()) ** (-1 / self.alpha)))


Distribution = Fixed | Uniform | Lognormal | Pareto


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """One kind of owners. Values, costs and budgets are in tokens."""

    name: str
    share: float
    """Its part of all owners, relative to the other groups' shares."""
    samples: Distribution
    value: Distribution
    """What a perfect model would be worth to an owner."""
    value_falls: float = 0.0
    """The value is drawn, then multiplied by (samples / reference_samples)^−this: who has many needs others less. At
    0.5, more samples are worth as much to everybody who has equally many."""
    reference_samples: float = 1_000.0
    cost: Distribution
    """What a copy that is sold really costs its owner."""
    budget: Distribution | None = None
    """What an owner spends on models in all; None, whatever they are worth."""
    buys: bool = True
    sells: bool = True
    clusters: tuple[int, ...] = ()
    """Its owners' clusters, each as likely; none given: all there are."""
    begins: float = 0.0
    """The share of the group that is there in the first round; the others may come later."""
    strategy: str = "truth"
    """How its owners bid: a name in `bidding.STRATEGIES`, or `package.module:function`."""


def sizes(groups: Sequence[Group], owners: int) -> list[int]:
    """How many owners each group has: its share, rounded so that they add up; the largest remainders round up."""
    total = sum(group.share for group in groups)
    exact = [group.share * owners / total for group in groups]
    counts = [int(each) for each in exact]
    rests = sorted(range(len(groups)), key=lambda place: (counts[place] - exact[place], place))
    for place in rests[: owners - sum(counts)]:
        counts[place] += 1
    return counts


@lru_cache(maxsize=4)
def population(groups: tuple[Group, ...], owners: int, clusters: int, seed: int) -> tuple[Owner, ...]:
    """All who could take part, in order of their numbers."""
    people: list[Owner] = []
    for group, count in zip(groups, sizes(groups, owners), strict=True):
        people += [_owner(group, len(people) + each, clusters, seed) for each in range(count)]
    return tuple(people)


def beginners(groups: tuple[Group, ...], owners: int, seed: int) -> frozenset[int]:
    """Who is there in the first round: of each group its stated share, rounded up, drawn."""
    start, chosen = 0, set[int]()
    for place, (group, count) in enumerate(zip(groups, sizes(groups, owners), strict=True)):
        order = keyed(seed, "beginners", place).permutation(count)
        chosen.update(start + int(each) for each in order[: -int(-group.begins * count // 1)])
        start += count
    return frozenset(chosen)


def _owner(group: Group, number: int, clusters: int, seed: int) -> Owner:
    # Each thing from a generator of its own: to change one distribution changes nothing else.
    samples = max(1, round(group.samples.draw(keyed(seed, "samples", number))))
    value = group.value.draw(keyed(seed, "value", number))
    cost = group.cost.draw(keyed(seed, "cost", number))
    place = float(keyed(seed, "cluster of", number).random())
    budget = group.budget.draw(keyed(seed, "budget", number)) if group.budget else None
    value *= (samples / group.reference_samples) ** -group.value_falls
    choice = group.clusters or range(clusters)
    return Owner(
        number,
        value=max(LEAST_VALUE, _units(value)) if group.buys else 0,
        cost=_units(cost) if group.sells else NOT_SELLING,
        samples=samples,
        cluster=choice[int(place * len(choice))],
        group=group.name,
        budget=None if budget is None else _units(budget),
    )


def _units(tokens: float) -> int:
    """Base units, never more than a bid can say."""
    return min(round(tokens * (TOKEN // _GRAIN)) * _GRAIN, NOT_SELLING - 1)
