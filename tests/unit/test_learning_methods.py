"""The methods that the market is compared with, on three clients: each is what its paper says, by hand."""

from math import sqrt

import pytest
import torch

from benchmarks.learning import federation, methods
from benchmarks.learning.crowd import Crowd
from benchmarks.learning.lab import Lab
from benchmarks.learning.market import Rule, Stand
from benchmarks.learning.methods import METHODS
from benchmarks.learning.runs import utilities
from market_node.adoption import adopt
from market_node.architecture import build
from market_node.data import Examples
from market_node.learning import OwnTraining, Practice, fine_tune, weights_of

pytestmark = pytest.mark.usefixtures("one_thread")

CNN = {"kind": "cnn", "input": [1, 16, 16], "classes": 4}
MLP = {"kind": "mlp", "input": [1, 16, 16], "hidden": [8], "classes": 4}


def pictures(count, seed):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 4
    blurred = torch.rand(count, 1, 16, 16, generator=generator)
    blurred[torch.arange(count), 0, labels] += 1
    return Examples(blurred, labels)


def lab(architecture=CNN, sizes=(20, 40, 9), rounds=2, steps=3):
    generator = torch.Generator().manual_seed(0)
    test = pictures(40, 99)
    owners = [federation.owner(pictures(size, seed), test, 4, generator) for seed, size in enumerate(sizes)]
    practice = Practice(steps, batch=16, cools=True)
    return Lab(federation.federation(owners), Crowd(architecture, 7), practice, rounds, seed=3)


@pytest.mark.parametrize("architecture", [CNN, MLP])
def test_together_is_one_by_one(architecture):
    clients = lab(architecture)
    together = clients.train(clients.base, part=1)
    for index, owner in enumerate(clients.federation.owners):
        alone = OwnTraining(architecture, owner, clients.practice, base_seed=7, seed=3 * 3 + index)
        expected = clients.crowd.join(fine_tune(alone, weights_of(build(architecture, 7)), seed=1))
        torch.testing.assert_close(together[index], expected, rtol=1e-4, atol=1e-5)


def test_some_rows_train_as_all_do():
    clients = lab()
    everybody = clients.train(clients.base, 1)
    torch.testing.assert_close(clients.train(clients.base[[2, 0]], 1, rows=[2, 0]), everybody[[2, 0]])


def test_local_training_is_the_same_steps_without_anybody():
    clients = lab(rounds=1)
    torch.testing.assert_close(methods.local(clients), clients.train(clients.train(clients.base, 0), 1))


def test_fedavg_is_the_mean_by_samples():
    clients = lab(rounds=1)
    trained = clients.train(clients.base, 0)
    mean = (20 * trained[0] + 40 * trained[1] + 9 * trained[2]) / 69
    torch.testing.assert_close(methods.fedavg(clients), clients.train(mean.repeat(3, 1), 1))


def test_fedavg_without_fine_tuning_gives_everybody_the_same_model():
    weights = methods.fedavg_untuned(lab())
    assert torch.equal(weights[0], weights[1]) and torch.equal(weights[1], weights[2])


def test_fedper_shares_all_but_the_last_layer():
    clients = lab(rounds=1)
    trained = clients.train(clients.base, 0)
    start = (trained * torch.tensor([20, 40, 9]).unsqueeze(1)).sum(dim=0).div(69).repeat(3, 1)
    last = 84 * 4 + 4
    start[:, -last:] = trained[:, -last:]
    torch.testing.assert_close(methods.fedavg(clients, personal_layers=1), clients.train(start, 1))


@pytest.mark.parametrize("strength", [0.0, 1e-12])
def test_a_pull_of_nothing_changes_nothing(strength):
    torch.testing.assert_close(methods.fedavg(lab(), proximal=strength), methods.fedavg(lab()))
    torch.testing.assert_close(methods.ditto(lab(), strength), methods.local(lab()))
    torch.testing.assert_close(methods.fedamp(lab(), strength), methods.local(lab()))
    torch.testing.assert_close(methods.ipfl(lab(), strength), methods.local(lab()))


def test_a_pull_is_the_gradient_of_half_the_squared_distance():
    weights, centre = torch.randn(2, 5, requires_grad=True), torch.randn(2, 5)
    (0.3 / 2 * (weights - centre).square().sum()).backward()
    torch.testing.assert_close(methods._towards(centre, 0.3)(weights.detach()), weights.grad)


def test_the_gradients_of_the_cosines_are_autograds():
    weights, others = torch.randn(3, 6, requires_grad=True), torch.randn(3, 6)
    (0.7 * torch.cosine_similarity(weights, others).sum()).backward()
    torch.testing.assert_close(methods._cosine_gradient(others, 0.7, weights.detach()), weights.grad)
    shares = torch.rand(3, 3).fill_diagonal_(0)
    fixed = weights.detach()
    own = fixed.clone().requires_grad_()
    (-(shares * torch.cosine_similarity(own.unsqueeze(1), fixed.unsqueeze(0), dim=2)).sum()).backward()
    torch.testing.assert_close(methods._pulled(fixed, shares), own.grad)


def test_pfedgraphs_shares_are_the_nearest_that_add_up_to_one():
    shares = methods._onto_simplex(torch.tensor([[0.5, 0.5, 0.5], [2.0, 0.0, 0.0], [0.6, 0.6, -1.0]]))
    torch.testing.assert_close(shares, torch.tensor([[1 / 3, 1 / 3, 1 / 3], [1.0, 0.0, 0.0], [0.5, 0.5, 0.0]]))


def test_cfl_splits_a_group_that_pulls_two_ways():
    updates = torch.tensor([[3.0, 0.1], [3.0, -0.1], [-3.0, 0.1], [-3.0, -0.1]])
    assert sorted(methods._split(updates, [0, 1, 2, 3], still=1, moving=2)) == [[0, 1], [2, 3]]
    assert methods._split(updates, [0, 1, 2, 3], still=1, moving=4) == [[0, 1, 2, 3]]


def test_ipfls_threshold_is_where_a_model_is_just_worth_its_cost():
    total = methods._threshold(600, 1.0)
    assert sqrt(methods.K / (total - 600)) - sqrt(methods.K / total) == pytest.approx(1.0)


def test_ipfl_buys_as_many_equal_models_as_are_worth_their_cost():
    graph = methods._ipfl_graph([6000] * 9, [[0.0] * 9] * 9)
    assert graph.sum(dim=1).tolist() == [2] * 9


def test_the_papers_utility_of_two_models_each_and_of_fedavg():
    two = torch.zeros(10, 10, dtype=torch.bool)
    for buyer in range(10):
        two[buyer, [(buyer + 1) % 10, (buyer + 2) % 10]] = True
    everybody = ~torch.eye(10, dtype=torch.bool)
    assert utilities([two], [6000] * 10) == pytest.approx([1.858] * 10, abs=1e-3)
    assert utilities([everybody], [6000] * 10) == pytest.approx([-2.758] * 10, abs=1e-3)


def test_a_model_that_is_half_alike_counts_for_half_its_samples():
    graph = torch.tensor([[0, 1], [0, 0]], dtype=torch.bool)
    alike = torch.tensor([[1.0, 0.5], [0.5, 1.0]])
    found = utilities([graph], [6000, 6000], [alike])
    assert found == pytest.approx([methods.paper_gain(6000, 3000), -1.0], rel=1e-5)


def test_what_buyers_of_the_market_make_of_deliveries_is_what_nodes_make_of_them():
    clients = lab(sizes=(20, 250, 240), rounds=1, steps=60)
    stand = Stand(clients, Rule(floor=0.0, trust=10**6))
    offers = clients.train(clients.base, 0)
    forgotten = {name: torch.zeros_like(tensor) for name, tensor in stand.base.items()}
    delivered = {}
    stand.deliveries = lambda *given: delivered.update({**Stand.deliveries(stand, *given), 2: forgotten}) or delivered
    after = stand.play(1, offers)
    assert len(delivered) == 3
    kept = []
    for buyer, model in delivered.items():
        owner = clients.federation.owners[buyer]
        training = OwnTraining(CNN, owner, clients.practice, base_seed=7, seed=3 * 3 + buyer)
        own = clients.crowd.split(offers[buyer])
        adoption = adopt(training, stand.base, own, model, int(clients.graphs[0][buyer].sum()), 1, trust=10**6)
        kept += [buyer] if adoption.kept_own else []
        for row, weights in ((after, adoption.offer), (stand.used, adoption.model)):
            torch.testing.assert_close(row[buyer], clients.crowd.join(weights), rtol=1e-3, atol=1e-5)
    assert kept == [2]


def test_the_markets_knobs_reach_the_mixture():
    plain = METHODS["market"](lab(), floor=0.0)
    assert not torch.equal(plain, METHODS["market"](lab(), floor=0.0, trust=1))
    assert not torch.equal(plain, METHODS["market"](lab(), floor=0.0, back=0.0))
    assert not torch.equal(plain, METHODS["market"](lab(), floor=0.0, max_sellers=1))
    torch.testing.assert_close(METHODS["market"](lab(), value=1e-9), methods.local(lab()))


def test_ipfls_prices_are_marginal_and_cancel():
    graph = torch.tensor([[0, 1, 1], [0, 0, 0], [0, 0, 0]], dtype=torch.bool)
    net = methods._ipfl_prices(graph, [6000] * 3, torch.zeros(3, 3)).tolist()
    marginal = methods.paper_gain(6000, 12000) - methods.paper_gain(6000, 6000)
    assert net == pytest.approx([2 * marginal, -marginal, -marginal], rel=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_leaves_the_base_alone_and_gives_the_same_again(method):
    clients = lab()
    before = clients.base.clone()
    first = METHODS[method](clients)
    assert torch.equal(clients.base, before)
    assert first.isfinite().all() and torch.equal(first, METHODS[method](lab()))


def test_parts_are_whole_and_add_up():
    assert federation.parts(torch.tensor([0.5, 0.3, 0.2]), 7).tolist() == [4, 2, 1]


@pytest.mark.parametrize("partition", ["dirichlet", "clusters", "five_classes"])
def test_every_client_has_a_mix(partition):
    mixes = getattr(federation, partition)(9, 10, torch.Generator().manual_seed(0))
    assert mixes.shape == (9, 10) and (mixes >= 0).all() and (mixes.sum(dim=1) > 0).all()


def test_a_client_of_200_keeps_a_sixth_back_and_one_of_199_nothing():
    generator = torch.Generator().manual_seed(0)
    large, small = (federation.owner(pictures(n, 0), pictures(8, 1), 4, generator) for n in (200, 199))
    assert (len(large.training), len(large.holdout)) == (167, 33)
    assert (len(small.training), len(small.holdout)) == (199, 0)
