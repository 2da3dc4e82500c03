"""The best choice: every set against a slower look at every set, and the bound against both."""

from random import Random

import oracle
import pytest
from test_designs import RULES, bought

from market_node.mechanism import Offer, gain
from market_node.simulation.designs.buyer import Buyer
from market_node.simulation.optimum import bound, capped_bound, exchanged, greatest, welfare

TOKEN = 10**18


def random_market(rng, n):
    value = rng.choice([1 << 20, 100 * TOKEN, rng.randrange(1 << 20, 1 << 95)])
    samples = rng.choice([1, 100, 3_000, rng.randint(1, 10**6)])
    sizes = [rng.randint(1, 2 * samples) for _ in range(n)]
    costs = [gain(value, samples, size) * rng.choice([0, rng.randrange(120), 100]) // 100 for size in sizes]
    return value, samples, [Offer(*each) for each in zip(range(n), costs, sizes, strict=True)]


@pytest.mark.parametrize("max_sellers", [1, 2, 4, 32])
def test_the_greatest_is_that_of_all_combinations(max_sellers):
    rng = Random(max_sellers)
    for _ in range(60):
        value, samples, offers = random_market(rng, rng.randint(0, 7))
        chosen = greatest(value, samples, offers, max_sellers)
        assert len(chosen) <= max_sellers
        assert welfare(value, samples, chosen) == oracle.greatest_welfare(value, samples, offers, max_sellers)


def test_the_bound_is_never_below_the_greatest_nor_that_below_any_design():
    rng = Random(5)
    reached, possible, bounded = 0, 0, 0
    for _ in range(60):
        value, samples, offers = random_market(rng, 8)
        max_sellers = rng.choice([2, 8])
        best = welfare(value, samples, greatest(value, samples, offers, max_sellers))
        assert bound(value, samples, offers) >= best
        buyer = Buyer(99, value, samples, tuple(offers), max_sellers, bytes(32))
        for rule in RULES.values():
            assert welfare(value, samples, bought(buyer, rule(buyer).row)) <= best
        if max_sellers == 8:
            possible += best / value
            bounded += bound(value, samples, offers) / value
            reached += 1
    assert reached > 20
    assert bounded < 1.1 * possible  # and not far above it where the cap does not bind


def test_the_bound_of_sellers_without_costs_is_all_that_they_bring():
    offers = [Offer(i, 0, 500) for i in range(8)]
    exact = gain(100 * TOKEN, 1_000, 4_000)
    assert exact <= bound(100 * TOKEN, 1_000, offers) <= exact * (1 + 2.0**-38)


def test_where_no_sample_is_worth_its_cost_the_bound_is_nothing_but_rounding():
    assert bound(100 * TOKEN, 1_000, [Offer(0, 60 * TOKEN, 1_000)]) <= 100 * TOKEN >> 39
    assert greatest(100 * TOKEN, 1_000, [Offer(0, 60 * TOKEN, 1_000)], 8) == []
    assert bound(100 * TOKEN, 1_000, []) <= 100 * TOKEN >> 39


def test_the_capped_bound_is_never_below_the_greatest_of_so_many():
    rng = Random(6)
    possible, bounded, uncapped = 0.0, 0.0, 0.0
    for _ in range(60):
        value, samples, offers = random_market(rng, 9)
        max_sellers = rng.choice([1, 2, 3])
        best = welfare(value, samples, greatest(value, samples, offers, max_sellers))
        capped = capped_bound(value, samples, offers, max_sellers)
        assert best <= capped <= bound(value, samples, offers)
        possible, bounded = possible + best / value, bounded + capped / value
        uncapped += bound(value, samples, offers) / value
    assert bounded < 1.05 * possible and uncapped > 1.1 * possible


def test_exchanges_end_between_ours_and_the_greatest():
    rng = Random(7)
    ours, best, bettered = 0.0, 0.0, 0.0
    for _ in range(60):
        value, samples, offers = random_market(rng, 9)
        max_sellers = rng.choice([1, 2, 3])
        buyer = Buyer(99, value, samples, tuple(offers), max_sellers, bytes(32))
        row = welfare(value, samples, bought(buyer, RULES["market"](buyer).row))
        found = exchanged(value, samples, offers, max_sellers)
        most = welfare(value, samples, greatest(value, samples, offers, max_sellers))
        assert len(found) <= max_sellers
        assert row <= welfare(value, samples, found) <= most
        ours, best, bettered = (
            ours + row / value,
            best + most / value,
            bettered + welfare(value, samples, found) / value,
        )
    assert ours < bettered and bettered > 0.99 * best
