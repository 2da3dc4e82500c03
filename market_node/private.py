"""Training under differential privacy: DP-SGD (Abadi et al. 2016) by Opacus, with one budget for all rounds.

Each step takes every sample with the same probability, clips each sample's gradient and adds noise to the sum. How much
noise follows from the budget and from how often the owner will train: once for its first offer, and twice in each
round, because a delivery is judged beside what the owner's model would have become without it.

What was spent is written to a file before it is spent, so that no crash makes it less. The noise of a training is drawn
from a secret in that file and from what is trained: a training that is taken again after a crash gives the same bytes
and spends nothing more, and no two trainings share their noise.
"""

import hashlib
import hmac
import json
import secrets
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from .claim import Claim
from .data import Examples
from .errors import BadInput, ConfigError, StateError
from .files import replacing
from .learning import LEAST_RATED, Practice, Shares, Training
from .noise import Chance

DELTA_POWER = 1.1
"""δ is N^−1.1 for N samples, where the owner says nothing else: below 1/N, at which publishing one of N samples whole
would count as private."""


@dataclass(frozen=True, slots=True)
class Run:
    """One training, as its privacy sees it."""

    name: str
    """Of what was trained, by which it is known again; hex."""
    noise: float
    """The noise multiplier: standard deviation of the noise, in clipping norms."""
    rate: float
    """The probability with which a step takes a sample."""
    steps: int


class Ledger:
    """The file of all trainings that may have left something behind, and of the secret that their noise comes from.

    Raises:
        StateError: a file is there that is none.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.secret, self.runs = secrets.token_bytes(32), list[Run]()
        try:
            stored = json.loads(self.path.read_bytes())
            self.secret = bytes.fromhex(stored["secret"])
            self.runs = [Run(**run) for run in stored["runs"]]
        except FileNotFoundError:
            return
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise StateError(f"the privacy ledger {self.path} cannot be read: restore it from a backup") from error

    def name(self, *parts: bytes) -> str:
        """Of a training, by all that decides what comes of it. Says nothing to who lacks the secret."""
        lengths = b"".join(len(part).to_bytes(8) for part in parts)
        return hmac.digest(self.secret, lengths + b"".join(parts), "sha256").hex()

    def enter(self, run: Run) -> None:
        """Writes a training down, unless it is there."""
        if run in self.runs:
            return
        self.runs.append(run)
        stored = {"secret": self.secret.hex(), "runs": [asdict(each) for each in self.runs]}
        with replacing(self.path, 0o600) as file:
            file.write(json.dumps(stored, indent=1).encode() + b"\n")


@dataclass(frozen=True)
class PrivateTraining:
    """A `learning.Training` that spends a privacy budget. Have one in the module that your policy names."""

    own: Training
    """Whose network, samples and evaluation these are. Its own way to train is not used."""
    practice: Practice
    """`batch` is how many samples a step takes on average."""
    epsilon: float
    """The budget, for all rounds."""
    rounds: int
    """In how many rounds the owner takes part at most."""
    ledger: Path | str
    """Where it is written down what is spent. Who deletes the file forgets what it has given away."""
    delta: float | None = None
    """Without, N^−1.1 for N samples."""
    clip: float = 1.0
    """The norm to which each sample's gradient is cut."""

    def __post_init__(self) -> None:
        if not self.epsilon > 0 or self.rounds < 1 or not self.clip > 0:
            raise ConfigError("a private training needs an epsilon and a clip above 0, and at least one round")
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

        The same call gives the same weights, as long as the ledger is the same.

        Raises:
            BadInput: the budget is spent, or the first model to train from is not the one that `build_model` makes.
        """
        if len(examples) == 0:
            raise BadInput("nothing to train on")
        ledger = Ledger(self.ledger)
        run = self._run(ledger, model, examples, seed)
        if run not in ledger.runs:
            self._check(ledger.runs, run, model)
            ledger.enter(run)
        key = hmac.digest(ledger.secret, b"noise" + bytes.fromhex(run.name), "sha256")
        descend(model, examples, self.practice, run, self.clip, key)

    def claim(self) -> Claim | None:
        """What is spent by now; None before the first training."""
        runs = Ledger(self.ledger).runs
        delta = self._delta(len(self.load_data().training))
        return Claim(_up(spent(runs, delta)), delta) if runs else None

    @property
    def trainings(self) -> int:
        """For how many trainings the budget is: one before the first round, and two after each."""
        return 1 + 2 * self.rounds

    def _delta(self, samples: int) -> float:
        return samples**-DELTA_POWER if self.delta is None else self.delta

    def _run(self, ledger: Ledger, model: nn.Module, examples: Examples, seed: int) -> Run:
        rate = min(1.0, self.practice.batch / len(examples))
        steps = self.practice.steps
        noise = noise_multiplier(self.epsilon, self._delta(len(examples)), rate, steps * self.trainings)
        weights = _bytes(model.state_dict().values())
        samples = _bytes((examples.inputs, examples.labels))
        said = repr((self.practice, self.clip, noise, seed)).encode()
        return Run(ledger.name(weights, samples, said), noise, rate, steps)

    def _check(self, runs: list[Run], run: Run, model: nn.Module) -> None:
        if not runs and not _equal(model, self.build_model()):
            raise BadInput(
                "the first private training starts from other weights than build_model makes: a model that was trained "
                "on the samples before cannot be made private. Start in a new home, from the task's base checkpoint"
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


def _equal(one: nn.Module, other: nn.Module) -> bool:
    mine, theirs = one.state_dict(), other.state_dict()
    return mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)


def _alike(one: Examples, other: Examples) -> bool:
    return torch.equal(one.labels, other.labels) and torch.equal(one.inputs, other.inputs)


def _bytes(tensors: Any) -> bytes:
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
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
