"""Training: how an owner learns, with its own code or with what is here.

Every function gives the same result for the same seed on one machine.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from itertools import islice
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from .architecture import build
from .data import Examples, Owner
from .errors import BadInput, ConfigError

Weights = dict[str, Tensor]
"""A model's weights by name, as `state_dict` has them."""


def weights_of(model: nn.Module) -> Weights:
    """A copy of a model's weights."""
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


# --- training and measuring ---


@dataclass(frozen=True, slots=True)
class Practice:
    """How an owner trains: stochastic gradient descent on the cross entropy."""

    steps: int
    """Between two rounds."""
    batch: int = 32
    """Samples per step, or all of them where there are fewer."""
    rate: float = 0.05
    momentum: float = 0.9
    decay: float = 1e-5
    cools: bool = False
    """Whether the rate falls in a straight line to nothing, so that the last steps add no noise."""

    def rate_at(self, step: int) -> float:
        """The rate of a step, the first one being 0."""
        return self.rate * (1 - step / self.steps) if self.cools else self.rate


def train(model: nn.Module, examples: Examples, practice: Practice, seed: int) -> None:
    """Trains a model in place: whole batches of one shuffled pass after the other."""
    if len(examples) == 0:
        raise BadInput("nothing to train on")
    optimiser = torch.optim.SGD(
        model.parameters(), practice.rate, momentum=practice.momentum, weight_decay=practice.decay
    )
    model.train()
    for step, chosen in enumerate(batch_order(len(examples), practice.batch, seed, practice.steps)):
        optimiser.param_groups[0]["lr"] = practice.rate_at(step)
        optimiser.zero_grad()
        loss = cross_entropy(model(examples.inputs[chosen]), examples.labels[chosen])
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()


def batch_order(count: int, size: int, seed: int, steps: int) -> Tensor:
    """The samples of each step, of `count`: `steps x min(size, count)`."""
    batches = list(islice(_batches(count, size, seed), steps))
    return torch.stack(batches) if batches else torch.empty(0, min(size, count), dtype=torch.int64)


def _batches(count: int, size: int, seed: int) -> Iterator[Tensor]:
    size = min(size, count)
    generator = torch.Generator().manual_seed(seed)
    while True:
        order = torch.randperm(count, generator=generator)
        yield from order[: count - count % size].view(-1, size)


@torch.no_grad()
def losses(model: nn.Module, examples: Examples) -> Tensor:
    """Cross entropy of each sample: `n`, float32."""
    model.eval()
    return cross_entropy(model(examples.inputs), examples.labels, reduction="none")


@torch.no_grad()
def accuracy(model: nn.Module, examples: Examples, label_mix: Tensor | None = None) -> float:
    """Share of the samples that the model labels right.

    Args:
        label_mix: `classes`, the weight of each class: what an owner with this mix of labels would see. Without, every
            sample counts the same. Classes that `examples` lacks do not count.
    """
    model.eval()
    right = (model(examples.inputs).argmax(dim=1) == examples.labels).to(torch.float64)
    if label_mix is None:
        return float(right.mean())
    counts = torch.bincount(examples.labels, minlength=len(label_mix))
    weight = (label_mix.to(torch.float64) / counts)[examples.labels]
    return float((weight * right).sum() / weight.sum())


# --- an owner's own code ---


class Shares(Protocol):
    """What a node needs of an owner's samples."""

    @property
    def training(self) -> Examples: ...
    @property
    def holdout(self) -> Examples: ...


@runtime_checkable
class Training(Protocol):
    """An owner's own learning code. A node finds it by its import path and calls nothing else."""

    def build_model(self) -> nn.Module:
        """A model of the task's architecture; the node sets its weights."""

    def load_data(self) -> Shares:
        """The owner's training and hold-out samples."""

    def train(self, model: nn.Module, examples: Examples, seed: int) -> None:
        """Trains a model in place for as long as the owner trains between two rounds."""

    def evaluate(self, model: nn.Module, examples: Examples) -> Tensor:
        """Loss of each sample: `n`."""


def find_training(path: str) -> Training:
    """The training named by an import path, `package.module:name`; a class or function there is called.

    Raises:
        ConfigError: no such name, or no training.
    """
    module, _, name = path.partition(":")
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"no training at {path!r}, which should be package.module:name ({error})") from error
    training = found() if callable(found) else found
    if not isinstance(training, Training):
        raise ConfigError(f"{path!r} lacks one of build_model, load_data, train and evaluate")
    return training


def shuffling_seed(owner: int, seed: int) -> int:
    """A golden-ratio step keeps (owner, round) pairs apart: no two owners shuffle alike."""
    return (owner * 0x9E3779B97F4A7C15 + seed) % (1 << 63)


@dataclass(frozen=True, slots=True)
class OwnTraining:
    """The `Training` of an owner whose samples are at hand."""

    architecture: Mapping[str, Any]
    shares: Owner
    practice: Practice
    base_seed: int
    """Of the task's base checkpoint, the same for every owner."""
    seed: int
    """Of the owner's own shuffling."""

    def build_model(self) -> nn.Module:
        return build(self.architecture, self.base_seed)

    def load_data(self) -> Owner:
        return self.shares

    def train(self, model: nn.Module, examples: Examples, seed: int) -> None:
        train(model, examples, self.practice, shuffling_seed(self.seed, seed))

    def evaluate(self, model: nn.Module, examples: Examples) -> Tensor:
        return losses(model, examples)


def fine_tune(training: Training, weights: Weights, seed: int) -> Weights:
    """Weights trained on from `weights` on the owner's samples."""
    return weights_of(_tuned(training, weights, seed))


def _tuned(training: Training, weights: Weights, seed: int) -> nn.Module:
    model = training.build_model()
    model.load_state_dict(weights)
    training.train(model, training.load_data().training, seed)
    return model
