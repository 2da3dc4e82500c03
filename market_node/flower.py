"""A Flower client as a participant's training.

The client runs unmodified, where Flower is installed: `python` names the interpreter of its environment, because Flower
pins other versions than a node needs. Each message (train, evaluate) is a process of its own with a fresh context; what
goes in and out are a model file and a few figures in a folder that vanishes (see `flower_child`), also where the node
is killed (`retention`). Nothing is pickled.

Of its hold-out samples a client tells only the mean loss. By one figure a node can neither rate nor guard; with
`losses`, a function of yours that gives the loss of each sample, it does both.
"""

import json
import os
import signal
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from .bare import Bare
from .canonical import check_depth
from .data import Examples
from .errors import BadInput, ConfigError
from .retention import new_scratch
from .weights import write_weights

CHILD = Path(__file__).with_name("flower_child.py")

COUNTS = ("num-examples", "num_examples")
"""What a client calls the number of its samples."""

_MOST_REPLY = 1 << 20
_MOST_HEADER = 1 << 20


@dataclass(frozen=True, slots=True)
class Counted:
    """An owner's samples, of which a node knows how many there are."""

    training: Examples
    holdout: Examples


def _counted(count: int) -> Examples:
    return Examples(torch.empty(count, 0), torch.zeros(count, dtype=torch.int64))


@dataclass(frozen=True)
class FlowerTraining:
    """A `learning.Training` that asks a Flower client. Have one in the module that your policy names."""

    folder: Path | str
    """Of the Flower app: where its modules are, and its pyproject.toml."""
    base: Path | str
    """The task's base checkpoint, whose names and shapes the client's arrays must have."""
    samples: int
    """On how many samples the client trains. What it says itself must agree."""
    python: Path | str = sys.executable
    """The interpreter of the environment in which the client runs."""
    client: str | None = None
    """A ClientApp, a client, a class of clients or a function that makes one, as `package.module:name`. Without, what
    pyproject.toml names."""
    order: Sequence[str] | None = None
    """The task's tensors in the order of the client's arrays, where it does not name them: every NumPyClient."""
    config: Mapping[str, Any] = field(default_factory=dict)
    """What the server would say with each message, e.g. {"lr": 0.1}."""
    node_config: Mapping[str, Any] = field(default_factory=dict)
    """What the client's node would know, e.g. {"partition-id": 0, "num-partitions": 3}."""
    run_config: Mapping[str, Any] = field(default_factory=dict)
    """Goes before what pyproject.toml configures."""
    loss: str | None = None
    """What the client calls its mean loss. Without, the one metric that has "loss" in its name."""
    losses: str | None = None
    """A function of yours beside the client: arrays by name and the context → the loss of each hold-out sample."""
    holdout: int = 0
    """How many losses that gives."""
    longest: float = 86_400.0
    """Seconds after which a message is given up."""

    def build_model(self) -> nn.Module:
        """The base checkpoint. The network is the client's."""
        return Bare(self._base)

    def load_data(self) -> Counted:
        """How many samples there are; they stay with the client."""
        return Counted(_counted(self.samples), _counted(self.holdout if self.losses else 1))

    def train(self, model: nn.Module, examples: Examples, seed: int) -> None:
        """One train message."""
        reply, arrays = self._ask("train", model.state_dict(), seed)
        for name in COUNTS:
            if (count := reply["metrics"].get(name, self.samples)) != self.samples:
                raise BadInput(f"the Flower client has trained on {count} samples, `samples` says {self.samples}")
        model.load_state_dict(named(arrays, reply["names"], self._base, self.order))

    def evaluate(self, model: nn.Module, examples: Examples) -> Tensor:
        """The loss of each hold-out sample, whichever are asked for: it can tell of no others. Without `losses` the
        client's mean, as if of one."""
        reply, _ = self._ask("losses" if self.losses else "evaluate", model.state_dict(), seed=0)
        losses = reply["losses"] if self.losses else [mean_loss(reply["metrics"], self.loss)]
        return torch.tensor(losses, dtype=torch.float64)

    # --- the client ---

    @cached_property
    def _base(self) -> dict[str, Tensor]:
        try:
            return load_file(self.base)
        except (OSError, SafetensorError) as error:
            raise ConfigError(f"the base checkpoint {str(self.base)!r} cannot be read ({error})") from None

    @cached_property
    def _app(self) -> tuple[str, dict[str, Any]]:
        """The client's import path, and its configuration."""
        path = Path(self.folder, "pyproject.toml")
        try:
            app = tomllib.loads(path.read_text(encoding="utf-8"))["tool"]["flwr"]["app"] if path.exists() else {}
            client = self.client or app["components"]["clientapp"]
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(f"no Flower client: say `client`, or name one in {path} ({error!r})"[:300]) from None
        return client, {**_flat(app.get("config", {})), **self.run_config}

    def _ask(self, kind: str, weights: Mapping[str, Tensor], seed: int) -> tuple[dict[str, Any], list[Tensor]]:
        """What the client answers to a message, and with which arrays, in its own order."""
        client, run_config = self._app
        request = {
            "kind": kind,
            "client": client,
            "losses": self.losses,
            "folder": str(Path(self.folder).resolve()),
            "order": in_order(self._base, self.order),
            "is_ordered": self.order is not None,
            "config": dict(self.config),
            "node_config": dict(self.node_config),
            "run_config": run_config,
            "seed": seed,
        }
        with new_scratch() as name:
            folder = Path(name)
            (folder / "request.json").write_text(json.dumps(request), encoding="utf-8")
            write_weights(folder / "in.safetensors", {name: _for_numpy(each) for name, each in weights.items()})
            self._run(folder)
            reply = read_reply(folder / "reply.json", kind)
            return reply, read_arrays(folder / "out.safetensors", reply["names"], self._base) if kind == "train" else []

    def _run(self, folder: Path) -> None:
        """Runs the client until it has answered; whatever it has started ends with it."""
        try:
            process = subprocess.Popen(
                [str(self.python), "-I", str(CHILD), str(folder)],
                cwd=self.folder,
                stdin=subprocess.PIPE,  # its end tells the client that the node is gone
                stdout=2,  # what it prints is for the log
                start_new_session=True,
            )
        except OSError as error:
            raise ConfigError(f"the Flower client cannot be started: {error}") from None
        try:
            code = process.wait(self.longest)
        except subprocess.TimeoutExpired:
            raise BadInput(f"the Flower client did not answer in {self.longest:g} s") from None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            assert process.stdin is not None
            process.stdin.close()
        if not (folder / "reply.json").exists():
            raise BadInput(
                f"the Flower client ended with exit code {code} and no answer; has {self.python} the packages flwr and "
                "safetensors?"
            )


# --- what comes back ---


def read_reply(path: Path, kind: str) -> dict[str, Any]:
    """The client's answer to a message of that kind.

    Raises:
        BadInput: it says what went wrong, or cannot be read.
    """
    try:
        text = path.read_bytes() if path.stat().st_size <= _MOST_REPLY else b""
        check_depth(text)
        reply = json.loads(text)
    except ValueError:
        reply = None
    if isinstance(reply, dict) and isinstance(reply.get("error"), str):
        raise BadInput(f"the Flower client failed: {reply['error']}"[:400])
    if isinstance(reply, dict) and (
        (_is_list(reply.get("losses"), float) if kind == "losses" else _is_list(reply.get("names"), str))
        and (kind == "losses" or isinstance(reply.get("metrics"), dict))
    ):
        return reply
    raise BadInput("the Flower client's answer cannot be read")


def _is_list(value: Any, kind: type) -> bool:
    return isinstance(value, list) and all(isinstance(each, kind) for each in value)


def read_arrays(path: Path, names: Sequence[str], base: Mapping[str, Tensor]) -> list[Tensor]:
    """The arrays that a client has given, in its order.

    Args:
        names: what the client calls them; one each.
        base: a file much larger than this one is not read.
    """
    most = _MOST_HEADER + 8 * sum(tensor.numel() for tensor in base.values())  # they may come as float64
    try:
        if (size := path.stat().st_size) > most:
            raise BadInput(f"the Flower client gives {size} bytes of arrays, where the task has {most} at most")
        arrays = load_file(path)
        return [arrays[str(index)] for index in range(len(names))]
    except (OSError, SafetensorError, KeyError) as error:
        raise BadInput(f"the Flower client's arrays cannot be read ({error!r})"[:300]) from None


def in_order(base: Mapping[str, Tensor], order: Sequence[str] | None) -> list[str]:
    """The base's names as the client has them: in `order`, or sorted where it goes by names.

    Raises:
        ConfigError: an order of other names than the base's.
    """
    if order is None:
        return sorted(base)
    if wrong := sorted(set(order) ^ base.keys()):
        what = "is not one of the task's tensors" if wrong[0] in order else "is missing"
        raise ConfigError(f"`order` names each of the task's tensors once: {wrong[0]!r} {what}")
    if len(order) != len(base):
        raise ConfigError("`order` names each of the task's tensors once: one stands there twice")
    return list(order)


def named(
    arrays: Sequence[Tensor], names: Sequence[str], base: Mapping[str, Tensor], order: Sequence[str] | None = None
) -> dict[str, Tensor]:
    """A client's arrays as the weights of a model, in the dtypes of the base.

    Args:
        names: what the client calls its arrays. Where these are not the base's, `order` decides.

    Raises:
        BadInput: they do not fit. One line, which names the array and the tensor.
    """
    if set(names) != base.keys():
        if order is None:
            raise BadInput(
                f"the Flower client calls its arrays {_few(names)}, the task {_few(sorted(base))}: say `order`"
            )
        names = in_order(base, order)
        if len(arrays) != len(names):
            raise BadInput(f"the Flower client gives {len(arrays)} arrays, the task has {len(names)} tensors")
    for place, (name, array) in enumerate(zip(names, arrays, strict=True)):
        if array.shape != base[name].shape:
            raise BadInput(
                f"the Flower client's array {place} is {list(array.shape)}, tensor {name!r} of the task is "
                f"{list(base[name].shape)}"
            )
    return {name: array.to(base[name].dtype) for name, array in zip(names, arrays, strict=True)}


def mean_loss(metrics: Mapping[str, Any], name: str | None = None) -> float:
    """The loss among a client's metrics.

    Raises:
        BadInput: none of that name, or not one that could be meant.
    """
    found = [name] if name else [each for each in metrics if "loss" in each]
    if len(found) != 1 or not isinstance(metrics.get(found[0]), int | float):
        raise BadInput(
            f"the Flower client says {_few(list(metrics))} of its model: say in `loss` which is the mean loss"
        )
    return float(metrics[found[0]])


def _few(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:4])) + (", …" if len(names) > 4 else "") if names else "nothing"


def _for_numpy(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.dtype == torch.bfloat16 else tensor  # which NumPy does not have


def _flat(config: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Tables within tables as Flower names them: {"a": {"b": 1}} is {"a.b": 1}."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        flat |= _flat(value, f"{before}{key}.") if isinstance(value, Mapping) else {f"{before}{key}": value}
    return flat
