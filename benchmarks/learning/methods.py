"""Every method, over the same loops: `method(lab, **knobs)` → the clients' last models, `clients x weights`.

All train for the same steps: before the first round, between rounds, and after the last. What each one does between two
trainings is what makes it. Where a method has code of the iPFL paper's (19dx/iPFL), the rule is that code's.
"""

from collections.abc import Callable
from functools import partial
from math import sqrt

import torch
from torch import Tensor
from torch.nn.functional import normalize

from .lab import COST, K, Lab
from .market import market

OTHER_BATCHES = 1_000
"""More parts than any run has."""

Method = Callable[..., Tensor]


def local(lab: Lab) -> Tensor:
    """Nobody shares."""
    weights = lab.base
    for part in range(lab.rounds + 1):
        weights = lab.train(weights, part)
    return weights


def local_again(lab: Lab) -> Tensor:
    """The same with batches in another order: what is by chance."""
    weights = lab.base
    for part in range(lab.rounds + 1):
        weights = lab.train(weights, part + OTHER_BATCHES)
    return weights


def fedavg(lab: Lab, proximal: float = 0.0, personal_layers: int = 0, back: float = 0.0) -> Tensor:
    """One model for all, the mean by samples (McMahan et al. 2017), which each client then trains for itself.

    Args:
        proximal: μ of FedProx (Li et al. 2020).
        personal_layers: how many of the last layers are not shared: FedPer (Arivazhagan et al. 2019).
        back: how far the last models are drawn back to the mean that they were tuned from. No paper's; the market's.
    """
    weights = lab.base
    own = lab.crowd.columns(personal_layers)
    for part in range(lab.rounds):
        weights = lab.train(weights, part, _towards(weights, proximal))
        lab.trade(lab.everybody(), weights)
        weights = torch.where(own, weights, _mean(lab, weights))
    return lab.train(weights, lab.rounds, _towards(weights, proximal)).lerp(weights, back)


def fedavg_untuned(lab: Lab) -> Tensor:
    """The same, without training for oneself: the mean once more."""
    weights = fedavg(lab)
    return _mean(lab, weights).expand_as(weights)


def ditto(lab: Lab, strength: float = 1.0) -> Tensor:
    """A model of one's own, held near the common one (Li et al. 2021). It trains twice as much."""
    common = own = lab.base
    for part in range(lab.rounds + 1):
        own = lab.train(own, part, _towards(common, strength))
        if part < lab.rounds:
            trained = lab.train(common, part)
            lab.trade(lab.everybody(), trained)
            common = _mean(lab, trained).expand_as(own)
    return own


def fedamp(lab: Lab, strength: float = 0.01, self_weight: float = 0.3, sharpness: float = 10.0) -> Tensor:
    """Each client is held near a mean of its own, in which like models count more (Huang et al. 2021)."""
    weights, pull = lab.base, None
    for part in range(lab.rounds + 1):
        weights = lab.train(weights, part, pull)
        if part < lab.rounds:
            like = (sharpness * _cosines(weights - lab.base)).exp().fill_diagonal_(0)
            shares = (1 - self_weight) * normalize(like, p=1, dim=1) + self_weight * torch.eye(lab.clients)
            pull = _towards(shares @ weights, strength)
            lab.trade(lab.everybody(), weights)
    return weights


def cfl(lab: Lab, still: float = 2.0, moving: float = 2.5, back: float = 0.0) -> Tensor:
    """A model for each cluster; one that stands still while its clients still move is split (Sattler et al. 2020)."""
    groups, weights = [list(range(lab.clients))], lab.base
    for part in range(lab.rounds):
        trained = lab.train(weights, part)
        groups = [half for group in groups for half in _split(trained - weights, group, still, moving)]
        lab.trade(_together(lab, groups), trained)
        for group in groups:
            weights[group] += (trained - weights)[group].mean(dim=0)
    return lab.train(weights, lab.rounds).lerp(weights, back)


def pfedgraph(lab: Lab, alpha: float = 0.8, pull: float = 0.01) -> Tensor:
    """Each client starts from a mean whose shares weigh likeness against sample counts (Ye et al. 2023)."""
    weights, direction = lab.base, None
    prior = lab.sizes / lab.sizes.sum()
    for part in range(lab.rounds + 1):
        weights = lab.train(weights, part, direction)
        if part < lab.rounds:
            shares = _onto_simplex(prior + _cosines(weights - lab.base) / (2 * alpha))
            lab.trade((shares > 0) & lab.everybody(), weights)
            weights = shares @ weights
            direction = partial(_cosine_gradient, weights, pull)
    return weights


def ipfl(lab: Lab, strength: float = 0.001, eta: float = 5.0) -> Tensor:
    """The iPFL paper's, as its code has it: sellers in the order of thresholds, a pull along the gradient of cosines,
    marginal prices. Value K and cost c are the paper's."""
    weights, pull = lab.base, None
    prices = torch.zeros(lab.clients)
    for part in range(lab.rounds + 1):
        weights = lab.train(weights, part, pull)
        if part < lab.rounds:
            updates = weights - lab.base
            distance = 1 - _cosines(updates)
            graph = _ipfl_graph(lab.federation.samples, (strength * distance).tolist())
            shares = graph * lab.sizes / lab.sizes.unsqueeze(1)
            target = weights - eta * _pulled(updates, shares)
            pull = _towards(target, strength / eta)
            prices += _ipfl_prices(graph, lab.federation.samples, strength * distance)
            lab.trade(graph, weights)
    lab.notes["prices"] = prices.tolist()
    return weights


# --- their parts ---


def _towards(centre: Tensor, strength: float) -> Callable[[Tensor], Tensor] | None:
    """The gradient of strength/2 · |w − centre|²."""
    return (lambda weights: strength * (weights - centre)) if strength else None


def _mean(lab: Lab, weights: Tensor) -> Tensor:
    """The mean by samples, one row."""
    return (lab.sizes / lab.sizes.sum()) @ weights


def _cosines(updates: Tensor) -> Tensor:
    unit = normalize(updates, dim=1)
    return unit @ unit.T


def _split(updates: Tensor, group: list[int], still: float, moving: float) -> list[list[int]]:
    """The group, or its two halves: each as alike inside as can be (complete linkage)."""
    moved = updates[group]
    if len(group) <= 2 or moved.mean(dim=0).norm() >= still or moved.norm(dim=1).max() <= moving:
        return [group]
    from sklearn.cluster import AgglomerativeClustering

    halves = AgglomerativeClustering(metric="precomputed", linkage="complete").fit(-_cosines(moved).numpy()).labels_
    return [[client for client, half in zip(group, halves, strict=True) if half == which] for which in (0, 1)]


def _together(lab: Lab, groups: list[list[int]]) -> Tensor:
    graph = torch.zeros(lab.clients, lab.clients, dtype=torch.bool)
    for group in groups:
        graph[torch.tensor(group).unsqueeze(1), torch.tensor(group)] = True
    return graph & lab.everybody()


def _onto_simplex(rows: Tensor) -> Tensor:
    """The nearest point to each row whose entries are at least 0 and add up to 1 (Duchi et al. 2008)."""
    ordered = rows.sort(dim=1, descending=True).values
    excess = (ordered.cumsum(dim=1) - 1) / torch.arange(1, rows.shape[1] + 1)
    last = (ordered > excess).sum(dim=1, keepdim=True) - 1
    return (rows - excess.gather(1, last)).clamp(min=0)


def _cosine_gradient(centre: Tensor, strength: float, weights: Tensor) -> Tensor:
    """The gradient of strength · cos(w, centre); the plus is the code's."""
    norms, others = weights.norm(dim=1, keepdim=True), normalize(centre, dim=1)
    cosines = (weights * others).sum(dim=1, keepdim=True) / norms
    return strength * (others - cosines * weights / norms) / norms


def _pulled(updates: Tensor, shares: Tensor) -> Tensor:
    """The gradient of −Σ_j share_ij · cos(update_i, update_j) by the own update."""
    norms = updates.norm(dim=1, keepdim=True)
    unit = updates / norms
    wanted = shares @ unit
    return -(wanted - (wanted * unit).sum(dim=1, keepdim=True) * unit) / norms


def _ipfl_graph(samples: list[int], penalties: list[list[float]]) -> Tensor:
    """Who imports from whom: in order of threshold, the largest first, as long as the total stays below it."""
    clients = len(samples)
    graph = torch.zeros(clients, clients, dtype=torch.bool)
    for buyer, own in enumerate(samples):
        thresholds = [
            _threshold(samples[seller], COST + penalties[buyer][seller] * samples[seller] / own)
            for seller in range(clients)
        ]
        total = own
        for seller in sorted(range(clients), key=lambda seller: -thresholds[seller]):
            if seller == buyer:
                continue
            if total + samples[seller] >= thresholds[seller]:
                break
            graph[buyer, seller] = True
            total += samples[seller]
    return graph


def _threshold(samples: int, cost: float) -> float:
    """The total x at which `samples` of it are just worth their cost: √(K/(x − N)) − √(K/x) = cost."""
    low, high = float(samples), 1e12
    for _ in range(200):
        middle = (low + high) / 2
        worth = sqrt(K / (middle - samples)) - sqrt(K / middle) if middle > samples else float("inf")
        low, high = (middle, high) if worth > cost else (low, middle)
    return low


def paper_gain(own: int, imported: float) -> float:
    """G of the paper, in its units."""
    return sqrt(K / own) - sqrt(K / (own + imported))


def _ipfl_prices(graph: Tensor, samples: list[int], penalties: Tensor) -> Tensor:
    """What each client pays less what it is paid: a seller's marginal gain, less the penalty for its distance."""
    net = torch.zeros(len(samples))
    for buyer, row in enumerate(graph):
        sellers = row.nonzero().flatten().tolist()
        total = sum(samples[seller] for seller in sellers)
        for seller in sellers:
            price = paper_gain(samples[buyer], total) - paper_gain(samples[buyer], total - samples[seller])
            price -= float(penalties[buyer, seller]) * samples[seller] / samples[buyer]
            net[buyer] += price
            net[seller] -= price
    return net


METHODS: dict[str, Method] = {
    "local": local,
    "FedAvg": fedavg_untuned,
    "FedAvg + fine-tuning": fedavg,
    "FedPer": partial(fedavg, personal_layers=1),
    "FedProx": partial(fedavg, proximal=0.01),
    "Ditto": ditto,
    "FedAMP": fedamp,
    "CFL": cfl,
    "pFedGraph": pfedgraph,
    "iPFL": ipfl,
    "market": market,
}

CHECKS: dict[str, Method] = {"local, other batches": local_again}
"""No methods, but what says how far figures of methods can be trusted."""
