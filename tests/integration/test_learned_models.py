"""One seed of two settings of the learning benchmark, with fewer rounds: what must hold there holds here."""

from dataclasses import replace
from statistics import mean

import pytest
import torch

from benchmarks.learning.methods import METHODS
from benchmarks.learning.runs import Result, run
from benchmarks.learning.settings import FASHION, pictures
from market_node.errors import BadInput

ROUNDS, SEED = 6, 0


@pytest.fixture(scope="module", autouse=True)
def fashion():
    try:
        pictures()
    except BadInput as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="module", params=["five classes, 60", "clusters, 200"])
def name(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def results(name) -> dict[str, Result]:
    setting = next(each for each in FASHION if each.name == name)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    found = {method: run(replace(setting, rounds=ROUNDS), method, SEED, {}) for method in ("local", "market")}
    torch.set_num_threads(threads)
    return found


def test_both_learn(results):
    assert all(mean(result.accuracies) > 60 for result in results.values())


def test_the_market_is_a_point_above_local_training(results):
    assert mean(results["market"].accuracies) > mean(results["local"].accuracies) + 1


def test_what_is_spent_is_earned(results):
    notes = results["market"].notes
    assert sum(notes["paid"]) == pytest.approx(sum(notes["earned"])) and sum(notes["paid"]) > 0


def test_everybody_is_measured_and_every_model_that_was_bought_was_sold(results):
    market = results["market"]
    assert len(market.accuracies) == 9 and all(0 <= accuracy <= 100 for accuracy in market.accuracies)
    assert sum(market.bought) == sum(market.sold) > 0
    assert sum(results["local"].bought) == 0


def test_there_are_all_the_peers():
    assert {"FedAvg", "FedPer", "FedProx", "Ditto", "FedAMP", "CFL", "pFedGraph", "iPFL"} <= set(METHODS)
