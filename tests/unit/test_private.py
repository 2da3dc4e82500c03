"""A private training spends a budget: never more, never silently, and with noise that nobody can guess."""

import json
import re
import stat
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

pytest.importorskip("opacus", reason="private training needs opacus: pip install 'market-node[privacy]'")

from market_node.architecture import build
from market_node.data import CLASSES, Examples
from market_node.errors import BadInput, StateError
from market_node.learning import Practice, Training, fine_tune, weights_of
from market_node.noise import Chance
from market_node.private import ONE_BY_ONE, descend, noise_multiplier, spent
from market_node.spending import Run, Spending
from market_node.trainer import Lesson, learn
from market_node.weights import write_weights
from tests.unit.private_owners import KEY, PRACTICE, base, pictures, private_owner, same, spend

TREE = Path(__file__).parent.parent.parent


@pytest.fixture
def alice(tmp_path):
    return private_owner(tmp_path)


# --- the budget ---


def test_it_is_a_training_that_a_node_can_use(alice):
    assert isinstance(alice, Training)


def test_a_whole_life_in_the_market_spends_no_more_than_the_budget(alice):
    spend(alice)
    assert 2.9 < alice.claim().epsilon <= 3.001


def test_when_the_budget_is_spent_training_is_refused_and_it_says_what_to_do(alice):
    spend(alice)
    with pytest.raises(BadInput, match=r"4 trainings took ε = .* of 3 .*stop_after_rounds = 1"):
        fine_tune(alice, base(alice), 2)
    assert len(Spending(alice.spending).runs) == 4


def test_rounds_one_by_one_need_less_noise(alice, tmp_path):
    rarely = replace(alice, trainings_per_round=ONE_BY_ONE, spending=tmp_path / "rarely.json")
    noises = []
    for each in (alice, rarely):
        fine_tune(each, base(each), 1)
        noises.append(Spending(each.spending).runs[0].noise)
    assert noises[0] > noises[1] == noise_multiplier(3.0, 50**-1.1, 0.2, 4 * 3)


def test_the_budget_is_remembered_by_another_process(alice):
    fine_tune(alice, base(alice), 1)
    assert replace(alice).claim() == alice.claim() is not None


def test_what_is_spent_is_written_before_it_is_spent(alice, monkeypatch):
    def killed(model, examples, practice, run, clip, key):
        if run.name:  # no mere step on a copy
            raise KeyboardInterrupt

    monkeypatch.setattr("market_node.private.descend", killed)
    with pytest.raises(KeyboardInterrupt):
        fine_tune(alice, base(alice), 1)
    assert len(Spending(alice.spending).runs) == 1


def test_more_rounds_need_more_noise(alice):
    many = replace(alice, rounds=20)
    fine_tune(many, base(many), 1)
    (run,) = Spending(many.spending).runs
    assert run.noise > 2 * noise_multiplier(3.0, 50**-1.1, 0.2, 4 * alice.trainings)


def test_delta_is_below_one_over_the_samples(alice):
    fine_tune(alice, base(alice), 1)
    assert alice.claim().delta < 1 / 50


def test_what_runs_spend_adds_up_as_one_long_run():
    parts = [Run("a", 2.0, 0.2, 30), Run("b", 2.0, 0.2, 50)]
    assert spent(parts, 0.01) == pytest.approx(spent([Run("c", 2.0, 0.2, 80)], 0.01))


def test_with_every_sample_in_every_step_the_bound_is_that_of_gaussian_noise():
    """Rényi divergence of order a between two Gaussians is a/2σ² a step; to (ε, δ) by Canonne et al. 2020."""
    from math import log

    noise, steps, delta = 5.0, 10, 0.01
    orders = [1 + x / 10 for x in range(1, 100)] + list(range(12, 64))
    slow = min(steps * a / (2 * noise**2) + log((a - 1) / a) - (log(delta) + log(a)) / (a - 1) for a in orders)
    assert spent([Run("a", noise, 1.0, steps)], delta) == pytest.approx(slow)


# --- the noise ---


def test_a_step_is_the_clipped_sum_and_noise_of_the_promised_size():
    """20,000 weights and inputs of zero: all gradients are zero, and what moves the weights is noise."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(2_000, 10, bias=False))
    before = weights_of(model)["1.weight"]
    examples = Examples(torch.zeros(40, 1, 2_000), torch.zeros(40, dtype=torch.int64))
    practice = Practice(steps=1, rate=1.0, momentum=0.0, decay=0.0)
    descend(model, examples, practice, Run("a", 3.0, 0.5, 1), 0.7, KEY)
    moved = weights_of(model)["1.weight"] - before
    four_errors = 4 / (2 * 20_000) ** 0.5
    assert float(moved.std()) == pytest.approx(3.0 * 0.7 / 20, rel=four_errors)


def test_seeds_that_agree_where_torch_looks_give_other_noise():
    """torch keeps 32 bits of a seed. Here every byte of a key counts."""
    ours = Chance(KEY).normal(torch.Size([8]))
    for place in range(32):
        other = bytes(byte ^ (each == place) for each, byte in enumerate(KEY))
        assert not bool((Chance(other).normal(torch.Size([8])) == ours).any())


def test_every_byte_of_the_key_reaches_the_noise_of_a_training():
    models = [nn.Sequential(nn.Flatten(), nn.Linear(16, CLASSES)) for _ in range(2)]
    models[1].load_state_dict(models[0].state_dict())
    for model, key in zip(models, (KEY, bytes([255]) + KEY[1:]), strict=True):
        descend(model, pictures(5, 1), PRACTICE, Run("a", 1.0, 0.5, 1), 1.0, key)
    one, other = map(weights_of, models)
    assert all(bool((one[name] != other[name]).all()) for name in one)


def test_noise_is_gaussian_and_of_standard_deviation_one():
    count = 40_000
    drawn = Chance(KEY).normal(torch.Size([200, 200]))
    assert float(drawn.mean()) == pytest.approx(0, abs=4 / count**0.5)
    assert float(drawn.std()) == pytest.approx(1, abs=4 / (2 * count) ** 0.5)
    for bound, share in ((0.5, 0.3829), (1.0, 0.6827), (2.0, 0.9545), (3.0, 0.9973)):
        error = (share * (1 - share) / count) ** 0.5
        assert float((drawn.abs() < bound).double().mean()) == pytest.approx(share, abs=4 * error)


def test_no_two_streams_of_a_key_are_alike():
    assert not bool((Chance(KEY, 0).uniform(100) == Chance(KEY, 1).uniform(100)).any())


def test_a_step_takes_each_sample_with_the_promised_probability_and_by_itself():
    """Sample i is all that touches column i of the weights, so the columns that moved say who was taken."""
    count, rate = 2_000, 0.3
    examples = Examples(torch.eye(count).view(count, 1, count), torch.zeros(count, dtype=torch.int64))
    practice = Practice(steps=1, rate=1.0, momentum=0.0, decay=0.0)
    taken = []
    for steps in (1, 2):
        model = nn.Sequential(nn.Flatten(), nn.Linear(count, CLASSES, bias=False))
        before = weights_of(model)["1.weight"]
        descend(model, examples, practice, Run("a", 0.0, rate, steps), 1.0, KEY)
        taken.append((weights_of(model)["1.weight"] != before).any(dim=0))
    for chosen, share in zip(taken, (rate, 1 - (1 - rate) ** 2), strict=True):
        four_errors = 4 * (share * (1 - share) / count) ** 0.5
        assert float(chosen.double().mean()) == pytest.approx(share, abs=four_errors)
    both = float((taken[0][1:] & taken[0][:-1]).double().mean())
    assert both == pytest.approx(rate**2, abs=4 * (rate**2 / count) ** 0.5)


def test_a_step_that_takes_no_sample_adds_noise_all_the_same():
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, CLASSES))
    before = weights_of(model)
    practice = Practice(steps=1, rate=1.0, momentum=0.0, decay=0.0)
    descend(model, pictures(5, 1), practice, Run("a", 1.0, 1e-12, 1), 1.0, KEY)
    assert all(bool((tensor != before[name]).all()) for name, tensor in weights_of(model).items())


def test_no_sample_moves_the_model_by_more_than_its_clipped_gradient():
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, CLASSES))
    for weights in model.parameters():
        nn.init.zeros_(weights)  # at random it may be right, and sure of it: then there is no gradient to clip
    before = weights_of(model)
    practice = Practice(steps=1, rate=1.0, momentum=0.0, decay=0.0)
    huge = Examples(1e4 * torch.ones(1, 1, 4, 4), torch.zeros(1, dtype=torch.int64))
    descend(model, huge, practice, Run("a", 1e-9, 1.0, 1), 0.7, KEY)
    after = weights_of(model)
    moved = sum(float((after[name] - before[name]).square().sum()) for name in after) ** 0.5
    assert moved == pytest.approx(0.7, rel=1e-3)


def test_the_same_training_taken_again_gives_the_same_and_spends_nothing_more(alice):
    one, other = (fine_tune(alice, base(alice), 1) for _ in range(2))
    assert same(one, other)
    assert len(Spending(alice.spending).runs) == 1


def test_two_trainings_of_one_round_have_noise_of_their_own(alice):
    """Else the difference of the two arms of a judgement would have none."""
    start = base(alice)
    moved = {name: tensor + 1e-6 for name, tensor in start.items()}
    fine_tune(alice, start, 1)
    one, other = fine_tune(alice, start, 1), fine_tune(alice, moved, 1)
    assert max(float((one[name] - other[name]).abs().max()) for name in one) > 0.01


def changed(training, *layers):
    """The same owner with another network."""

    class Other(type(training.own)):
        def build_model(self):
            model = nn.Sequential(*(layer() for layer in layers))
            generator = torch.Generator().manual_seed(0)
            for parameter in model.parameters():
                nn.init.normal_(parameter, generator=generator)
            return model

    own = training.own
    other = Other(own.architecture, own.shares, own.practice, own.base_seed, own.seed)
    write_weights(Path(training.base), weights_of(other.build_model()))
    return replace(training, own=other)


def small(activation):
    return nn.Flatten, lambda: nn.Linear(16, 8), activation, lambda: nn.Linear(8, CLASSES)


def test_the_same_weights_in_another_network_get_other_noise(alice):
    """Else the difference of what comes of relu and of tanh would have none."""
    with_noise = replace(alice, practice=replace(PRACTICE, steps=1))
    fine_tune(changed(with_noise, *small(nn.ReLU)), base(changed(with_noise, *small(nn.ReLU))), 1)
    fine_tune(changed(with_noise, *small(nn.Tanh)), base(changed(with_noise, *small(nn.Tanh))), 1)
    names = {run.name for run in Spending(alice.spending).runs}
    assert len(names) == 2


def test_dropout_is_the_same_when_a_training_is_taken_again(alice):
    dropping = changed(alice, *small(nn.Dropout))
    assert same(*(fine_tune(dropping, base(dropping), 1) for _ in range(2)))


def test_torchs_own_chance_goes_on_as_if_nothing_had_been(alice):
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    alice.train(alice.build_model(), alice.load_data().training, 1)
    assert torch.equal(torch.rand(1), expected)


class Wayward(nn.Module):
    """A network that is another one than it says."""

    slope = 1.0

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(16, CLASSES)

    def forward(self, inputs):
        return self.layer(inputs.flatten(1)) * self.slope


def test_a_training_that_gives_other_weights_when_taken_again_is_not_let_out(alice, monkeypatch):
    wayward = changed(alice, Wayward)
    start = base(wayward)
    fine_tune(wayward, start, 1)
    monkeypatch.setattr(Wayward, "slope", 2.0)
    with pytest.raises(StateError, match="gave other weights"):
        fine_tune(wayward, start, 1)
    assert len(Spending(alice.spending).runs) == 1


def test_the_noise_is_another_with_another_secret(alice, tmp_path):
    bob = replace(alice, spending=tmp_path / "bob.json")
    assert not same(fine_tune(alice, base(alice), 1), fine_tune(bob, base(bob), 1))


def test_the_file_is_for_its_owners_eyes(alice):
    fine_tune(alice, base(alice), 1)
    assert stat.S_IMODE(alice.spending.stat().st_mode) == 0o600
    assert len(bytes.fromhex(json.loads(alice.spending.read_text())["secret"])) == 32


# --- what else could tell of the training samples ---


def test_hold_out_samples_are_evaluated_as_they_are(alice):
    model, holdout = alice.build_model(), alice.load_data().holdout
    assert torch.equal(alice.evaluate(model, holdout), alice.own.evaluate(model, holdout))


def test_losses_of_training_samples_tell_nothing_of_them(alice):
    """A node may look at some of them before it mixes a delivery in."""
    model, mine = alice.build_model(), alice.load_data().training
    losses = alice.evaluate(model, mine[::2])
    assert len(losses) == 25
    assert torch.equal(losses, alice.evaluate(model, pictures(25, 9)))
    assert float(losses[0]) == pytest.approx(float(alice.own.evaluate(model, alice.load_data().holdout).mean()))


def test_without_a_hold_out_every_loss_is_the_same(alice):
    shares = replace(alice.own.shares, holdout=pictures(0, 2))
    lonely = replace(alice, own=replace(alice.own, shares=shares))
    assert lonely.evaluate(lonely.build_model(), shares.training).abs().sum() == 0


# --- as the document has it ---


def test_the_documents_training_trains_and_claims(tmp_path, monkeypatch):
    text = (TREE / "docs" / "privacy.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.S)
    home = tmp_path / "alice"
    home.mkdir()
    (home / "private.py").write_text(code)
    (home / "trainer.py").write_text((TREE / "examples" / "trainer.py").read_text())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", sys.path[:])
    for name in ("private", "trainer"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    start = home / "base.safetensors"
    write_weights(start, weights_of(build({"kind": "mlp", "input": [1, 8, 8], "hidden": [64], "classes": 10}, 0)))
    learned = learn(Lesson("private:alice", str(home), str(start), str(home / "1-offer.safetensors"), 1, is_base=True))
    for name in ("private", "trainer"):
        sys.modules.pop(name, None)
    assert 0 < learned.privacy["epsilon"] < 8.0
    assert (home / "spending.json").exists()
