"""What attackers earn in small markets, beside the same owners playing honestly."""

from functools import partial
from statistics import mean

import pytest

from market_node.simulation.attacks import ATTACKS, Attack, clones, honest, overstates
from market_node.simulation.damage import Damage, copies, damage
from market_node.simulation.trial import MEDIAN_SAMPLES, town, usual_terms

SEEDS = (0, 1)
OWNERS, ROUNDS = 10, 4


def earned(attack: Attack, **changes: object) -> Damage:
    """After the last round."""
    options = {key: changes.pop(key) for key in ("exclude_copies", "samples", "rounds", "buys") if key in changes}
    options = {"rounds": ROUNDS, **options}
    terms = usual_terms(**changes)
    return damage(attack, terms, SEEDS, owners=OWNERS, **options)[options["rounds"]]


def test_the_truth_gains_nothing_over_the_truth():
    found = earned(Attack("", honest))
    assert found.gained == found.cost == (0.0, 0.0)


@pytest.mark.parametrize("name", ATTACKS)
def test_every_attack_can_be_played(name):
    assert len(earned(ATTACKS[name], rounds=1).gained) == len(SEEDS)


def test_more_samples_than_one_has_gain_where_the_limit_is_high():
    assert mean(earned(ATTACKS["samples × 10"], max_samples=64 * MEDIAN_SAMPLES).gained) > 0.05


def test_more_samples_than_one_has_gain_nothing_below_the_limit():
    assert max(earned(ATTACKS["samples × 10"], max_samples=MEDIAN_SAMPLES).gained) <= 0


def test_the_fee_has_no_say_in_what_a_seller_claims():
    options = {"max_samples": 64 * MEDIAN_SAMPLES, "buys": False}
    low, high = (earned(ATTACKS["samples × 10"], fee=fee, **options) for fee in (0.01, 0.05))
    assert mean(low.gained) == pytest.approx(mean(high.gained), abs=0.01)


def test_clones_pay():
    assert min(earned(ATTACKS["5 clones"]).gained) > 0


def test_clones_earn_nothing_where_identical_updates_are_excluded():
    assert max(earned(ATTACKS["5 clones"], exclude_copies=True).gained) < 0


def test_noise_hides_a_clone_from_an_aggregator_that_looks_for_identical_ones():
    assert min(earned(ATTACKS["5 noisy clones"], exclude_copies=True).gained) > 0


def test_a_fee_above_what_a_newcomer_earns_ends_clones():
    assert max(earned(ATTACKS["5 noisy clones"], fee=0.3).gained) < 0


def test_noise_sells_nothing():
    gained = earned(ATTACKS["garbled models"]).gained
    assert max(gained) < 0


def test_an_option_on_the_best_bid_costs_more_than_it_brings():
    assert max(earned(ATTACKS["best of 3 bids"]).gained) < 0


def test_an_aggregator_that_passes_empty_sketches_earns_and_its_buyers_pay():
    found = earned(ATTACKS["empty sketches"])
    assert min(found.gained) > 0
    assert min(found.cost) > 0


def test_an_owner_that_is_new_each_round_earns_no_more_by_the_truth():
    assert max(earned(ATTACKS["new account"], rounds=6).gained) <= 0


def test_identical_updates_are_found_whoever_offers_them():
    seats = town(4, 0, usual_terms()).truthful(1)
    twin = type(seats[0])(seats[3].owner, "0xtwin", seats[3].bid, seats[0].sketch)
    assert copies([*seats, twin]) == {"0xtwin"}
    assert copies(seats) == frozenset()


def test_attackers_meet_the_same_world_whatever_they_do():
    two, ten = Attack("", partial(overstates, times=2)), Attack("", partial(clones, accounts=2, noise=0.0))
    terms = usual_terms()
    first, second = (damage(each, terms, SEEDS, owners=OWNERS, rounds=1) for each in (two, ten))
    assert first[1].gained != second[1].gained
    assert damage(two, terms, SEEDS, owners=OWNERS, rounds=1) == first
