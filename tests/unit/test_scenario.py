"""The demo's cast and terms fit each other, and three rounds without a chain show what the demo is to show."""

from dataclasses import replace
from itertools import combinations

import pytest
import torch

from benchmarks.demo_learning import evaluate, terms_of
from market_node.data import CLASSES
from market_node.errors import BadInput
from market_node.fixed import update_of
from market_node.learning import weights_of
from market_node.records import LEAST_REPUTATION, NOT_SELLING, ONE
from market_node.scenario import HOLDOUT, TRAINING, demo_scenario, noise
from market_node.sketch import cosine, sketch
from market_node.terms import deposit_needed, deposit_range
from market_node.weights import flatten, manifest_of

pytestmark = pytest.mark.usefixtures("one_thread")

scenario = demo_scenario()
cast = {actor.name: actor for actor in scenario.actors}


@pytest.fixture(scope="module")
def played():
    return evaluate(seed=0, dataset="digits")


# --- the cast ---


def test_nine_owners_take_part_in_three_rounds():
    assert (len(cast), scenario.rounds) == (9, 3)


def test_among_them_are_a_pure_buyer_a_pure_seller_a_free_rider_and_a_liar():
    assert [name for name, actor in cast.items() if actor.bid.cost == NOT_SELLING] == ["fjord"]
    assert [name for name, actor in cast.items() if actor.bid.value == 0] == ["iris"]
    assert [name for name, actor in cast.items() if actor.offers_noise] == ["coral"]
    assert [name for name, actor in cast.items() if actor.asks != actor.cost] == ["ember"]
    assert [name for name, actor in cast.items() if not actor.is_honest] == ["coral", "ember"]


def test_the_three_groups_mostly_see_different_classes():
    groups = {actor.group: actor.shares for actor in scenario.actors}
    assert len(groups) == 3
    for one, other in combinations(groups.values(), 2):
        assert not any(a > 1 and b > 1 for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("seed", range(10))
def test_every_owner_has_130_pictures_to_train_on_and_35_to_hold_out(seed):
    for owner in demo_scenario(seed).owners():
        assert (len(owner.training), len(owner.holdout)) == (TRAINING, HOLDOUT)
        assert set(owner.test.labels.tolist()) == set(range(CLASSES))


def test_an_unknown_data_set_is_named():
    with pytest.raises(BadInput, match="'cifar'"):
        demo_scenario(0, "cifar")


# --- the terms ---


def test_a_deposit_can_cover_every_value():
    terms = terms_of(scenario)
    assert all(deposit_needed(terms, actor.bid) <= deposit_range(terms)[1] for actor in scenario.actors)


def test_the_bond_is_one_that_the_market_takes():
    assert scenario.bond >= 16 * scenario.reveal_bond


def test_a_newcomer_is_believed_about_what_an_honest_one_has_and_no_more():
    believed = LEAST_REPUTATION * scenario.max_samples // ONE
    assert 0.95 * TRAINING < believed <= TRAINING


# --- noise ---


def test_noise_moves_each_tensor_as_far_as_training_did():
    base = {"w": torch.zeros(400, 100), "b": torch.ones(10_000)}
    model = {"w": torch.full((400, 100), 0.3), "b": torch.full((10_000,), 1.02)}
    offered = noise(base, model, seed=1)
    assert offered["w"].std().item() == pytest.approx(0.3, rel=0.02)
    assert (offered["b"] - 1).std().item() == pytest.approx(0.02, rel=0.05)


def test_noise_stays_below_the_floor():
    training = scenario.trainings(scenario.owners())[0]
    base = weights_of(training.build_model())
    manifest, model = manifest_of(base), training.build_model()
    training.train(model, training.shares.training, seed=0)
    fixed, honest = flatten(base, manifest), weights_of(model)
    for seed in range(40):
        key = bytes([seed]) * 32
        sketches = [
            sketch(update_of(flatten(weights, manifest), fixed), key) for weights in (honest, noise(base, honest, seed))
        ]
        assert cosine(*sketches) < scenario.similarity_floor


# --- three rounds ---


def test_the_market_raises_the_mean_accuracy(played):
    assert played.after[played.trained].mean() > played.alone[played.trained].mean() + 1


def test_every_honest_buyer_buys(played):
    honest = [account for account in played.accounts if account.actor.is_honest and account.actor.is_buyer]
    assert all(account.bought for account in honest)
    assert len(honest) == 6


def test_who_does_not_buy_learns_what_it_learns_alone(played):
    iris = list(cast).index("iris")
    assert played.after[iris] == played.alone[iris]


def test_noise_earns_at_most_a_thousandth_of_what_any_honest_seller_earns(played):
    coral = next(account for account in played.accounts if account.actor.offers_noise)
    honest = [a.earned for a in played.accounts if a.actor.is_honest and a.actor.cost != NOT_SELLING]
    assert 1000 * coral.earned <= min(honest)
    assert min(honest) > 0
    assert coral.bought == 0


def test_no_seller_is_paid_less_than_it_asks(played):
    for round_ in played.rounds:
        for row in round_.settlement.rows:
            assert all(purchase.price >= scenario.actors[purchase.seller].asks for purchase in row)


def test_the_same_seed_plays_the_same_rounds(played):
    again = evaluate(seed=0, dataset="digits")
    assert again.rounds == played.rounds
    assert torch.equal(again.after, played.after)


def test_another_seed_plays_others():
    ones = demo_scenario(0), demo_scenario(1)
    assert ones[0] == replace(ones[1], seed=0)
    first, second = (scenario.owners()[0].training.inputs for scenario in ones)
    assert not torch.equal(first, second)
