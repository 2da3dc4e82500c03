"""Small markets of honest owners, on which lies and attacks are tried: the same owners and updates for each of them.

Amounts are stated as shares of the median value, because that is all that matters: a market whose values, costs, fees
and bonds are all ten times as high plays the same.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ..recommended import PARTS, RECOMMENDED
from ..records import LEAST_REPUTATION, ONE, Terms
from ..settlement import settle
from .bidding import View, account, truth
from .draws import keyed
from .play import Clearing, Outcome, Owner, Seat, played, real_gains, seated
from .population import TOKEN, Group, Lognormal, population
from .ratings import answered
from .scenario import Judgement, RoundTerms
from .sketches import Likeness, drawn

MEDIAN_VALUE = 100 * TOKEN
"""What a perfect model is worth to the owner in the middle, base units."""

MEDIAN_COST = 5 * TOKEN
"""What a copy of its model costs the owner in the middle: between 1.3 and 19 tokens for nine in ten."""

MEDIAN_SAMPLES = 500

FOLK = (
    Group(
        name="owners",
        share=1,
        samples=Lognormal(median=MEDIAN_SAMPLES, sigma=0.8, least=50, most=5_000),
        value=Lognormal(median=MEDIAN_VALUE / TOKEN, sigma=0.5),
        cost=Lognormal(median=MEDIAN_COST / TOKEN, sigma=0.8),
    ),
)
"""Who takes part: one owner in twenty has fewer than 134 samples, one in twenty more than 1,860."""

LIKENESS = Likeness(within=0.4, across=0.15, own=0.5)
"""Between the cosines of first rounds, 0.1 to 0.3, and those of late ones, 0.8."""

CLUSTERS = 3
JUDGEMENT = Judgement()


_SMALL = RECOMMENDED["small"]

FLOOR = 0.1
"""Three standard deviations of a sketch's error."""

USUAL: Mapping[str, float] = {
    "fee": _SMALL.fee / PARTS,
    "reveal_bond": _SMALL.reveal_bond / PARTS,
    "max_samples": _SMALL.max_samples_for(MEDIAN_SAMPLES),
    "floor": FLOOR,
    "max_sellers": _SMALL.max_sellers,
}
"""What `round open` proposes for these owners, but for the floor. Amounts are shares of the median value."""


def usual_terms(**changes: float) -> Terms:
    """The usual terms, or others in their place."""
    values = {**USUAL, **changes}
    assert values.keys() == USUAL.keys()
    return RoundTerms(
        fee=round(values["fee"] * 10**6) * (MEDIAN_VALUE // 10**6),
        reveal_bond=round(values["reveal_bond"] * 10**6) * (MEDIAN_VALUE // 10**6),
        max_samples=round(values["max_samples"]),
        floor=round(values["floor"] * ONE),
        max_sellers=round(values["max_sellers"]),
    ).terms


@dataclass(frozen=True, slots=True)
class Town:
    """Owners who meet in one aggregator's rounds."""

    owners: tuple[Owner, ...]
    terms: Terms
    seed: int

    def truthful(self, round_: int) -> list[Seat]:
        """Everybody with one account that says what is true, in a round from 1 on."""
        sketches = updates(self.seed, round_, tuple((each.number, each.cluster) for each in self.owners))
        return [
            truth(owner, View(round_, 0, self.terms, sketch), _NO_DRAWS)[0]
            for owner, sketch in zip(self.owners, sketches, strict=True)
        ]


def town(n: int, seed: int, terms: Terms) -> Town:
    """`n` owners. Terms change nothing about who they are."""
    return Town(population(FOLK, n, CLUSTERS, seed), terms, seed)


@lru_cache(maxsize=512)
def updates(seed: int, round_: int, owners: tuple[tuple[int, int], ...]) -> tuple[bytes, ...]:
    """The sketches of true updates; kept, because every attack meets the same ones."""
    return tuple(drawn(LIKENESS, seed, round_, owners))


def play_round(
    town: Town,
    round_: int,
    seats: Sequence[Seat],
    standing: Mapping[str, int],
    excluded: Collection[int] = (),
) -> Outcome:
    """One round under the market's rule, with the ratings that buyers give."""
    round_record = seated(seats, town.terms, standing, number=round_)
    rows = settle(round_record, frozenset(excluded)).rows
    gains = real_gains(seats, round_record, rows)
    size = 1 + max(seat.owner.number for seat in seats)
    noise = keyed(town.seed, "rating", round_).standard_normal(size)
    rated = answered(seats, round_record, rows, gains, JUDGEMENT, noise, np.zeros(size))
    return played(seats, rated, Clearing(rows), excluded, gains)


def mixed_standing(town: Town) -> dict[str, int]:
    """Reputations as in a market some rounds old: from new to full, spread evenly over the doublings between."""
    draws = keyed(town.seed, "standing", 0).random(len(town.owners))
    return {
        account(owner.number): round(LEAST_REPUTATION * 32**draw)
        for owner, draw in zip(town.owners, draws.tolist(), strict=True)
    }


_NO_DRAWS = np.random.default_rng(0)
"""The truth draws nothing."""
