"""Training is repeatable, and measures what it says that it measures."""

from statistics import mean

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from market_node.architecture import build
from market_node.data import CLASSES, Examples
from market_node.errors import BadInput, ConfigError
from market_node.learning import OwnTraining, Practice, accuracy, find_training, losses, train, weights_of
from tests.unit.learners import MLP, model_of, own_training, owner, patterns, same

pytestmark = pytest.mark.usefixtures("one_thread")


# --- training and measuring ---


def trained(seed, steps=20, examples=None):
    model = build(MLP, 0)
    train(model, patterns(50, 0) if examples is None else examples, Practice(steps), seed)
    return weights_of(model)


def test_the_same_seed_trains_to_the_same_weights():
    assert same(trained(3), trained(3))
    assert not same(trained(3), trained(4))


def test_training_reads_no_global_generator():
    torch.manual_seed(1)
    first = trained(3)
    torch.manual_seed(2)
    assert same(first, trained(3))


def test_training_learns():
    model = build(MLP, 0)
    before = accuracy(model, patterns(200, 9))
    train(model, patterns(100, 0), Practice(200), seed=0)
    assert before < 0.3 < 0.95 < accuracy(model, patterns(200, 9))


def test_a_rate_that_cools_falls_in_a_straight_line():
    practice = Practice(4, rate=0.2, cools=True)
    assert [practice.rate_at(step) for step in range(4)] == pytest.approx([0.2, 0.15, 0.1, 0.05])
    assert Practice(4, rate=0.2).rate_at(3) == 0.2


class Watched(nn.Module):
    """Remembers which samples each step showed it; every input is its own number."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1, 2))
        self.shown = []

    def forward(self, inputs):
        self.shown.append(inputs.flatten().int().tolist())
        return inputs @ self.weight


@settings(max_examples=50, deadline=None)
@given(count=st.integers(1, 40), batch=st.integers(1, 50), steps=st.integers(0, 12), seed=st.integers(0, 2**63 - 1))
def test_a_pass_shows_no_sample_twice_and_every_step_a_whole_batch(count, batch, steps, seed):
    model = Watched()
    examples = Examples(torch.arange(count).float().reshape(-1, 1), torch.zeros(count, dtype=torch.int64))
    train(model, examples, Practice(steps, batch=batch), seed)
    assert [len(shown) for shown in model.shown] == [min(batch, count)] * steps
    per_pass = max(1, count // batch)
    for start in range(0, steps, per_pass):
        shown = [number for step in model.shown[start : start + per_pass] for number in step]
        assert len(shown) == len(set(shown))


def test_there_is_nothing_to_learn_from_nothing():
    with pytest.raises(BadInput, match="nothing to train on"):
        trained(0, examples=patterns(0, 0))


def test_losses_are_the_logarithms_of_the_chances_given_to_the_right_labels():
    model, examples = build(MLP, 0), patterns(7, 0)
    chances = model(examples.inputs).softmax(dim=1)
    expected = [-chances[i, label].log().item() for i, label in enumerate(examples.labels.tolist())]
    assert losses(model, examples).tolist() == pytest.approx(expected, rel=1e-5)


class Fixed(nn.Module):
    """Answers what its inputs say."""

    def forward(self, inputs):
        return nn.functional.one_hot(inputs.flatten().long(), CLASSES).float()


answers = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=30)
label_mixes = st.lists(st.integers(1, 9), min_size=CLASSES, max_size=CLASSES)


def answered(pairs):
    said, labels = zip(*pairs, strict=True)
    return Examples(torch.tensor(said).reshape(-1, 1), torch.tensor(labels))


@settings(deadline=None)
@given(answers)
def test_accuracy_is_the_share_of_right_answers(pairs):
    assert accuracy(Fixed(), answered(pairs)) == pytest.approx(mean(said == label for said, label in pairs))


@settings(deadline=None)
@given(answers, label_mixes)
def test_accuracy_under_a_mix_is_the_mean_of_the_classes_accuracies_weighted_by_it(pairs, weights):
    total, met = 0.0, 0.0
    for label in range(CLASSES):
        right = [said == label for said, true in pairs if true == label]
        if right:
            total += weights[label] * mean(right)
            met += weights[label]
    label_mix = torch.tensor(weights) / sum(weights)
    assert accuracy(Fixed(), answered(pairs), label_mix) == pytest.approx(total / met)


def test_owners_and_rounds_shuffle_each_in_their_own_way():
    def first(owner_seed, round_):
        training = OwnTraining(MLP, owner(), Practice(1, batch=5), base_seed=5, seed=owner_seed)
        return model_of(training, seed=round_)

    base = first(0, 1)
    assert not same(base, first(1, 1))
    assert not same(base, first(0, 2))
    assert not same(first(1, 0), first(0, 1))


# --- finding an owner's own code ---


def test_a_training_is_found_by_its_path():
    assert find_training(f"{__name__}:own_training").load_data().training.labels.shape == (100,)


ready = own_training()


def test_a_training_that_is_ready_is_found_too():
    assert find_training(f"{__name__}:ready") is ready


@pytest.mark.parametrize("path", ["", "nowhere:thing", "market_node.learning", "market_node.learning:Nothing", ":x"])
def test_a_path_that_leads_nowhere_is_named(path):
    with pytest.raises(ConfigError, match=r"package\.module:name"):
        find_training(path)


def test_what_cannot_train_is_refused():
    with pytest.raises(ConfigError, match="lacks one of build_model"):
        find_training("market_node.records:ONE")
