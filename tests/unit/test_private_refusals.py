"""What a private training refuses costs nothing of its budget, and no file of what is spent is lost or half read."""

from dataclasses import replace
from pathlib import Path
from threading import Thread

import pytest
import torch
from torch import nn

pytest.importorskip("opacus", reason="private training needs opacus: pip install 'market-node[privacy]'")

from market_node.data import CLASSES, Examples
from market_node.errors import BadInput, ConfigError, StateError
from market_node.learning import fine_tune, weights_of
from market_node.spending import Run, Spending
from market_node.weights import write_weights
from tests.unit.private_owners import base, pictures, private_owner


@pytest.fixture
def alice(tmp_path):
    return private_owner(tmp_path)


def test_a_model_that_has_seen_the_samples_before_cannot_be_made_private(alice):
    trained = fine_tune(alice.own, base(alice), 1)
    with pytest.raises(BadInput, match="other weights than the task's base"):
        fine_tune(alice, trained, 1)
    assert alice.claim() is None


def test_a_network_whose_weights_begin_anywhere_starts_from_the_tasks_base(alice):
    """A node sets its weights: `build_model` need not."""

    class Unseeded(type(alice.own)):
        def build_model(self):
            return nn.Sequential(nn.Flatten(), nn.Linear(16, CLASSES))

    own = alice.own
    unseeded = replace(alice, own=Unseeded(own.architecture, own.shares, own.practice, own.base_seed, own.seed))
    start = weights_of(unseeded.build_model())
    write_weights(Path(alice.base), start)
    fine_tune(unseeded, start, 1)
    assert len(Spending(alice.spending).runs) == 1


def test_a_base_checkpoint_that_is_not_there_is_refused(alice, tmp_path):
    with pytest.raises(ConfigError, match="base checkpoint"):
        fine_tune(replace(alice, base=tmp_path / "none.safetensors"), base(alice), 1)


def labelled(alice, labels):
    shares = alice.own.shares
    return replace(
        alice, own=replace(alice.own, shares=replace(shares, training=Examples(shares.training.inputs, labels)))
    )


@pytest.mark.parametrize(
    "labels",
    [torch.rand(50), torch.zeros(50, 1, dtype=torch.int64), torch.full((50,), CLASSES), torch.full((50,), -100)],
    ids=["real", "a column", "a class too many", "below 0"],
)
def test_labels_that_are_no_classes_spend_nothing(alice, labels):
    with pytest.raises(BadInput):
        fine_tune(labelled(alice, labels), base(alice), 1)
    assert alice.claim() is None


def test_one_sample_spends_nothing(alice):
    with pytest.raises(BadInput, match="two samples"):
        alice.train(alice.build_model(), pictures(1, 1), 1)
    assert alice.claim() is None


@pytest.mark.parametrize(
    "network",
    [
        lambda: nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, CLASSES)),
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(16, CLASSES, dtype=torch.bfloat16)),
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(15, CLASSES)),
    ],
    ids=["batch normalisation", "bfloat16", "another shape"],
)
def test_a_network_that_cannot_be_trained_privately_spends_nothing(alice, network):
    with pytest.raises(BadInput, match="private"):
        alice.train(network(), alice.load_data().training, 1)
    assert alice.claim() is None


def test_a_path_that_depends_on_where_a_node_is_started_is_refused(alice):
    with pytest.raises(ConfigError, match="where a node is started"):
        fine_tune(replace(alice, spending="spending.json"), base(alice), 1)


def test_two_processes_lose_nothing_that_the_other_has_written(tmp_path):
    first, second = (Spending(tmp_path / "spending.json") for _ in range(2))
    for spending, name in ((first, "a"), (second, "b")):
        with spending.alone():
            spending.enter(Run(name, 2.0, 0.2, 30))
    assert [run.name for run in Spending(tmp_path / "spending.json").runs] == ["a", "b"]
    assert first.secret == second.secret


def test_while_one_reads_checks_and_enters_the_other_waits(tmp_path):
    first, second = (Spending(tmp_path / "spending.json") for _ in range(2))
    entered = []

    def enter():
        with second.alone():
            entered.append(len(second.runs))

    with first.alone():
        waiting = Thread(target=enter)
        waiting.start()
        waiting.join(0.05)
        first.enter(Run("a", 2.0, 0.2, 30))
        assert entered == []
    waiting.join()
    assert entered == [1]


def test_a_damaged_file_is_no_empty_one(alice):
    alice.spending.write_text("{")
    with pytest.raises(StateError, match="backup"):
        fine_tune(alice, base(alice), 1)


@pytest.mark.parametrize(
    "change",
    [{"epsilon": 0.0}, {"rounds": 0}, {"clip": 0.0}, {"delta": 1.0}, {"delta": 0.0}, {"trainings_per_round": 0}],
)
def test_a_budget_that_is_none_is_refused(alice, change):
    with pytest.raises(ConfigError):
        replace(alice, **change)
