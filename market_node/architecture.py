"""Small networks by name, so that a task spec can say in JSON what its weights belong to."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from .errors import BadInput


def build(architecture: Mapping[str, Any], seed: int) -> nn.Sequential:
    """A freshly initialised model: the task's base checkpoint, if `seed` is the task's.

    Args:
        architecture: `{"kind": "mlp", "input": [...], "hidden": [...], "classes": n}` or
            `{"kind": "cnn", "input": [channels, height, width], "classes": n}`; the latter is
            LeCun's small one: 6 and 16 filters of 5 × 5, each pooled by 2, then layers of 120 and 84.

    Raises:
        BadInput: another kind, a key missing or unknown, or a size that does not work.
    """
    kind = architecture.get("kind")
    if kind not in _KINDS:
        raise BadInput(f"no architecture {kind!r}; there are {' and '.join(_KINDS)}")
    builder, keys = _KINDS[kind]
    if set(architecture) != {"kind", *keys}:
        raise BadInput(f"architecture {kind!r} has the keys {', '.join(keys)}, not {', '.join(architecture)}")
    with _seeded(seed):
        return builder(*(architecture[key] for key in keys))


def _mlp(size: list[int], hidden: list[int], classes: int) -> nn.Sequential:
    widths = [torch.Size(size).numel(), *hidden]
    layers = [layer for i, o in pairwise(widths) for layer in (nn.Linear(i, o), nn.ReLU())]
    return nn.Sequential(nn.Flatten(), *layers, nn.Linear(widths[-1], classes))


def _cnn(size: list[int], classes: int) -> nn.Sequential:
    channels, height, width = size
    height, width = (((side - 4) // 2 - 4) // 2 for side in (height, width))
    if min(height, width) < 1:
        raise BadInput(f"architecture 'cnn' needs inputs of at least 16 x 16, not {size[1]} x {size[2]}")
    return nn.Sequential(
        *(nn.Conv2d(channels, 6, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(16 * height * width, 120), nn.ReLU()),
        *(nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, classes)),
    )


_KINDS: dict[str, tuple[Callable[..., nn.Sequential], tuple[str, ...]]] = {
    "mlp": (_mlp, ("input", "hidden", "classes")),
    "cnn": (_cnn, ("input", "classes")),
}


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Torch's initialisers know no generator but the global one: borrow it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
