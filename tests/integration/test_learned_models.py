"""One seed of two settings of the learning benchmark, with fewer rounds: what must hold there holds here."""

from dataclasses import replace
from statistics import mean

import pytest

from benchmarks.learning import market
from benchmarks.learning.methods import METHODS
from benchmarks.learning.runs import Result, run
from benchmarks.learning.settings import FASHION, pictures
from market_node.errors import BadInput
from market_node.settlement import payout, settle

pytestmark = pytest.mark.usefixtures("one_thread")

ROUNDS, SEED = 6, 0

LEAST_GAIN = {"five classes, 60": 3.0, "clusters, 200": 0.5}
"""Setting → points over local training; one seed moves by half a point."""


@pytest.fixture(scope="module", autouse=True)
def fashion():
    try:
        pictures()
    except BadInput as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="module", params=LEAST_GAIN)
def name(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def credited(name) -> list[list[float]]:
    """Of each round, what its settlement leaves each client above its deposit, tokens."""
    return []


@pytest.fixture(scope="module")
def results(name, credited) -> dict[str, Result]:
    def settled(round_, excluded):
        settlement = settle(round_, excluded)
        pairs = zip(payout(round_, settlement).credits, round_.participants, strict=True)
        credited.append([(credit - participant.deposit) / market.TOKEN for credit, participant in pairs])
        return settlement

    setting = next(each for each in FASHION if each.name == name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(market, "settle", settled)
        return {method: run(replace(setting, rounds=ROUNDS), method, SEED, {}) for method in ("local", "market")}


def test_both_learn(results):
    assert all(mean(result.accuracies) > 60 for result in results.values())


def test_the_market_is_above_local_training(results, name):
    assert mean(results["market"].accuracies) > mean(results["local"].accuracies) + LEAST_GAIN[name]


def test_who_paid_and_who_earned_is_what_the_settlements_pay_out(results, credited):
    notes = results["market"].notes
    net = [earned - paid for paid, earned in zip(notes["paid"], notes["earned"], strict=True)]
    assert len(credited) == ROUNDS and max(map(max, credited)) > 1
    assert net == pytest.approx([sum(each) for each in zip(*credited, strict=True)], abs=1e-3)


def test_everybody_is_measured_and_every_model_that_was_bought_was_sold(results):
    market = results["market"]
    assert len(market.accuracies) == 9 and all(0 <= accuracy <= 100 for accuracy in market.accuracies)
    assert sum(market.bought) == sum(market.sold) > 0
    assert sum(results["local"].bought) == 0


def test_there_are_all_the_peers():
    assert {"FedAvg", "FedPer", "FedProx", "Ditto", "FedAMP", "CFL", "pFedGraph", "iPFL"} <= set(METHODS)
