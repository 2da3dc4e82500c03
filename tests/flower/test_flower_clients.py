"""Real Flower clients, in the environment that `make flower` makes; skipped where it is missing."""

import os
import shutil
from pathlib import Path

import pytest
import torch

from market_node.errors import BadInput
from market_node.flower import FlowerTraining
from market_node.weights import write_weights

TREE = Path(__file__).parents[2]
PYTHON = Path(os.environ.get("FLOWER_PYTHON", TREE / ".venv-flower" / "bin" / "python"))

pytestmark = pytest.mark.skipif(
    not (PYTHON.parent.parent / "installed").exists() and "FLOWER_PYTHON" not in os.environ,
    reason="Flower has an environment of its own, which is not there: make flower",
)


@pytest.fixture
def line(tmp_path):
    """A training that asks one of `clients`."""
    base = {"weights": torch.zeros(3), "bias": torch.zeros(())}
    write_weights(tmp_path / "base", base)
    plain = {"folder": Path(__file__).parent, "base": tmp_path / "base", "samples": 50, "python": PYTHON}
    plain |= {"order": ("weights", "bias"), "config": {"steps": 100}, "node_config": {"partition-id": 1}}
    return lambda name, **settings: FlowerTraining(**{**plain, "client": f"clients:{name}", **settings})


def after_a_lesson(training: FlowerTraining) -> tuple[float, float, torch.nn.Module]:
    """The loss before and after."""
    model, shares = training.build_model(), training.load_data()
    before = float(training.evaluate(model, shares.holdout))
    training.train(model, shares.training, seed=1)
    return before, float(training.evaluate(model, shares.holdout)), model


@pytest.mark.parametrize("name", ["Line", "of_context"])
def test_a_numpy_client_learns_and_its_arrays_get_the_tasks_names(line, name):
    before, after, model = after_a_lesson(line(name))
    assert after < before / 100
    assert torch.allclose(model.state_dict()["weights"], torch.tensor([1.0, -2.0, 0.5]), atol=0.1)
    assert float(model.state_dict()["bias"]) == pytest.approx(3, abs=0.1)


def test_a_numpy_client_without_an_order_is_refused_before_it_trains(line):
    with pytest.raises(BadInput, match="it names no arrays: say in which `order`"):
        after_a_lesson(line("Line", order=None))


def test_what_a_client_raises_is_one_line(line):
    with pytest.raises(BadInput, match=r"^the Flower client failed: OSError: the disk is full$"):
        after_a_lesson(line("Broken"))


def test_a_client_that_does_not_answer_is_given_up(line):
    training = line("Asleep", longest=20.0)
    with pytest.raises(BadInput, match="did not answer in 20 s"):
        training.train(training.build_model(), training.load_data().training, seed=1)


def test_whole_numbers_are_no_weights(line):
    training = line("Whole")
    with pytest.raises(BadInput, match="its array '0' holds int64"):
        training.train(training.build_model(), training.load_data().training, seed=1)


def test_an_array_that_does_not_fit_the_task_is_named(line):
    training = line("Swapped")
    with pytest.raises(BadInput, match=r"array 0 is \[\], tensor 'weights' of the task is \[3\]"):
        training.train(training.build_model(), training.load_data().training, seed=1)


def test_flowers_own_example_trades_on_a_round_of_the_market(tmp_path, monkeypatch):
    """The quickstart's client as it is, twice with the same seed, and then three of it on a chain."""
    from examples.flower import deal, trainer
    from examples.one_round import play

    monkeypatch.setenv("FLOWER_PYTHON", str(PYTHON))
    folder = tmp_path / "app"
    shutil.copytree(TREE / "examples" / "flower", folder, ignore=shutil.ignore_patterns("data", "__pycache__"))
    deal.main(folder / "data")
    trainings = {name: trainer.training(name, folder) for name in trainer.NAMES}
    traders, round_ = play(trainings, tmp_path / "market", "flower-digits", {"flower": "quickstart-pytorch"})
    assert round_.settlement.excluded == frozenset()
    assert all(trader.sellers for trader in traders), "everybody has bought"
    assert sum(trader.paid for trader in traders) == sum(trader.earned for trader in traders) > 0
    assert all(trader.rating is not None for trader in traders)

    alice = traders[0]
    again = alice.training.build_model()
    alice.training.train(again, alice.training.load_data().training, seed=0)
    assert all(torch.equal(tensor, alice.first[name]) for name, tensor in again.state_dict().items())
