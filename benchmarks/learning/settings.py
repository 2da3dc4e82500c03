"""The settings of the tables: whose data, how much of it, which model, how long."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import Any

import torch

from market_node.data import CLASSES, Examples, Owner, load
from market_node.learning import Practice

from . import data, federation
from .crowd import Crowd
from .lab import Lab

CNN: Mapping[str, Any] = {"kind": "cnn", "input": [1, 28, 28], "classes": CLASSES}

TESTED = 500
"""Pictures of each class that nobody has: what all are tested on."""

LONG = ", long"
"""Ends the name of a setting of the paper's length."""

SIZES = (30, 30, 60, 60, 120, 120, 240, 240, 480, 720, 1100, 1500)
"""Samples of owners of different size."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of a table."""

    name: str
    deal: Callable[[int], tuple[Owner, ...]]
    """Seed → the clients."""
    architecture: Mapping[str, Any] = field(default_factory=lambda: CNN)
    practice: Practice = field(default_factory=lambda: Practice(steps=40, rate=0.06, cools=True))
    """The rate is the one that `tune.rates` chose for local training and FedAvg with fine-tuning."""
    rounds: int = 10

    def lab(self, seed: int) -> Lab:
        """A run's start. The same seed has the same clients, base and batches for every method."""
        clients = federation.federation(self.deal(seed))
        return Lab(clients, Crowd(self.architecture, seed), self.practice, self.rounds, seed)

    @property
    def long(self) -> "Setting":
        """As long as the paper's: 50 rounds of 200 steps."""
        return replace(self, name=f"{self.name}{LONG}", practice=replace(self.practice, steps=200), rounds=50)


@cache
def pictures() -> Examples:
    """Fashion-MNIST."""
    return load("fashion-mnist")


def fashion(partition: str, sizes: tuple[int, ...], seed: int) -> tuple[Owner, ...]:
    """Fashion-MNIST as a function of `federation` deals it, to a client for each size."""
    generator = torch.Generator().manual_seed(seed)
    mixes = getattr(federation, partition)(len(sizes), CLASSES, generator)
    return federation.deal(pictures(), mixes, sizes, generator, TESTED)


PARTITIONS = {"five classes": "five_classes", "clusters": "clusters", "Dirichlet": "dirichlet"}

FASHION = tuple(
    Setting(f"{name}, {size}", partial(fashion, partition, (size,) * 9))
    for size in (60, 200, 600)
    for name, partition in PARTITIONS.items()
)

OTHERS = (
    Setting("emoji", data.emoji, {"kind": "cnn", "input": [1, 28, 28], "classes": data.EMOJI_CLASSES}),
    Setting("glosses", data.glosses, {"kind": "mlp", "input": [data.WORDS], "hidden": [32], "classes": data.FIELDS},
            Practice(steps=40, rate=0.4, cools=True)),
    Setting("Ta-Feng", data.ta_feng, {"kind": "mlp", "input": [data.BASKET], "hidden": [32], "classes": data.PRICES},
            Practice(steps=40, rate=0.1, cools=True)),
)  # fmt: skip

RULED = tuple(
    setting
    for setting in (*FASHION, *OTHERS)
    if setting.name in ("five classes, 60", "clusters, 60", "Dirichlet, 60", "clusters, 200", "emoji", "Ta-Feng")
)
"""Where each rule of the market is tried without."""

PAPER = Setting("five classes, 5000", partial(fashion, "five_classes", (5_000,) * 10))
"""Nearly as large as the paper's: ten clients share 50,000 pictures."""

OWNERS = tuple(
    Setting(f"owners, {name}", partial(fashion, partition, SIZES))
    for name, partition in PARTITIONS.items()
    if name != "Dirichlet"
)


def crowds(count: int, size: int = 60) -> tuple[Setting, ...]:
    """So many participants, each with `size` samples."""
    return tuple(
        Setting(f"{name}, {count} clients", partial(fashion, partition, (size,) * count))
        for name, partition in PARTITIONS.items()
    )
