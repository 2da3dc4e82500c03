"""Training under differential privacy: DP-SGD (Abadi et al. 2016) by Opacus, with one budget for all rounds.

Each step takes every sample with the same probability, clips each sample's gradient and adds noise to the sum. How much
noise follows from the budget and from how often the owner will train.

What was spent is written to a file before it is spent (`spending`). The chance of a training is drawn from a secret in
that file and from what is trained: a training that is taken again after a crash gives the same bytes and spends nothing
more, and no two trainings share their noise.
"""

import hashlib
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from .adoption import LEAST_RATED
from .claim import Claim
from .data import Examples
from .errors import BadInput, ConfigError, NodeError
from .learning import Practice, Shares, Training, Weights
from .noise import Chance
from .spending import Run, Spending

DELTA_POWER = 1.1
"""δ is N^−1.1 for N samples, where the owner says nothing else: below 1/N, at which publishing one of N samples whole
would count as private."""


OVERLAPPING, ONE_BY_ONE = 3, 2
"""So often a node trains in each round. Always twice when it judges a delivery: with it, and without. And once more for
its offer where it joins before it has judged the last round's delivery."""


@dataclass(frozen=True)
class PrivateTraining:
    """A `learning.Training` that spends a privacy budget. Have one in the module that your policy names."""

    own: Training
    """Whose network, samples and evaluation these are. Its own way to train is not used."""
    base: Path | str
    """The task's base checkpoint, from which the first training starts."""
    practice: Practice
    """`batch` is how many samples a step takes on average."""
    epsilon: float
    """The budget, for all rounds."""
    rounds: int
    """In how many rounds the owner takes part at most."""
    spending: Path | str
    """The file of what is spent; an absolute path. Who deletes it forgets what was given away."""
    delta: float | None = None
    """Without, N^−1.1 for N samples."""
    clip: float = 1.0
    """The norm to which each sample's gradient is cut."""
    trainings_per_round: int = OVERLAPPING
    """For how many the budget is. `ONE_BY_ONE` needs less noise, and is enough where no round begins before the last
    one's delivery is judged; training is refused earlier where that is wrong."""

    def __post_init__(self) -> None:
        if not self.epsilon > 0 or self.rounds < 1 or not self.clip > 0:
            raise ConfigError("a private training needs an epsilon and a clip above 0, and at least one round")
        if self.trainings_per_round < 1:
            raise ConfigError("a private training needs a budget for at least one training in each round")
        if self.delta is not None and not 0 < self.delta < 1:
            raise ConfigError(f"delta is a probability between 0 and 1, not {self.delta}")

    def build_model(self) -> nn.Module:
        return self.own.build_model()

    def load_data(self) -> Shares:
        return self.own.load_data()

    def evaluate(self, model: nn.Module, examples: Examples) -> Tensor:
        """The losses of the hold-out samples. Of any others, their number times what the hold-out loses on average.

        What is done with a delivery, and so what is offered next, may depend on losses: those of training samples would
        tell of them without noise. Where the hold-out is too small to tell either, all losses are 0.
        """
        holdout = self.load_data().holdout
        if _alike(examples, holdout):
            return self.own.evaluate(model, examples)
        if len(holdout) < LEAST_RATED:
            return torch.zeros(len(examples))
        return self.own.evaluate(model, holdout).detach().mean().expand(len(examples))

    def train(self, model: nn.Module, examples: Examples, seed: int) -> None:
        """Trains a model in place, if the budget allows it.

        The same call gives the same weights, as long as the file of what is spent is the same.

        Raises:
            BadInput: the network or the samples cannot be trained on privately, the budget is spent, or the first
                model to train from is not the task's base checkpoint. Nothing is spent then.
            StateError: the same training has given other weights before.
        """
        refuse_unfit(model, examples, self.clip)
        spending = Spending(self.spending)
        with spending.alone():
            run = self._run(spending, model, examples, seed)
            if run not in spending.runs:
                self._check(spending.runs, run, model)
                spending.enter(run)
        name = bytes.fromhex(run.name)
        with _torch_seeded(spending.derive("torch", name)):
            descend(model, examples, self.practice, run, self.clip, spending.derive("noise", name))
        spending.conclude(run, _digest(model.state_dict()).hex())

    def claim(self) -> Claim | None:
        """What is spent by now; None before the first training."""
        runs = Spending(self.spending).runs
        delta = self._delta(len(self.load_data().training))
        return Claim(_up(spent(runs, delta)), delta) if runs else None

    @property
    def trainings(self) -> int:
        """For how many trainings the budget is: one for the first offer, and some in each round."""
        return 1 + self.trainings_per_round * self.rounds

    def _delta(self, samples: int) -> float:
        return samples**-DELTA_POWER if self.delta is None else self.delta

    def _run(self, spending: Spending, model: nn.Module, examples: Examples, seed: int) -> Run:
        """Its name stands for all that decides what comes of the training."""
        opacus, _ = _opacus()
        rate = min(1.0, self.practice.batch / len(examples))
        steps = self.practice.steps
        noise = noise_multiplier(self.epsilon, self._delta(len(examples)), rate, steps * self.trainings)
        samples = _digest({"inputs": examples.inputs, "labels": examples.labels})
        said = repr((self.practice, self.clip, noise, seed, torch.__version__, opacus.__version__))
        parts = (_digest(model.state_dict()), repr(model).encode(), samples, said.encode())
        return Run(spending.derive("name", *parts).hex(), noise, rate, steps)

    def _check(self, runs: list[Run], run: Run, model: nn.Module) -> None:
        if not runs and not _equal(model.state_dict(), _read(self.base)):
            raise BadInput(
                "the first private training starts from other weights than the task's base checkpoint: a model that "
                "was trained on the samples before cannot be made private. Start in a new home"
            )
        delta = self._delta(len(self.load_data().training))
        if spent([*runs, run], delta) > self.epsilon:
            raise BadInput(
                f"the privacy budget is spent: {len(runs)} trainings took ε = {spent(runs, delta):.3f} of "
                f"{self.epsilon:g} at δ = {delta:.2g}. Stop taking part (stop_after_rounds = {self.rounds} in "
                "node.toml), or take a larger epsilon, which then holds for what was published before as well"
            )


def descend(model: nn.Module, examples: Examples, practice: Practice, run: Run, clip: float, key: bytes) -> None:
    """DP-SGD on the cross entropy, in place: Poisson samples, clipped gradients, Gaussian noise.

    Args:
        key: 32 bytes that all chance comes from. Who knows them can take the noise away.
    """
    opacus, optimizers = _opacus()
    model.train()
    hooked = opacus.GradSampleModule(model, loss_reduction="sum")
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    expected = run.rate * len(examples)
    try:
        plain = torch.optim.SGD(trained, practice.rate, momentum=practice.momentum, weight_decay=practice.decay)
        clipping = optimizers.DPOptimizer(  # its noise would come from torch's generator
            plain, noise_multiplier=0.0, max_grad_norm=clip, expected_batch_size=expected
        )
        for step in range(run.steps):
            chance = Chance(key, step)
            chosen = chance.uniform(len(examples)) < run.rate
            plain.param_groups[0]["lr"] = practice.rate_at(step)
            clipping.zero_grad(set_to_none=True)
            if chosen.any():  # a network need not know what to do with no samples
                loss = cross_entropy(hooked(examples.inputs[chosen]), examples.labels[chosen], reduction="sum")
                with warnings.catch_warnings():
                    warnings.filterwarnings("ignore", "Full backward hook")  # the first input needs no gradient
                    loss.backward()  # type: ignore[no-untyped-call]
                clipping.pre_step()
            for parameter in trained:
                noise = (chance.normal(parameter.shape) * (run.noise * clip / expected)).to(parameter)
                parameter.grad = noise if parameter.grad is None else parameter.grad + noise
            plain.step()
    finally:
        hooked.to_standard_module()


def refuse_unfit(model: nn.Module, examples: Examples, clip: float) -> None:
    """Takes a step on a copy, so that what cannot be trained spends nothing.

    Raises:
        BadInput: the samples or the network do not fit.
    """
    labels = examples.labels
    if len(labels) < 2:
        raise BadInput(f"a private training needs two samples at least, not {len(labels)}")
    if labels.dtype != torch.int64 or labels.dim() != 1 or len(examples.inputs) != len(labels) or labels.min() < 0:
        said = f"{len(examples.inputs)} inputs and labels of shape {list(labels.shape)}, {labels.dtype}"
        raise BadInput(f"a private training needs a class for each sample, an int64 from 0 on, not {said}")
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and parameter.dtype not in (torch.float32, torch.float64):
            raise BadInput(f"a private training needs weights in float32 or float64; {name!r} is {parameter.dtype}")
    extremes = examples[torch.stack([labels.argmin(), labels.argmax()])]
    try:
        with _torch_seeded(bytes(32)):
            descend(deepcopy(model), extremes, Practice(steps=1), Run("", 1.0, 1.0, 1), clip, bytes(32))
    except NodeError:
        raise
    except Exception as error:
        said = " ".join(str(error).split())[:200]
        raise BadInput(f"this network cannot be trained privately: {type(error).__name__}: {said}") from error


# --- accounting ---


def spent(runs: Sequence[Run], delta: float) -> float:
    """ε of all these trainings together, at δ: Rényi differential privacy, an upper bound."""
    accountant = _accountants().RDPAccountant()
    accountant.history = [(run.noise, run.rate, run.steps) for run in runs]
    return float(accountant.get_epsilon(delta))


@cache
def noise_multiplier(epsilon: float, delta: float, rate: float, steps: int) -> float:
    """The least noise, about, with which so many steps spend ε at δ, not more."""
    return float(
        _accountants().utils.get_noise_multiplier(
            target_epsilon=epsilon, target_delta=delta, sample_rate=rate, steps=steps, accountant="rdp"
        )
    )


def _up(epsilon: float) -> float:
    """Rounded up to a thousandth: a claim is never less than what was spent."""
    return (int(epsilon * 1000) + 1) / 1000


# --- parts ---


@contextmanager
def _torch_seeded(key: bytes) -> Iterator[None]:
    """What a network draws from torch itself, as dropout does, follows from a key too."""
    with torch.random.fork_rng():
        torch.manual_seed(int.from_bytes(key[:8]))
        yield


def _read(base: Path | str) -> Weights:
    try:
        return load_file(base)
    except (OSError, SafetensorError) as error:
        raise ConfigError(f"the base checkpoint {str(base)!r} cannot be read ({error})") from None


def _equal(mine: Weights, base: Weights) -> bool:
    return mine.keys() == base.keys() and all(torch.equal(mine[name], base[name].to(mine[name])) for name in mine)


def _alike(one: Examples, other: Examples) -> bool:
    return torch.equal(one.labels, other.labels) and torch.equal(one.inputs, other.inputs)


def _digest(tensors: Weights) -> bytes:
    digest = hashlib.sha256()
    for name, tensor in tensors.items():
        digest.update(repr((name, tensor.dtype, tuple(tensor.shape))).encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.digest()


def _opacus() -> tuple[Any, Any]:
    try:
        import opacus
        import opacus.optimizers
    except ImportError as error:
        raise ConfigError(f"private training needs opacus: pip install 'market-node[privacy]' ({error})") from error
    return opacus, opacus.optimizers


def _accountants() -> Any:
    _opacus()
    import opacus.accountants
    import opacus.accountants.utils

    return opacus.accountants
