"""Owners are drawn from what a scenario states, each from its own number."""

from statistics import mean, median

import numpy as np
import pytest

from market_node.records import LEAST_VALUE, NOT_SELLING
from market_node.simulation.population import (
    TOKEN,
    Fixed,
    Group,
    Lognormal,
    Pareto,
    Uniform,
    beginners,
    population,
    sizes,
)

RNG = np.random.default_rng


def group(**changes: object) -> Group:
    plain = {
        "name": "clinics",
        "share": 1.0,
        "samples": Fixed(value=500),
        "value": Fixed(value=50),
        "cost": Fixed(value=1),
    }
    return Group(**{**plain, **changes})


def people(*groups: Group, owners: int = 200, seed: int = 1):
    return population(groups, owners, 4, seed)


@pytest.mark.parametrize(
    ("distribution", "expected"),
    [
        (Fixed(value=3), 3),
        (Uniform(least=2, most=6), 4),
        (Lognormal(median=5, sigma=1.0), 5),
        (Pareto(least=1, alpha=1.0), 2),
    ],
)
def test_medians_are_the_stated_ones(distribution, expected):
    rng = RNG(1)
    assert median(distribution.draw(rng) for _ in range(4_000)) == pytest.approx(expected, rel=0.06)


@pytest.mark.parametrize(
    "distribution", [Lognormal(median=5, sigma=3.0, least=1, most=9), Pareto(least=1, alpha=0.1, most=9)]
)
def test_limits_hold(distribution):
    rng = RNG(1)
    draws = [distribution.draw(rng) for _ in range(500)]
    assert min(draws) >= 1
    assert max(draws) == 9


def test_groups_have_their_shares_and_nobody_is_left_over():
    assert sizes([group(share=1), group(share=1), group(share=1)], 100) == [34, 33, 33]
    assert sizes([group(share=3), group(share=1)], 10) == [8, 2]


def test_an_owner_is_the_same_in_a_larger_population():
    wide = group(samples=Lognormal(median=500, sigma=1), value=Uniform(least=1, most=9))
    assert people(wide, owners=300)[:200] == people(wide, owners=200)


def test_to_change_one_distribution_changes_nothing_else():
    before = people(group(samples=Lognormal(median=500, sigma=1), cost=Uniform(least=0, most=1)))
    after = people(group(samples=Lognormal(median=500, sigma=1), cost=Fixed(value=1)))
    assert [each.samples for each in before] == [each.samples for each in after]
    assert [each.cluster for each in before] == [each.cluster for each in after]


def test_a_value_that_falls_with_samples():
    (owner,) = people(group(samples=Fixed(value=2_000), value_falls=0.5, reference_samples=500), owners=1)
    assert owner.value == 25 * TOKEN  # 50 · (2,000 / 500)^−½


def test_who_does_not_sell_and_who_does_not_buy():
    (buyer,) = people(group(sells=False), owners=1)
    (seller,) = people(group(buys=False), owners=1)
    assert (buyer.cost, seller.value) == (NOT_SELLING, 0)


def test_every_value_can_be_bid():
    (owner,) = people(group(value=Fixed(value=0)), owners=1)
    assert owner.value == LEAST_VALUE


def test_clusters_are_the_groups_or_all():
    assert {each.cluster for each in people(group())} == {0, 1, 2, 3}
    assert {each.cluster for each in people(group(clusters=(1, 3)))} == {1, 3}


def test_of_each_group_its_share_begins():
    groups = (group(begins=0.1), group(begins=0.0), group(begins=1.0))
    chosen = beginners(groups, 300, seed=1)
    assert [len([each for each in chosen if each // 100 == place]) for place in range(3)] == [10, 0, 100]
    assert chosen != beginners(groups, 300, seed=2)


def test_seeds_differ():
    wide = group(samples=Lognormal(median=500, sigma=1))
    assert mean(each.samples for each in people(wide, seed=1)) != mean(each.samples for each in people(wide, seed=2))
