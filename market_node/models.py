"""A model file as the market sees it: checked against its task, in fixed point, with its root and fingerprint."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from .sketch import fingerprint
from .store import Store, cid_of
from .task import TASK_LIMIT, Task, parse_task, task_bytes
from .weights import block_root, file_limit, flatten, manifest_of, read_weights


@dataclass(frozen=True, slots=True)
class ReadModel:
    """One checked model."""

    update: Tensor
    """Weights minus the task's base, int64, one coordinate per weight, in the manifest's order."""
    root: bytes
    """Merkle root over the blocks of its fixed-point weights."""
    fingerprint: bytes
    """Of the update, under the task's own seed."""


@dataclass(frozen=True, slots=True)
class OpenTask:
    """A task with its base checkpoint at hand."""

    task: Task
    base: Tensor
    """Fixed-point weights, int32, in the manifest's order."""

    @property
    def file_limit(self) -> int:
        """Bytes that a model file of this task has at most."""
        return file_limit(self.task.manifest)

    def read(self, path: Path) -> ReadModel:
        """Checks the model file at `path` against the task.

        Raises:
            MalformedUpdate: not safetensors, wrong tensors, shapes or dtypes, or not finite.
            OutOfRange: a weight that its tensor's quantum cannot express.
        """
        weights = flatten(read_weights(path, self.task.manifest), self.task.manifest)
        update = weights.to(torch.int64) - self.base
        return ReadModel(update, block_root(weights), fingerprint(update, self.task.digest))

    def tensors(self, path: Path) -> dict[str, Tensor]:
        """The weights in the model file at `path`, checked as `read` checks them."""
        return read_weights(path, self.task.manifest)


def publish_task(store: Store, base: Path, name: str, **details: Any) -> Task:
    """Stores a base checkpoint and the spec of the task that starts from it.

    Args:
        base: a safetensors file; its tensors become the manifest.
        details: further fields of `Task`.
    """
    tensors = load_file(base)
    store.put(base)
    task = Task(name, manifest_of(tensors), cid_of(base), **details)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "task.json").write_bytes(task_bytes(task))
        store.put(Path(folder) / "task.json")
    return task


def open_task(store: Store, digest: bytes, scratch: Path) -> OpenTask:
    """Fetches the task spec named by `digest` and its base checkpoint; files go to the folder `scratch`, once."""
    scratch.mkdir(parents=True, exist_ok=True)
    spec, base = scratch / f"{digest.hex()}.json", scratch / f"{digest.hex()}.safetensors"
    if not spec.exists():
        store.get(digest, spec, TASK_LIMIT)
    task = parse_task(spec.read_bytes())
    if not base.exists():
        store.get(task.base, base, file_limit(task.manifest))
    return OpenTask(task, flatten(read_weights(base, task.manifest), task.manifest))
