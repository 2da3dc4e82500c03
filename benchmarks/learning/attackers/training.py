"""Training, each once: kinds that sell nothing leave the others' rounds as they are."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..crowd import Pull
from ..lab import Lab

CLIENTS, ATTACKERS = 10, 2
"""Of the ten, the last ones of a shuffle by seed attack: 20 %."""

HONEST = CLIENTS - ATTACKERS

TARGET = 0
"""The class that a backdoor shows."""

TAUGHT = ("label-flip", "backdoor")
"""Kinds that train, on what they make of their samples."""


@dataclass
class Trained(Lab):
    """A lab that remembers what it has trained."""

    done: dict[bytes, Tensor] = field(default_factory=dict)
    apart: dict[str, list[Tensor]] = field(default_factory=dict)
    """Kind → the attackers' weights in each round, without the market."""

    def train(self, weights: Tensor, part: int, pull: Pull | None = None, rows: Sequence[int] | None = None) -> Tensor:
        assert pull is None
        key = hashlib.sha256(weights.numpy().tobytes() + repr((part, rows)).encode()).digest()
        if key not in self.done:
            self.done[key] = super().train(weights, part, rows=rows)
        return self.done[key].clone()

    def alone(self, kind: str, number: int) -> Tensor:
        """The attackers' weights in a round, trained on what they make of their own samples, without the market."""
        states = self.apart.setdefault(kind, [self.base[HONEST:]])
        lab = self._taught(kind)
        while len(states) <= number:
            states.append(lab.train(states[-1], len(states) - 1, rows=range(HONEST, CLIENTS)))
        return states[number]

    def _taught(self, kind: str) -> Lab:
        """The lab with the samples as a kind has them."""
        data = self.federation
        inputs, labels = data.inputs, data.labels
        if kind == "label-flip":
            labels = 9 - labels
        elif kind == "backdoor":
            marked = torch.arange(labels.shape[1]) % 3 == 0
            inputs, labels = inputs.clone(), labels.clone()
            inputs[:, marked], labels[:, marked] = mark(inputs[:, marked]), TARGET
        taught = type(data)(data.owners, inputs, labels)
        return Lab(taught, self.crowd, self.practice, self.rounds, self.seed)


def mark(inputs: Tensor) -> Tensor:
    """Pictures with a white square of 4 × 4 in a corner."""
    marked = inputs.clone()
    marked[..., :4, :4] = 1
    return marked
