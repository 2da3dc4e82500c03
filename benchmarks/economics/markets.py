"""Seeded rounds to measure: families of markets that differ in one respect each. Everybody bids what is true."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import exp

import numpy as np

from market_node.records import NOT_SELLING, ONE, Round, Terms
from market_node.simulation.draws import keyed
from market_node.simulation.play import Owner, Seat, seated
from market_node.simulation.sketches import Likeness, drawn

TOKEN = 10**18
SEEDS = range(5)

TERMS = Terms(
    task=bytes(32),
    fee=TOKEN // 10,
    reveal_bond=100 * TOKEN,
    bond=1_600 * TOKEN,
    max_samples=4_000,
    similarity_floor=ONE // 10,
    max_sellers=32,
    max_participants=128,
    commit_deadline=0,
    draw_time=3_600,
    reveal_time=3_600,
    settle_time=3_600,
    challenge_time=3_600,
    refute_time=3_600,
)

FIRST_SAMPLE = 0.05
"""Tokens: what the first effective sample is worth to the owner in the middle, of value 100 and 1,000 samples."""

ALIKE = Likeness(within=0.5, across=0.5, own=0.5)

Draw = Callable[[np.random.Generator], float]


@dataclass(frozen=True, kw_only=True)
class Family:
    """How owners are drawn."""

    says: str
    max_sellers: int | None = None
    """None: as it is asked for."""
    clusters: int = 1
    likeness: Likeness = ALIKE
    value: Draw = lambda rng: rng.uniform(50, 150)
    """Tokens."""
    samples: Draw = lambda rng: 1_000 * exp(rng.normal(0, 0.6))
    dearness: Draw = lambda rng: exp(rng.normal(-1.2, 0.8))
    """What a copy must bring, per sample that it brings an alike buyer, in parts of `FIRST_SAMPLE`."""


FAMILIES = {
    "everyday": Family(says="costs of a third of the first sample's worth, sizes within a factor of two"),
    "dear": Family(
        says="costs at 30 to 100 % of what the first sample is worth", dearness=lambda rng: rng.uniform(0.3, 1)
    ),
    "capped": Family(says="as everyday, at most 3 sellers a row", max_sellers=3),
    "clusters": Family(
        says="three kinds of data that are of no use to each other",
        clusters=3,
        likeness=Likeness(within=0.6, across=0.05, own=0.5),
    ),
    "heavy tails": Family(
        says="sizes and values of companies: a few have most",
        value=lambda rng: 60 * exp(rng.normal(0, 1)),
        samples=lambda rng: 300 * (1 + rng.pareto(1.2)),
    ),
}


def market(name: str, seed: int, number: int, n: int, max_sellers: int = 32) -> Round:
    """One round of a family."""
    return with_seats(name, seed, number, n, max_sellers)[1]


def with_seats(name: str, seed: int, number: int, n: int, max_sellers: int = 32) -> tuple[list[Seat], Round]:
    """And who sits in it. One in eight only sells, one in eight only buys; reputations are a quarter to all."""
    family = FAMILIES[name]
    rng = keyed(seed, f"market {name}", number, n)
    owners = [_owner(family, rng, index) for index in range(n)]
    sketches = drawn(family.likeness, seed * 10_000 + number, 1, [(owner.number, owner.cluster) for owner in owners])
    seats = [
        Seat(owner, f"0x{owner.number + 1:040x}", owner.truth, sketch)
        for owner, sketch in zip(owners, sketches, strict=True)
    ]
    standing = {seat.account: int(rng.choice([ONE // 4, ONE // 2, ONE])) for seat in seats}
    terms = replace(TERMS, max_sellers=family.max_sellers or max_sellers)
    return seats, seated(seats, terms, standing, number=number, seed=rng.bytes(32))


def _owner(family: Family, rng: np.random.Generator, index: int) -> Owner:
    samples = max(50, min(1_000_000, int(family.samples(rng))))
    alike = (family.likeness.within - 0.1) / 0.9
    dear = family.dearness(rng) * FIRST_SAMPLE * min(samples, TERMS.max_samples) * alike
    value, kind = family.value(rng), rng.random()
    return Owner(
        index,
        value=0 if kind < 1 / 8 else int(value * 10**6) * 10**12,
        cost=NOT_SELLING if kind > 7 / 8 else int(dear * 10**6) * 10**12,
        samples=samples,
        cluster=int(rng.integers(family.clusters)),
    )
