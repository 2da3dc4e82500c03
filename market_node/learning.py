"""Training, and what a node makes of the model it bought.

Every function gives the same result for the same seed on one machine.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from itertools import islice
from math import inf, sqrt
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from .architecture import build
from .data import Examples, Owner
from .errors import BadInput, ConfigError

Weights = dict[str, Tensor]
"""A model's weights by name, as `state_dict` has them."""

TRUST = 200
"""n₀: on so many samples of its own, an owner gives its model and one that it bought equal shares."""

JUDGED_BY = 1_000
"""Training samples, at most, on which a buyer looks at a delivery before it mixes it in."""

DRAWN_BACK = 0.5
"""How far the model that a buyer uses lies back from the tuned mixture towards the mixture itself."""

LEAST_RATED = 30
"""Hold-out samples below which a node does not rate: two standard errors would say nothing."""

LEAST_GUARDED = 200
"""Training samples below which a hold-out costs more than it saves."""

BETTER, NEITHER, WORSE = 100, 75, 0
"""The ratings, hundredths."""


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


# --- what a buyer makes of its delivery ---


def mix(
    own: Weights, delivered: Weights, sellers: int, samples: int, trust: int = TRUST, useful: float = 1.0
) -> Weights:
    """The mixture that a buyer trains on from: (1 − α) · own + α · delivered.

    Args:
        sellers: k, how many it bought from.
        samples: N, its own training samples.
        trust: n₀.
        useful: what `usefulness` says of the delivery.
    """
    alpha = useful * share(sellers, samples, trust)
    return {name: tensor.lerp(delivered[name].to(tensor.dtype), alpha) for name, tensor in own.items()}


def share(sellers: int, samples: int, trust: int = TRUST) -> float:
    """The share of its delivery in a buyer's mixture, α. Arguments as for `mix`."""
    return sellers * trust / (sellers * trust + samples)  # α = k·n₀ / (k·n₀ + N)


def usefulness(base: Tensor, delivered: Tensor) -> float:
    """How much of its share a delivery gets: all where it knows no less of the buyer's samples than a model that knows
    nothing, none where its loss is twice as high, and evenly less in between.

    No seller has trained on the buyer's training samples, so that these tell nearly as honestly as a hold-out. (Nearly:
    sellers may have bought what the buyer sold before.)

    Args:
        base: loss of the task's base checkpoint on each of the buyer's training samples.
        delivered: loss of the delivery on the same samples.

    Returns:
        0 to 1.
    """
    nothing, known = float(base.to(torch.float64).mean()), float(delivered.to(torch.float64).mean())
    if not known < inf:  # or no number
        return 0.0
    if nothing <= 0:  # a loss that can be negative has no "twice"
        return float(known <= nothing)
    return min(1.0, max(0.0, 2 - known / nothing))


def judged_by(training: Examples) -> Examples:
    """The training samples on which a buyer looks at its delivery: `JUDGED_BY` at most, evenly from all."""
    return training[:: max(1, -(-len(training) // JUDGED_BY))]


def drawn_in(base: Weights, own: Weights, delivered: Weights) -> Weights:
    """The delivery, its update shortened to the length of the buyer's own where it is longer.

    Cosines know no length, so that a seller could offer its update ten times as long.

    Args:
        base: the task's base checkpoint, which updates count from.
    """
    longest, length = (_distance(base, weights) for weights in (own, delivered))
    if not 0 < longest < length:  # who has learned nothing has no length to compare with
        return delivered
    return {name: tensor.lerp(delivered[name].to(tensor.dtype), longest / length) for name, tensor in base.items()}


def drawn_back(tuned: Weights, mixture: Weights, useful: float, by: float = DRAWN_BACK) -> Weights:
    """The model that a buyer uses: the tuned mixture, drawn back towards the mixture.

    Few samples teach a model themselves rather than what they stand for; between where a fine-tuning began and where it
    ended lie models that do better on others (Wortsman et al. 2022, "Robust fine-tuning of zero-shot models").
    """
    return {name: tensor.lerp(mixture[name].to(tensor.dtype), useful * by) for name, tensor in tuned.items()}


def _distance(one: Weights, other: Weights) -> float:
    return sqrt(sum(float((other[name].double() - tensor.double()).square().sum()) for name, tensor in one.items()))


def rating(own: Tensor, new: Tensor) -> int | None:
    """What a buyer says of its delivery: better or worse only by more than two standard errors.

    Args:
        own: loss of the buyer's own model on each hold-out sample.
        new: loss of the mixture on the same samples, after the same fine-tuning.

    Returns:
        Hundredths; None where the hold-out is too small to tell.
    """
    if len(own) < LEAST_RATED:
        return None
    gain, error = _paired(own, new)
    if gain > 2 * error:
        return BETTER
    return WORSE if gain < -2 * error else NEITHER


def keeps_own(own: Tensor, new: Tensor, samples: int) -> bool:
    """Whether a buyer drops the mixture.

    It does where it has enough samples and the hold-out loss is worse by more than one standard error; and always where
    the mixture has diverged.

    Args:
        own, new: as for `rating`.
        samples: the buyer's training samples.
    """
    if not new.isfinite().all():
        return True
    if samples < LEAST_GUARDED or len(own) < LEAST_RATED:
        return False
    gain, error = _paired(own, new)
    return gain < -error


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a buyer's hold-out says of its delivery."""

    rating: int | None
    """Hundredths; None where the hold-out is too small to tell."""
    keeps_own: bool
    """Whether the mixture is dropped."""
    draws_back: bool
    """Whether the model that is used is the one drawn back."""


def verdict(own: Tensor, new: Tensor, back: Tensor, samples: int) -> Verdict:
    """Judges by losses of the same hold-out samples.

    Args:
        own: of the buyer's own model, trained on.
        new: of the mixture, after the same fine-tuning.
        back: of that, drawn back.
        samples: the buyer's training samples.
    """
    draws_back = len(new) < LEAST_RATED or float(back.mean()) <= float(new.mean())
    return Verdict(rating(own, new), keeps_own(own, new, samples), draws_back)


def _paired(own: Tensor, new: Tensor) -> tuple[float, float]:
    """By how much the new losses are lower on average, and the standard error of that."""
    if len(own) != len(new):
        raise BadInput(f"paired losses are of the same samples, not of {len(own)} and {len(new)}")
    if not new.isfinite().all():
        return -inf, 0.0  # NaN compares false with everything: a diverged model would pass for an even one
    if not own.isfinite().all():
        return inf, 0.0
    gains = own.to(torch.float64) - new.to(torch.float64)
    return float(gains.mean()), float(gains.std() / len(gains) ** 0.5)


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


@dataclass(frozen=True, slots=True)
class Adoption:
    """What came of a delivery."""

    model: Weights
    """What the owner uses."""
    offer: Weights
    """What it trains on from, and offers in the next round."""
    rating: int | None
    """Hundredths; None where its hold-out is too small to tell."""
    kept_own: bool
    """Whether the guard dropped the mixture."""


def fine_tune(training: Training, weights: Weights, seed: int) -> Weights:
    """Weights trained on from `weights` on the owner's samples."""
    return weights_of(_tuned(training, weights, seed))


def adopt(
    training: Training,
    base: Weights,
    own: Weights,
    delivered: Weights,
    sellers: int,
    seed: int,
    trust: int = TRUST,
) -> Adoption:
    """Mixes a delivery in, fine-tunes, rates and guards.

    Args:
        base: the task's base checkpoint.
        own: the weights that the buyer offered in the round.
        delivered: its personal model.
        sellers: how many it bought from.
        seed: the one that `fine_tune` would get without a delivery, so that both arms see the same batches.
        trust: n₀.
    """
    shares = training.load_data()
    samples = len(shares.training)
    near = drawn_in(base, own, delivered)
    judges = judged_by(shares.training)
    useful = usefulness(*(_losses(training, weights, judges) for weights in (base, near)))
    mixture = mix(own, near, sellers, samples, trust, useful)
    alone, tuned = (fine_tune(training, weights, seed) for weights in (own, mixture))
    back = drawn_back(tuned, mixture, useful)
    without, after, drawn = (_losses(training, weights, shares.holdout) for weights in (alone, tuned, back))
    said = verdict(without, after, drawn, samples)
    if said.keeps_own or not _is_finite(tuned):
        return Adoption(alone, alone, said.rating, kept_own=True)
    return Adoption(back if said.draws_back else tuned, tuned, said.rating, kept_own=False)


def _is_finite(weights: Weights) -> bool:
    return all(bool(tensor.isfinite().all()) for tensor in weights.values())


def _losses(training: Training, weights: Weights, examples: Examples) -> Tensor:
    model = training.build_model()
    model.load_state_dict(weights)
    return training.evaluate(model, examples).detach()


def _tuned(training: Training, weights: Weights, seed: int) -> nn.Module:
    model = training.build_model()
    model.load_state_dict(weights)
    training.train(model, training.load_data().training, seed)
    return model
