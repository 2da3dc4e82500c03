"""Rounds of the market among owners who all train privately, beside training alone on the same steps."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from benchmarks.learning import runs
from benchmarks.learning.lab import Lab
from benchmarks.learning.market import Rule, Stand
from benchmarks.learning.settings import FASHION, Setting
from market_node.adoption import DRAWN_BACK, FORGOTTEN, JUDGED_BY, LEAST_GUARDED, LEAST_RATED
from market_node.learning import Weights
from market_node.private import DELTA_POWER, ONE_BY_ONE

from .crowd import CLIP, Budget, PrivateLab
from .targets import PRACTICE, ROUNDS, RULES, Found, cached

SETTINGS = ("clusters, 60", "clusters, 200")

TRAININGS = {"alone": 1 + ROUNDS, "market": 1 + ONE_BY_ONE * ROUNDS}
"""How many the budget is for: rounds here never overlap."""

CONSTANTS = (
    *(Rule(), DRAWN_BACK, FORGOTTEN, JUDGED_BY, LEAST_RATED, LEAST_GUARDED, CLIP, DELTA_POWER, TRAININGS),
    runs.RULES["market"],
)
"""What else decides what comes of a run."""


def measure(name: str, epsilon: float | None, seed: int, stored: bool = False) -> Found | None:
    """Accuracy of each client, alone and after the market's rounds, percent. As `targets.measure`."""
    said = repr((name, epsilon, seed, ROUNDS, PRACTICE, RULES, CONSTANTS))
    file = f"market-{name}-{epsilon}-{seed}".replace(", ", "-")
    return cached(file, said, lambda: _measure(name, epsilon, seed), stored)


def _measure(name: str, epsilon: float | None, seed: int) -> Found:
    setting = next(each for each in FASHION if each.name == name)
    alone, market = (_lab(setting, epsilon, seed, trainings) for trainings in TRAININGS.values())
    weights = alone.base
    for part in range(ROUNDS + 1):
        weights = alone.train(weights, part)
    stand = (Stand if epsilon is None else PrivateStand)(market, Rule())
    traded = market.train(market.base, 0)
    for number in range(1, ROUNDS + 1):
        traded = stand.play(number, traded)
    bought = float(torch.stack(market.graphs).sum()) / (market.clients * ROUNDS)
    return {"alone": alone.measure(weights), "market": market.measure(stand.used), "bought": bought}


class PrivateStand(Stand):
    """What a buyer asks its training samples about a delivery, it asks its hold-out: as `PrivateTraining` answers."""

    def _known(self, client: int) -> Callable[[Weights], Tensor]:
        holdout = self.lab.federation.owners[client].holdout
        if len(holdout) < LEAST_RATED:
            return lambda weights: torch.zeros(1)
        return partial(self._losses, holdout)


def _lab(setting: Setting, epsilon: float | None, seed: int, trainings: int) -> Lab:
    plain = replace(setting, practice=PRACTICE, rounds=ROUNDS).lab(seed)
    if epsilon is None:
        return plain
    budget = Budget(epsilon, trainings)
    return PrivateLab(plain.federation, plain.crowd, plain.practice, ROUNDS, seed, budget=budget)
