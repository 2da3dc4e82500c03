"""A training small enough to be done a thousand times: 40 weights of one line through noisy samples.

`tests.soak.pupil:number_3` is the third owner's: every owner has samples of its own of the same thing.
"""

from types import SimpleNamespace

import torch
from torch import Tensor, nn

from market_node.data import Examples

WIDTH = 39
TRAINING, HOLDOUT = 200, 40


def truth() -> Tensor:
    return torch.randn(WIDTH, generator=torch.Generator().manual_seed(0))


class Pupil:
    def __init__(self, number: int) -> None:
        draw = torch.Generator().manual_seed(number)
        inputs = torch.randn(TRAINING + HOLDOUT, WIDTH, generator=draw)
        labels = inputs @ truth() + 0.5 * torch.randn(len(inputs), generator=draw)
        self.samples = Examples(inputs, labels)

    def build_model(self) -> nn.Module:
        model = nn.Linear(WIDTH, 1)
        nn.init.zeros_(model.weight)
        nn.init.zeros_(model.bias)
        return model

    def load_data(self) -> SimpleNamespace:
        return SimpleNamespace(training=self.samples[:TRAINING], holdout=self.samples[TRAINING:])

    def train(self, model: nn.Module, examples: Examples, seed: int) -> None:
        optimiser = torch.optim.SGD(model.parameters(), 0.01)
        draw = torch.Generator().manual_seed(seed)
        for _ in range(5):
            chosen = torch.randperm(len(examples), generator=draw)[:64]
            optimiser.zero_grad()
            self.evaluate(model, examples[chosen]).mean().backward()
            optimiser.step()

    def evaluate(self, model: nn.Module, examples: Examples) -> Tensor:
        return (model(examples.inputs)[:, 0] - examples.labels).square()


def __getattr__(name: str) -> Pupil:
    if not name.startswith("number_"):
        raise AttributeError(name)
    return Pupil(int(name.removeprefix("number_")))
