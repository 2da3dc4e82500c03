"""What every method runs on: the same data, base, batches and steps."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn.functional import normalize

from market_node.learning import Practice, accuracy, batch_order, shuffling_seed

from .crowd import Crowd, Pull
from .federation import Federation

K, COST = 5e5, 1.0
"""The paper's: a buyer of N samples gains √(K/N) − √(K/(N + x)) from x more; giving a model away once costs 1."""


@dataclass
class Lab:
    """One run's clients, before any method."""

    federation: Federation
    crowd: Crowd
    practice: Practice
    rounds: int
    seed: int
    graphs: list[Tensor] = field(default_factory=list)
    """For each round: `clients x clients`, bool, whose model each client got."""
    likeness: list[Tensor] = field(default_factory=list)
    """For each round: `clients x clients`, the cosines of the updates, 0 where negative."""
    notes: dict[str, object] = field(default_factory=dict)
    """What else a method found."""

    @property
    def clients(self) -> int:
        return len(self.federation.owners)

    @property
    def base(self) -> Tensor:
        return self.crowd.base(self.clients)

    @property
    def sizes(self) -> Tensor:
        """Samples of each client, float32."""
        return torch.tensor(self.federation.samples, dtype=torch.float32)

    def train(self, weights: Tensor, part: int, pull: Pull | None = None, rows: Sequence[int] | None = None) -> Tensor:
        """Trains for the steps between two rounds.

        Args:
            weights: `clients x weights`, of `rows` where given.
            part: which steps: 0 before the first round, `rounds` after the last. The same part has the same batches.
            rows: the clients, if not all.
        """
        chosen = list(range(self.clients)) if rows is None else list(rows)
        if not chosen:
            return weights.clone()
        batches = torch.stack([self._batches(client, part) for client in chosen], dim=1)
        data = self.federation
        inputs, labels = (data.inputs, data.labels) if rows is None else (data.inputs[chosen], data.labels[chosen])
        return self.crowd.train(weights, inputs, labels, batches, self.practice, pull)

    def _batches(self, client: int, part: int) -> Tensor:
        """`steps x batch`, filled up with −1."""
        seed = shuffling_seed(self.seed * self.clients + client, part)
        order = batch_order(self.federation.samples[client], self.practice.batch, seed, self.practice.steps)
        filled = torch.full((self.practice.steps, self.practice.batch), -1)
        filled[:, : order.shape[1]] = order
        return filled

    def measure(self, weights: Tensor) -> list[float]:
        """Accuracy of each client on its own mix of labels, percent."""
        owners = self.federation.owners
        return [
            100 * accuracy(self.crowd.load(row), owner.test, owner.label_mix)
            for row, owner in zip(weights, owners, strict=True)
        ]

    def trade(self, graph: Tensor, weights: Tensor) -> None:
        """Writes down who got whose model, of those that were trained for a round."""
        unit = normalize(weights - self.base, dim=1)
        self.graphs.append(graph)
        self.likeness.append((unit @ unit.T).clamp(min=0))

    def everybody(self) -> Tensor:
        """The graph of a method in which each client gets every other's model."""
        return ~torch.eye(self.clients, dtype=torch.bool)
