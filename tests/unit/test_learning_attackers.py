"""The market with two attackers, on small pictures: what is written down is what came to pass."""

import pytest
import torch

from benchmarks.learning import federation
from benchmarks.learning.attackers import tables
from benchmarks.learning.attackers.bazaar import Bazaar, Record
from benchmarks.learning.attackers.kinds import offers
from benchmarks.learning.attackers.training import ATTACKERS, CLIENTS, Trained
from benchmarks.learning.crowd import Crowd
from market_node.learning import Practice
from market_node.records import LEAST_REPUTATION, ONE
from tests.unit.test_learning_methods import CNN, pictures

pytestmark = pytest.mark.usefixtures("one_thread")

ROUNDS = 3


@pytest.fixture(scope="module")
def lab():
    generator = torch.Generator().manual_seed(0)
    owners = [federation.owner(pictures(20, seed), pictures(40, 99), 4, generator) for seed in range(CLIENTS)]
    return Trained(federation.federation(owners), Crowd(CNN, 7), Practice(3, batch=16), ROUNDS, seed=3)


@pytest.fixture(scope="module")
def absent(lab):
    return Bazaar(lab, "absent").run()


def test_what_sells_nothing_costs_nothing(lab, absent):
    noise = Bazaar(lab, "noise").run()
    assert sum(noise.sold) == 0 == sum(noise.earned)
    assert noise.accuracies == absent.accuracies


def test_resold_deliveries_are_excluded_and_counted(lab):
    found = Bazaar(lab, "resold").run()
    assert found.excluded == [0, 2, 2]
    assert Bazaar(lab, "resold, unchecked").run().excluded == [0] * ROUNDS


def test_copies_are_tried_from_the_second_round_on(absent):
    tried, excluded = absent.copies["as it is"]
    assert tried == excluded == 2 * (ROUNDS - 1)


def test_the_two_who_stay_away_trade_nothing(absent):
    assert absent.excluded == [ATTACKERS] * ROUNDS
    assert sum(absent.sold) == 0 and absent.wrongly == [0] * ROUNDS


@pytest.mark.parametrize("kind", ["shuffled", "sign-flipped", "constant", "noise"])
def test_offers_are_as_long_as_an_update(lab, kind):
    base, own = lab.base[:1], lab.alone("honest", 1)
    offered = offers(kind, 1, lab, lab.base, {}) - base
    torch.testing.assert_close(offered.norm(dim=1), (own - base).norm(dim=1), rtol=0.05, atol=0)


def test_layers_share_all_of_an_update(absent):
    assert sum(share for share, _, _ in absent.layers) == pytest.approx(1)


def test_costs_are_paired_by_seed(monkeypatch):
    there = {
        "absent": {0: Record(accuracies={10: 80.0}), 2: Record(accuracies={10: 90.0})},
        "scaled": {1: Record(accuracies={10: 10.0}), 2: Record(accuracies={10: 88.0})},
    }
    monkeypatch.setattr(tables, "records", lambda where, kind, seeds: there[kind])
    assert tables.cost(None, "scaled", 3, 10).seeds == (2.0,)


@pytest.mark.parametrize(("grown", "said"), [(7, "- met"), (6, "- **missed** by 12.50 percent")])
def test_the_reputation_of_seven_in_eight_is_to_grow(grown, said):
    """A few that grow much make no promise kept."""
    honest = [ONE] * grown + [LEAST_REPUTATION] * (8 - grown)
    assert tables.grown("clusters", honest).startswith(said)
