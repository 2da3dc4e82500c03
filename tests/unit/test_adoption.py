"""Mixing follows its formula, a rating says no more than a hold-out can tell, and what harms is dropped."""

from math import nan, sqrt
from statistics import mean, stdev

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from market_node.adoption import (
    BETTER,
    LEAST_GUARDED,
    LEAST_RATED,
    NEITHER,
    WORSE,
    Look,
    adopt,
    drawn_back,
    drawn_in,
    grafted,
    has_failed,
    head,
    judged_by,
    keeps_own,
    look_at,
    mix,
    rating,
    usefulness,
    verdict,
)
from market_node.architecture import build
from market_node.data import CLASSES, Examples
from market_node.errors import BadInput
from market_node.learning import fine_tune, losses, weights_of
from tests.unit.learners import MLP, base_of, model_of, own_training, same

pytestmark = pytest.mark.usefixtures("one_thread")


# --- mixing ---


@settings(deadline=None)
@given(sellers=st.integers(1, 32), samples=st.integers(1, 10**6), trust=st.integers(1, 10**4))
def test_a_mixture_is_as_the_formula_says(sellers, samples, trust):
    own, delivered = {"w": torch.tensor([0.0, 3.0])}, {"w": torch.tensor([1.0, 1.0])}
    alpha = sellers * trust / (sellers * trust + samples)
    mixture = mix(own, delivered, sellers, samples, trust)["w"].tolist()
    assert mixture == pytest.approx([alpha, (1 - alpha) * 3 + alpha], rel=1e-5)


def test_with_200_samples_and_one_seller_both_models_count_alike():
    assert mix({"w": torch.zeros(1)}, {"w": torch.ones(1)}, sellers=1, samples=200)["w"].item() == 0.5


def test_mixing_keeps_the_dtype():
    own = {"w": torch.zeros(2, dtype=torch.float16)}
    assert mix(own, {"w": torch.ones(2)}, 1, 200)["w"].dtype == torch.float16


# --- ratings and the guard ---

paired_losses = st.lists(
    st.tuples(st.floats(0, 8, width=32), st.floats(0, 8, width=32)), min_size=LEAST_RATED, max_size=60
)


def lead(pairs):
    """Mean gain and its standard error, by the textbook."""
    gains = [own - new for own, new in pairs]
    return mean(gains), stdev(gains) / sqrt(len(gains))


def columns(pairs):
    own, new = zip(*pairs, strict=True)
    return torch.tensor(own), torch.tensor(new)


@settings(deadline=None)
@given(paired_losses)
def test_a_rating_takes_two_standard_errors(pairs):
    gain, error = lead(pairs)
    if abs(abs(gain) - 2 * error) < 1e-9:
        return  # on the edge, the last bit decides
    assert rating(*columns(pairs)) == (BETTER if gain > 2 * error else WORSE if gain < -2 * error else NEITHER)


@settings(deadline=None)
@given(paired_losses)
def test_dropping_a_mixture_takes_one_standard_error(pairs):
    gain, error = lead(pairs)
    if abs(gain + error) > 1e-9:
        assert keeps_own(*columns(pairs), samples=LEAST_GUARDED) == (gain < -error)


@settings(deadline=None)
@given(paired_losses)
def test_what_is_better_one_way_is_worse_the_other_way(pairs):
    own, new = columns(pairs)
    opposite = {BETTER: WORSE, WORSE: BETTER, NEITHER: NEITHER}
    assert rating(new, own) == opposite[rating(own, new)]


def test_below_30_hold_out_samples_nobody_rates():
    assert rating(torch.ones(29), torch.zeros(29)) is None
    assert rating(torch.ones(30), torch.zeros(30)) == BETTER


def test_equal_models_are_neither_better_nor_worse():
    assert rating(torch.ones(30), torch.ones(30)) == NEITHER


def test_below_200_samples_a_mixture_is_dropped_only_where_it_is_rated_worse():
    own = torch.zeros(100)
    for errors, few, many in ((0.5, False, False), (1.5, False, True), (2.5, True, True)):
        spread = torch.linspace(-1, 1, 100)
        new = spread + errors * float(spread.std()) / 10
        assert (keeps_own(own, new, samples=199), keeps_own(own, new, samples=200)) == (few, many)
        assert (rating(own, new) == WORSE) == few


@pytest.mark.parametrize(("new", "failed"), [(0.1, False), (0.69, False), (0.71, True), (nan, True)])
def test_training_has_failed_where_it_forgets_the_very_samples_that_it_trained_on(new, failed):
    base, own = torch.full((3,), 2.0), torch.full((3,), 0.2)
    assert has_failed(base, own, torch.full((3,), new)) == failed


def test_training_has_not_failed_where_that_from_the_own_model_diverged():
    assert not has_failed(torch.ones(3), torch.full((3,), nan), torch.full((3,), 0.1))


def test_a_mixture_from_which_training_fails_is_dropped_without_a_hold_out():
    own, none = torch.empty(0), torch.empty(0)
    assert verdict(own, none, none, samples=60, failed=True).keeps_own
    assert not verdict(own, none, none, samples=60).keeps_own


def test_without_a_hold_out_a_mixture_is_kept():
    assert not keeps_own(torch.zeros(29), torch.ones(29), samples=1000)


@pytest.mark.parametrize("value", [nan, float("inf")])
def test_a_diverged_mixture_is_worse_and_dropped_whoever_bought_it(value):
    own, new = torch.ones(40), torch.full((40,), value)
    assert rating(own, new) == WORSE
    assert keeps_own(own, new, samples=10)
    assert keeps_own(own[:5], new[:5], samples=10)


def test_anything_is_better_than_a_diverged_model_of_ones_own():
    assert rating(torch.full((40,), nan), torch.ones(40)) == BETTER


def test_losses_of_different_samples_are_refused():
    with pytest.raises(BadInput, match="40 and 39"):
        rating(torch.ones(40), torch.ones(39))


# --- how much of a delivery is mixed in ---


@pytest.mark.parametrize(
    ("delivered", "useful"), [(0.1, 1.0), (2.0, 1.0), (2.5, 0.75), (3.0, 0.5), (4.0, 0.0), (50.0, 0.0), (nan, 0.0)]
)
def test_a_delivery_counts_less_the_less_it_knows(delivered, useful):
    assert usefulness(torch.full((3,), 2.0), torch.full((3,), delivered)) == pytest.approx(useful)


def test_where_losses_can_be_negative_a_delivery_must_know_no_less_than_the_base():
    base = torch.tensor([-1.0])
    assert [usefulness(base, torch.tensor([loss])) for loss in (-1.5, -1.0, -0.9)] == [1, 1, 0]


def test_the_head_is_the_last_matrix_and_what_follows_it():
    model = build(MLP, seed=0)
    assert head(weights_of(model)) == {"3.weight", "3.bias"}
    scaled = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 3), nn.LayerNorm(3))
    assert head(weights_of(scaled)) == {"1.weight", "1.bias", "2.weight", "2.bias"}
    assert head(dict(sorted(weights_of(model).items()))) == {"3.weight", "3.bias"}
    assert head({str(place): torch.ones(2, 2) for place in range(12)}) == {"11"}


def test_a_model_of_one_layer_is_all_body():
    assert head(weights_of(nn.Linear(2, 3))) == set()
    assert head(weights_of(nn.Sequential(nn.Linear(2, 3)))) == set()
    assert head({"scale": torch.ones(3)}) == set()


def test_body_and_head_are_mixed_in_by_shares_of_their_own():
    own, delivered = ({"body": torch.full((1,), value), "head": torch.full((1,), value)} for value in (0.0, 1.0))
    mixture = mix(own, delivered, sellers=1, samples=200, look=Look(body=1.0, head=0.5), last={"head"})
    assert {name: float(tensor) for name, tensor in mixture.items()} == {"body": 0.5, "head": 0.25}
    assert grafted(own, delivered, {"head"}) == {"body": delivered["body"], "head": own["head"]}


def test_a_longer_update_is_drawn_in_to_the_length_of_the_own():
    base, own = {"w": torch.tensor([1.0, 1.0])}, {"w": torch.tensor([1.0, 3.0])}
    assert drawn_in(base, own, {"w": torch.tensor([21.0, 1.0])})["w"].tolist() == [3.0, 1.0]
    assert drawn_in(base, own, {"w": torch.tensor([2.0, 1.0])})["w"].tolist() == [2.0, 1.0]


def test_who_has_learned_nothing_yet_takes_a_delivery_as_it_is():
    base, delivered = {"w": torch.tensor([1.0])}, {"w": torch.tensor([5.0])}
    assert drawn_in(base, base, delivered) == delivered


def test_an_owner_looks_at_a_thousand_samples_at_most_and_from_all_parts():
    samples = Examples(torch.zeros(2500, 1), torch.arange(2500))
    assert judged_by(samples).labels.tolist() == list(range(0, 2500, 3))
    assert len(judged_by(samples[:1000])) == 1000


# --- adopting a delivery ---


def looked_at(training, own, delivered):
    def loss(weights):
        model = training.build_model()
        model.load_state_dict(weights)
        return losses(model, training.shares.training)

    return look_at(loss, loss(base_of(training)), own, delivered, head(own))


def good_model():
    """One that many more samples taught."""
    return model_of(own_training(training=1000, steps=200))


def bad_model():
    """One that has forgotten everything, and learns slowly."""
    return {name: torch.zeros_like(tensor) for name, tensor in good_model().items()}


def test_a_delivery_equal_to_the_own_model_changes_nothing():
    ada = own_training()
    own = model_of(ada)
    adoption = adopt(ada, base_of(ada), own, own, sellers=1, seed=7)
    assert adoption.rating == NEITHER
    assert same(adoption.offer, fine_tune(ada, own, seed=7))


def test_a_good_delivery_is_rated_better_and_lowers_the_loss():
    ada = own_training(steps=10)
    own = model_of(ada)
    adoption = adopt(ada, base_of(ada), own, good_model(), sellers=2, seed=7)
    assert adoption.rating == BETTER
    models = [ada.build_model(), ada.build_model()]
    for model, weights in zip(models, (fine_tune(ada, own, seed=7), adoption.offer), strict=True):
        model.load_state_dict(weights)
    alone, after = (losses(model, ada.shares.test).mean() for model in models)
    assert after < alone


def test_an_owner_of_200_samples_drops_a_bad_delivery_and_goes_on_as_if_alone():
    ada = own_training(training=200, steps=10)
    own = model_of(ada)
    adoption = adopt(ada, base_of(ada), own, bad_model(), sellers=8, seed=7)
    assert (adoption.kept_own, adoption.rating) == (True, WORSE)
    assert same(adoption.offer, fine_tune(ada, own, seed=7))


def test_an_owner_without_a_hold_out_keeps_the_mixture_and_does_not_rate_it():
    ada = own_training(training=100, holdout=10, steps=10)
    adoption = adopt(ada, base_of(ada), model_of(ada), bad_model(), sellers=8, seed=7)
    assert (adoption.kept_own, adoption.rating) == (False, None)


def test_what_is_used_lies_between_the_tuned_mixture_and_the_mixture():
    ada = own_training(holdout=10, steps=10)  # too few to say otherwise
    own = model_of(ada)
    adoption = adopt(ada, base_of(ada), own, good_model(), sellers=2, seed=7)
    near = drawn_in(base_of(ada), own, good_model())
    look = looked_at(ada, own, near)
    mixture = mix(own, near, sellers=2, samples=100, look=look, last=head(own))
    assert same(adoption.offer, fine_tune(ada, mixture, seed=7))
    assert same(adoption.model, drawn_back(adoption.offer, mixture, look.body, head(own)))


def test_what_is_used_is_not_drawn_back_where_the_hold_out_says_that_it_harms():
    ada = own_training(training=199, steps=10)
    adoption = adopt(ada, base_of(ada), model_of(ada), bad_model(), sellers=8, seed=7)
    assert same(adoption.model, adoption.offer)


def test_a_head_that_says_the_opposite_is_not_mixed_in_but_its_body_is():
    ada = own_training(steps=200)
    own = model_of(ada)
    wrong = good_model() | {"3.bias": torch.linspace(-99, 99, CLASSES)}
    look = looked_at(ada, own, wrong)
    assert (look.body, look.head) == (1.0, 0.0)
    mixture = mix(own, wrong, sellers=2, samples=100, look=look, last=head(own))
    assert torch.equal(mixture["3.bias"], own["3.bias"])
    assert not torch.equal(mixture["1.weight"], own["1.weight"])


def test_a_body_that_sees_the_opposite_is_not_mixed_in():
    ada = own_training(steps=200)
    own = model_of(ada)
    wrong = own | {name: -99 * own[name] for name in ("1.weight", "1.bias")}
    assert looked_at(ada, own, wrong) == Look(body=0.0, head=0.0)


def test_adopting_leaves_its_arguments_alone():
    ada = own_training()
    own, delivered = model_of(ada), good_model()
    copies = [{name: tensor.clone() for name, tensor in weights.items()} for weights in (own, delivered)]
    adopt(ada, base_of(ada), own, delivered, sellers=1, seed=7)
    assert same(own, copies[0])
    assert same(delivered, copies[1])
