"""Who takes part in the demo, with which pictures and which bids. Amounts are base units of an 18-decimal token."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from .data import CLASSES, Owner, deal, load
from .errors import BadInput
from .learning import OwnTraining, Practice, Weights
from .records import NOT_SELLING, ONE, Bid

TOKEN = 10**18

TRAINING, HOLDOUT = 130, 35
"""Pictures that an owner trains on, and that it keeps back."""

_GROUPS = {
    "mostly classes 0, 1, 2": (0, 1, 2),
    "mostly classes 3, 4, 5": (3, 4, 5),
    "mostly classes 6, 7, 8": (6, 7, 8),
}
"""Three groups of owners and the classes that each one mostly sees; class 9 is seen alike by all."""

_MOSTLY = 5
"""How many times as many pictures of one of its classes a group gets as another group does."""


@dataclass(frozen=True, slots=True)
class Actor:
    """One of the nine participants."""

    name: str
    role: str
    """What the demo shows with it."""
    group: str
    """What its pictures show, for people."""
    shares: tuple[int, ...]
    """`CLASSES`: which part of each class's pictures it gets, relative to the others."""
    value: int
    """What a perfect model is worth to it; 0, it does not buy."""
    cost: int
    """What giving its model away really costs it; `NOT_SELLING`, it does not sell."""
    asks: int
    """What it bids as its cost. Another than `cost` is a lie."""
    claims: int
    """What it bids as its samples. Another than it trains on is a lie."""
    offers_noise: bool = False
    """Whether it offers random weights in place of its model."""

    @property
    def bid(self) -> Bid:
        """What it commits to in every round."""
        return Bid(self.value, self.asks, self.claims, min_reputation=0)

    @property
    def is_honest(self) -> bool:
        """Whether it bids what is true and offers what it trained."""
        return self.asks == self.cost and self.claims == TRAINING and not self.offers_noise

    @property
    def is_buyer(self) -> bool:
        return self.value > 0


@dataclass(frozen=True, slots=True)
class Scenario:
    """One demo. The aggregator and the auditor are accounts of their own, with no pictures and no bid."""

    dataset: str
    seed: int
    """Of the base checkpoint, of who gets which pictures and of every training step."""
    actors: tuple[Actor, ...]
    """In the order in which they commit."""
    architecture: Mapping[str, Any]
    practice: Practice
    rounds: int = 3
    fee: int = 1 * TOKEN
    reveal_bond: int = 10 * TOKEN
    """A deposit is at most 16 of these, 160 tokens: enough for the highest value, 120, the fee and the bond itself."""
    bond: int = 200 * TOKEN
    max_samples: int = 4096
    """A newcomer, whose reputation is 1/32, is believed 128 samples: what an honest one here has, and no more."""
    similarity_floor: int = ONE // 4
    """Six standard deviations (0.040) of the cosine between noise and a model here; models of two groups have 0.3."""
    max_sellers: int = 3
    """As many as a group has beside the buyer, and one more."""

    def owners(self) -> tuple[Owner, ...]:
        """The pictures of each actor."""
        shares = [actor.shares for actor in self.actors]
        return deal(load(self.dataset), shares, self.seed, TRAINING, HOLDOUT)

    def trainings(self, owners: tuple[Owner, ...]) -> tuple[OwnTraining, ...]:
        """How each actor learns, in the actors' order. `build_model` of any of them gives the base checkpoint."""
        return tuple(
            OwnTraining(
                self.architecture, owner, self.practice, base_seed=self.seed, seed=self.seed * len(owners) + index
            )
            for index, owner in enumerate(owners)
        )


def demo_scenario(seed: int = 0, dataset: str = "digits") -> Scenario:
    """The demo's nine participants.

    Raises:
        BadInput: no such data set.
    """
    if dataset not in _INPUTS:
        raise BadInput(f"no data set {dataset!r}; there are {' and '.join(_INPUTS)}")
    first, second, third = _GROUPS
    return Scenario(
        dataset,
        seed,
        actors=(
            _actor("amber", "buys and sells", first, value=100, cost=2),
            _actor("basil", "buys and sells", first, value=80, cost=3),
            _actor("coral", "free-rider: offers noise, claims 100,000 samples", first, value=100, cost=0,
                   claims=100_000, offers_noise=True),
            _actor("dune", "buys and sells", second, value=100, cost=2),
            _actor("ember", "lies: asks twice its true cost", second, value=90, cost=3, asks=6),
            _actor("fjord", "only buys", second, value=120, cost=None),
            _actor("grove", "buys and sells", third, value=100, cost=4),
            _actor("heath", "buys and sells", third, value=110, cost=2),
            _actor("iris", "only sells", third, value=0, cost=1),
        ),
        architecture={"kind": "mlp", "input": _INPUTS[dataset], "hidden": [64], "classes": CLASSES},
        practice=Practice(steps=60),
    )  # fmt: skip


_INPUTS = {"digits": [1, 8, 8], "fashion-mnist": [1, 28, 28]}
"""Channels, height, width."""


def _actor(
    name: str,
    role: str,
    group: str,
    *,
    value: int,
    cost: int | None,
    asks: int | None = None,
    claims: int = TRAINING,
    offers_noise: bool = False,
) -> Actor:
    """An actor from whole tokens."""
    true = NOT_SELLING if cost is None else cost * TOKEN
    bid = true if asks is None else asks * TOKEN
    shares = tuple(_MOSTLY if label in _GROUPS[group] else 1 for label in range(CLASSES))
    return Actor(name, role, group, shares, value * TOKEN, true, bid, claims, offers_noise)


def noise(base: Weights, model: Weights, seed: int) -> Weights:
    """What a free-rider offers: the base plus noise of the size that its own training would have moved each tensor."""
    generator = torch.Generator().manual_seed(seed)
    return {
        name: tensor + torch.randn(tensor.shape, generator=generator) * (model[name] - tensor).square().mean().sqrt()
        for name, tensor in base.items()
    }
