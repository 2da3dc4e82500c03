"""Runs an owner's training for a node: one lesson at a time, in a process of its own.

An owner's code is found by its import path and is a `learning.Training`: `build_model`, `load_data`, `train`,
`evaluate`. Whatever it does (prints, crashes, leaks, hangs, takes a GPU), the node goes on: a lesson gives one file of
weights and a few figures, or one line that says why not. A node that is killed takes its lesson with it.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from .errors import BadInput, NodeError
from .files import replacing
from .retention import scratch_in

LOG_TAIL = 200
"""Characters of what a training said last, where it ended without a word."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """What is to be learned. Plain values, because they cross to another process."""

    training: str
    """The owner's training, `package.module:name`."""
    folder: str
    """Where its module is looked for first."""
    start: str
    """The weights to begin with, a safetensors file."""
    out: str
    """Where the weights go; the figures go beside them, as JSON, when all is done."""
    seed: int
    delivered: str | None = None
    """The personal model to mix in and judge; None trains on alone."""
    sellers: int = 0
    """From how many the personal model was bought."""
    trust: int = 200
    """n₀ of the mixture."""
    base: str | None = None
    """The task's base checkpoint, where there is a delivery."""
    is_base: bool = False
    """Whether `start` is the task's base checkpoint, which no samples of the owner have shaped."""
    model: str | None = None
    """Where the model to use goes, where there is a delivery; `out` is the one to train on from."""
    scratch: str | None = None
    """Where models in clear may be for a while, the node's own folder for that; None is the system's."""


@dataclass(frozen=True, slots=True)
class Learned:
    """The figures of a lesson."""

    samples: int
    """What it was trained on."""
    loss: float | None
    """Mean loss of the weights beside it on the hold-out samples; None where there are none."""
    loss_before: float | None
    """The same of the weights at the start."""
    seconds: float
    rating: int | None = None
    """Of the delivery, hundredths; None where there was none, or the hold-out is too small to tell."""
    kept_own: bool = False
    """Whether the delivery was dropped, because it did harm."""
    loss_used: float | None = None
    """As `loss`, of the model to use, where it is another."""
    privacy: dict[str, Any] | None = None
    """What the training claims of it, as a model card says it; None where it claims nothing."""


def learn(lesson: Lesson) -> Learned:
    """Takes a lesson in this process and writes what came of it.

    Raises:
        ConfigError: no training is found.
        BadInput: it does not fit the task, or failed. One line, which names the method.
    """
    with scratch_in(lesson.scratch):
        return _learn(lesson)


def _learn(lesson: Lesson) -> Learned:
    from safetensors.torch import load_file

    from .adoption import adopt
    from .learning import find_training, fine_tune
    from .weights import write_weights

    began = time.monotonic()
    with _importing(lesson.folder), _blaming(lesson.training, "its import"):
        training = find_training(lesson.training)
    start = load_file(lesson.start)
    _check_model(lesson.training, training, start)
    with _blaming(lesson.training, "load_data"):
        shares = training.load_data()
        samples, held_out = len(shares.training), len(shares.holdout)
    if not samples:
        raise BadInput(f"the training {lesson.training!r} has nothing to train on: load_data gives no samples")
    _check_lineage(lesson, _claimed(lesson.training, training), hasattr(training, "claim"))

    with _blaming(lesson.training, "train or evaluate"):
        loss_before = _loss(training, start, shares.holdout) if held_out else None
        rating, kept_own = None, False
        if lesson.delivered is None:
            made = {lesson.out: fine_tune(training, start, lesson.seed)}
        else:
            assert lesson.base is not None and lesson.model is not None
            base, delivered = load_file(lesson.base), load_file(lesson.delivered)
            adoption = adopt(training, base, start, delivered, lesson.sellers, lesson.seed, lesson.trust)
            made = {lesson.out: adoption.offer, lesson.model: adoption.model}
            rating, kept_own = adoption.rating, adoption.kept_own
        losses = [_loss(training, weights, shares.holdout) if held_out else None for weights in made.values()]
    for path, weights in made.items():
        if odd := [name for name, tensor in weights.items() if not tensor.isfinite().all()]:
            raise BadInput(f"the training {lesson.training!r} has diverged: tensor {odd[0]!r} is not finite")
        write_weights(path, {name: tensor.contiguous() for name, tensor in weights.items()})
    seconds = round(time.monotonic() - began, 3)
    claimed = _claimed(lesson.training, training)
    used = losses[1] if lesson.model else None
    learned = Learned(samples, losses[0], loss_before, seconds, rating, kept_own, used, claimed)
    with replacing(figures_of(Path(lesson.out)), 0o600) as file:
        file.write(json.dumps(asdict(learned)).encode() + b"\n")
    return learned


def _claimed(path: str, training: Any) -> dict[str, Any] | None:
    """What a training that has a `claim` says of all that it has trained by now."""
    if (claims := getattr(training, "claim", None)) is None:
        return None
    with _blaming(path, "claim"):
        claim = claims()
        field: dict[str, Any] | None = None if claim is None else claim.field
        return field


def _check_lineage(lesson: Lesson, claimed: dict[str, Any] | None, claims: bool) -> None:
    """A training that claims privacy starts from the base checkpoint, or from a model whose figures claim it too.

    So the whole lineage of a model that claims does. And no less is spent than was spent before.
    """
    if not claims or lesson.is_base:
        return
    start = Path(lesson.start)
    before = read_learned(start, pruned=True)
    if before is None or not before.privacy:
        raise BadInput(
            f"{lesson.training!r} trains privately, but {start.name} was trained without: such a model cannot be made "
            "private. Start in a new home, from the task's base checkpoint, if nothing of these samples is published"
        )
    stated = before.privacy
    if claimed is None or (claimed["delta"] <= stated["delta"] and claimed["epsilon"] < stated["epsilon"]):
        raise BadInput(
            f"{lesson.training!r} knows of less privacy spent than {start.name} claims, ε = {stated['epsilon']:g}: "
            "an older file of what is spent was restored. Put the newest one in its place"
        )


def figures_of(weights: Path) -> Path:
    """Where the figures of a lesson's weights are. Once they are there, the lesson is done."""
    return weights.with_suffix(".json")


def read_learned(weights: Path, *, pruned: bool = False) -> Learned | None:
    """The figures of a lesson that is done; None where it is not, or a file of it is gone or damaged.

    Args:
        pruned: whether the weights may be gone.
    """
    try:
        figures = Learned(**json.loads(figures_of(weights).read_bytes()))
    except (OSError, ValueError, TypeError):
        return None
    return figures if pruned or weights.exists() else None


def _check_model(path: str, training: Any, start: dict[str, Any]) -> None:
    with _blaming(path, "build_model"):
        built = {name: tuple(tensor.shape) for name, tensor in training.build_model().state_dict().items()}
    wanted = {name: tuple(tensor.shape) for name, tensor in start.items()}
    if built != wanted:
        name = sorted(name for name in built.keys() | wanted.keys() if built.get(name) != wanted.get(name))[0]
        raise BadInput(
            f"the training {path!r} builds another model than the task's: tensor {name!r} is "
            f"{list(built[name]) if name in built else 'missing'}, the task has "
            f"{list(wanted[name]) if name in wanted else 'none of that name'}"
        )


def _loss(training: Any, weights: dict[str, Any], examples: Any) -> float:
    model = training.build_model()
    model.load_state_dict(weights)
    losses = training.evaluate(model, examples)
    if tuple(losses.shape) != (len(examples),):
        raise BadInput(f"evaluate gives {list(losses.shape)} values for {len(examples)} samples; it must give one each")
    return float(losses.detach().double().mean())


@contextmanager
def _importing(folder: str) -> Iterator[None]:
    """Looks for modules in `folder` first: an owner's file lies beside its configuration."""
    if folder not in sys.path:
        sys.path.insert(0, folder)
    yield


@contextmanager
def _blaming(path: str, what: str) -> Iterator[None]:
    """Whatever an owner's code raises becomes one line."""
    try:
        yield
    except NodeError:
        raise
    except Exception as error:
        said = " ".join(str(error).split())[:200]
        raise BadInput(f"the training {path!r} failed in {what}: {type(error).__name__}: {said}") from error


# --- beside the node ---


class Class(Protocol):
    """A lesson that is being taken."""

    def outcome(self) -> Learned | str | None:
        """What came of it: the figures, or why there are none; None while it goes on."""

    def stop(self) -> None:
        """Ends it, if it has not ended."""


class Apart:
    """A lesson in a process of its own, which ends when the node does."""

    def __init__(self, lesson: Lesson) -> None:
        self.log = Path(lesson.out).with_suffix(".log")
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "market_node.trainer"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,  # Ctrl-C is the node's to answer
            )
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):  # where it is dead already, `outcome` says so
            self.process.stdin.write(json.dumps(asdict(lesson)).encode() + b"\n")
            self.process.stdin.flush()  # and stays open: its end tells the process that the node is gone

    def outcome(self) -> Learned | str | None:
        """See `Class`."""
        if (code := self.process.poll()) is None:
            return None
        assert self.process.stdin is not None and self.process.stdout is not None
        self._end_all()  # what it has left may hold the pipe of the answer open
        os.set_blocking(self.process.stdout.fileno(), False)  # also where it is in a session of its own
        try:
            answer = json.loads(self.process.stdout.read() or b"")
            return Learned(**answer) if isinstance(answer, dict) else str(answer)
        except (ValueError, TypeError):
            how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
            said = " ".join(self.log.read_bytes()[-LOG_TAIL:].decode(errors="replace").split())
            return f"the training {how} and said last: {said or 'nothing'}"
        finally:
            self.process.stdout.close()
            with suppress(BrokenPipeError):
                self.process.stdin.close()

    def stop(self) -> None:
        """See `Class`."""
        self._end_all()
        self.process.wait()

    def _end_all(self) -> None:
        """Ends the process and what it has started, as far as that is still in its group."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)


class Within:
    """A lesson in a thread of the node. It cannot be stopped, only forgotten."""

    def __init__(self, lesson: Lesson) -> None:
        self._outcome: Learned | str | None = None
        threading.Thread(target=self._take, args=(lesson,), daemon=True).start()

    def _take(self, lesson: Lesson) -> None:
        try:
            self._outcome = learn(lesson)
        except Exception as error:
            self._outcome = str(error) if isinstance(error, NodeError) else f"{type(error).__name__}: {error}"

    def outcome(self) -> Learned | str | None:
        """See `Class`."""
        return self._outcome

    def stop(self) -> None:
        """See `Class`."""


class Trainer:
    """Takes one lesson at a time, beside what the node does.

    Args:
        isolate: whether lessons run in processes of their own.
        longest: seconds after which one is stopped.
    """

    def __init__(
        self, isolate: bool = True, longest: float = 86_400, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.running: tuple[str, int] | None = None
        """(Step, round) of the lesson that is being taken."""
        self._start: Callable[[Lesson], Class] = Apart if isolate else Within
        self._longest, self._clock = longest, clock
        self._class: Class | None = None
        self._end = 0.0

    def begin(self, key: tuple[str, int], lesson: Lesson) -> None:
        """Starts a lesson. There must be none."""
        assert self.running is None
        self._class, self.running, self._end = self._start(lesson), key, self._clock() + self._longest

    def outcome(self) -> tuple[tuple[str, int], Learned | str] | None:
        """The key of the lesson and what came of it, once, when it has ended."""
        if self.running is None or self._class is None:
            return None
        key, outcome = self.running, self._class.outcome()
        if outcome is None and self._clock() > self._end:
            self._class.stop()
            outcome = f"the training was stopped after {self._longest:g} s"
        if outcome is None:
            return None
        self._class, self.running = None, None
        return key, outcome

    def close(self) -> None:
        """Stops the lesson, if there is one: the next start takes it again."""
        if self._class is not None:
            self._class.stop()
        self._class, self.running = None, None


def main() -> None:
    """Takes the lesson on standard input; answers with its figures, or one line, on standard output."""
    with os.fdopen(os.dup(1), "w") as answer:
        os.dup2(2, 1)  # what the owner's code prints goes to the log
        lesson = Lesson(**json.loads(sys.stdin.readline()))
        threading.Thread(target=_end_with_the_node, daemon=True).start()
        try:
            said: Any = asdict(learn(lesson))
        except NodeError as error:
            said = str(error)
        answer.write(json.dumps(said))
    os._exit(0)  # threads that the owner's code has left must not hold it up


def _end_with_the_node() -> None:
    sys.stdin.read()
    os.killpg(0, signal.SIGKILL)  # its group is its own: this process, and what the training has started


if __name__ == "__main__":
    main()
