"""What the privacy benchmark counts is counted right, and its attacks find what there is to find."""

import pytest
import torch
from torch import nn

pytest.importorskip("opacus", reason="private training needs opacus: pip install 'market-node[privacy]'")

from benchmarks.learning.crowd import Crowd
from benchmarks.privacy.attacks import (
    alignments,
    auc,
    confidence,
    descents,
    likelihood_ratio,
    loss_scores,
    recovered,
    sketching,
    tpr,
    whole,
)
from benchmarks.privacy.crowd import clipped_sums
from market_node.aggregate import personal_model
from market_node.architecture import build
from market_node.data import CLASSES, Examples
from market_node.learning import Practice, train, weights_of
from market_node.private import descend
from market_node.sketch import count_sketch
from market_node.spending import Run

pytestmark = pytest.mark.usefixtures("one_thread")

CNN = {"kind": "cnn", "input": [1, 16, 16], "classes": CLASSES}
MLP = {"kind": "mlp", "input": [1, 8, 8], "hidden": [64], "classes": CLASSES}


def noise(count, seed, size=8):
    """Pictures without any meaning: what a model knows of them it knows by heart."""
    generator = torch.Generator().manual_seed(seed)
    return Examples(
        torch.rand(count, 1, size, size, generator=generator), torch.randint(CLASSES, (count,), generator=generator)
    )


# --- counting ---


@pytest.mark.parametrize("seed", range(5))
def test_the_area_is_the_share_of_pairs_in_the_right_order(seed):
    generator = torch.Generator().manual_seed(seed)
    members, others = (torch.randint(6, (count,), generator=generator) for count in (17, 23))
    pairs = [(m > o) + 0.5 * (m == o) for m in members.tolist() for o in others.tolist()]
    assert auc(members, others) == pytest.approx(sum(pairs) / len(pairs))


def test_at_so_many_false_alarms_so_many_members_are_found():
    others = torch.arange(200.0)
    members = torch.tensor([10.0, 197.5, 198.5, 300.0])
    assert tpr(members, others, 0.01) == 0.75  # 198 and 199 are above 197: two of 200


def test_no_more_false_alarms_than_allowed():
    assert tpr(torch.ones(10), torch.ones(100), 0.01) == 0.0


# --- attacks ---


@pytest.fixture(scope="module")
def overfitted():
    """A model that was trained on noise until it knew it by heart; the samples, and others like them."""
    mine, others = noise(60, 1), noise(60, 2)
    model = build(MLP, 0)
    train(model, mine, Practice(steps=600, rate=0.1), 1)
    return model, mine, others


def test_members_of_an_overfitted_model_are_found_by_their_loss(overfitted):
    model, mine, others = overfitted
    assert auc(loss_scores(model, mine), loss_scores(model, others)) > 0.9


def test_members_of_an_overfitted_model_are_found_by_the_likelihood_ratio(overfitted):
    model, mine, others = overfitted
    shadow = build(MLP, 0)
    train(shadow, noise(60, 3), Practice(steps=600, rate=0.1), 1)
    scores = [likelihood_ratio(confidence(model, each), confidence(shadow, each)[None]) for each in (mine, others)]
    assert auc(*scores) > 0.9


def test_members_are_found_by_an_update_and_by_a_sketch_of_it(overfitted):
    model, mine, others = overfitted
    base = build(MLP, 0)
    update = torch.cat([(weights_of(model)[name] - tensor).flatten() for name, tensor in weights_of(base).items()])
    view = sketching(bytes(32), len(update))
    seen = [(whole, update[None]), (view, view(update[None]))]
    for cosines in zip(*(alignments(base, each, seen) for each in (mine, others)), strict=True):
        assert auc(*(each[0] for each in cosines)) > 0.7


def test_a_model_that_has_not_seen_them_tells_nothing():
    model, mine, others = build(MLP, 0), noise(400, 1), noise(400, 2)
    assert auc(loss_scores(model, mine), loss_scores(model, others)) == pytest.approx(0.5, abs=0.06)


def test_confidence_is_the_log_odds_of_the_right_label():
    examples = noise(5, 1)
    model = build(MLP, 0)
    right = model(examples.inputs).softmax(dim=1).gather(1, examples.labels[:, None])[:, 0].double()
    assert torch.allclose(confidence(model, examples), (right / (1 - right)).log(), atol=1e-5)


def test_a_descent_is_minus_the_gradient_of_one_sample():
    model, examples = build(MLP, 0), noise(3, 1)
    for one, descent in zip(range(3), descents(model, examples), strict=True):
        model.zero_grad()
        (-loss_scores_with_gradient(model, examples[slice(one, one + 1)])).backward()
        slow = torch.cat([tensor.grad.flatten() for tensor in model.parameters()])
        assert torch.allclose(descent, slow, atol=1e-6)


def loss_scores_with_gradient(model, examples):
    return nn.functional.cross_entropy(model(examples.inputs), examples.labels)


def test_the_attackers_sketch_is_the_protocols():
    update = torch.randint(-(1 << 20), 1 << 20, (5_000,), generator=torch.Generator().manual_seed(0))
    seed = bytes(range(32))
    assert torch.equal(sketching(seed, 5_000)(update.double()[None])[0].long(), count_sketch(update, seed))


# --- deliveries ---


def test_colluding_buyers_recover_every_sellers_update():
    generator = torch.Generator().manual_seed(0)
    base = torch.randint(-(1 << 20), 1 << 20, (300,), generator=generator, dtype=torch.int32)
    updates = {seller: torch.randint(-(1 << 18), 1 << 18, (300,), generator=generator) for seller in range(3)}
    shares = [[30_000, 20_000, 15_536], [10_000, 40_000, 15_536], [20_000, 5_536, 40_000]]
    deliveries = torch.stack([personal_model(base, updates, dict(enumerate(row))) for row in shares])
    found = recovered(torch.tensor(shares), deliveries, base)
    assert torch.allclose(found, torch.stack(list(updates.values())).double(), atol=3)  # of 2**18, in units of 2**-24


# --- many private trainings at once ---


def test_clipped_sums_of_a_crowd_are_those_of_opacus():
    """Without noise, one step of Opacus is its clipped sum; here of two clients, one of which takes fewer samples."""
    crowd = Crowd(CNN, 0)
    inputs = torch.stack([noise(8, seed, 16).inputs for seed in (1, 2)])
    labels = torch.stack([noise(8, seed, 16).labels for seed in (1, 2)])
    taken = torch.ones(2, 8, dtype=torch.bool)
    taken[1, 5:] = False
    weights = crowd.base(2) + 0.01 * torch.randn(2, crowd.size, generator=torch.Generator().manual_seed(3))
    sums = clipped_sums(crowd, weights, inputs, labels, taken, 0.5)
    for client, row in enumerate(weights):
        model = build(CNN, 0)
        model.load_state_dict(crowd.split(row))
        mine = Examples(inputs[client][taken[client]], labels[client][taken[client]])
        step = Practice(steps=1, rate=1.0, momentum=0.0, decay=0.0)
        descend(model, mine, step, Run("", 0.0, 1.0, 1), 0.5, bytes(32))
        moved = row - crowd.join(weights_of(model))
        assert torch.allclose(sums[client] / len(mine), moved, atol=1e-6)
