"""Tasks: what is learned, in one canonical JSON file whose CID digest names the task on chain."""

import io
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

from .blocks import Link, build
from .canonical import canonical, read_canonical
from .codec import cid_text, read_cid
from .errors import BadInput
from .records import SKETCH_SIZE
from .weights import Manifest, TensorSpec, check_manifest

TASK_LIMIT = 1 << 20
"""Bytes of a task file."""

VERSION = 1

_KEYS = {"architecture", "base", "description", "licence", "manifest", "name", "sketch", "version"}
_TENSOR_KEYS = {"bits", "dtype", "name", "shape"}
_MOST_NAME, _MOST_TEXT = 100, 1 << 16


@dataclass(frozen=True)
class Task:
    """A task spec. Equal specs have equal bytes, and so one digest.

    Raises:
        BadInput: a spec that some node could not read.
    """

    name: str
    manifest: Manifest
    """The tensors that every model of the task has, in order of name."""
    base_cid: str
    """CID of the base checkpoint, the model file that updates start from, as text."""
    description: str = ""
    licence: str = ""
    """The terms under which models of the task are exchanged."""
    architecture: dict[str, Any] = field(default_factory=dict, hash=False)
    """What a builder of the network reads, e.g. {"kind": "mlp", "sizes": [64, 32, 10]}. JSON; never executed."""

    sketch: ClassVar[dict[str, Any]] = {"kind": "count", "buckets": SKETCH_SIZE}
    """The sketch rule. There is one; it is in the file so that there can be others."""

    def __post_init__(self) -> None:
        _check_text("name", self.name, _MOST_NAME, empty=False)
        _check_text("description", self.description, _MOST_TEXT)
        _check_text("licence", self.licence, _MOST_TEXT)
        check_manifest(self.manifest)
        read_cid(self.base_cid)
        if not isinstance(self.architecture, dict):
            raise BadInput("a task's architecture is a JSON object")
        try:  # as it will be read: tuples become lists
            object.__setattr__(self, "architecture", read_canonical(canonical(self.architecture)))
        except ValueError as error:
            raise BadInput(f"a task's architecture is JSON: {error}") from None
        if len(task_bytes(self)) > TASK_LIMIT:
            raise BadInput(f"a task file has at most {TASK_LIMIT} bytes, not {len(task_bytes(self))}")

    @cached_property
    def base(self) -> bytes:
        """CID digest of the base checkpoint, 32 bytes."""
        return read_cid(self.base_cid)[1]

    @cached_property
    def digest(self) -> bytes:
        """CID digest of the task file, 32 bytes: what a store's `put` gives, and what terms name."""
        return self._root.digest

    @property
    def cid(self) -> str:
        """CID of the task file, as text."""
        return cid_text(self._root.digest, self._root.codec)

    @cached_property
    def _root(self) -> Link:
        return build(io.BytesIO(task_bytes(self)), lambda digest, block: None)


def task_bytes(task: Task) -> bytes:
    """The task file."""
    return canonical(
        {
            "architecture": task.architecture,
            "base": task.base_cid,
            "description": task.description,
            "licence": task.licence,
            "manifest": [
                {"bits": spec.bits, "dtype": spec.dtype, "name": spec.name, "shape": list(spec.shape)}
                for spec in task.manifest
            ],
            "name": task.name,
            "sketch": task.sketch,
            "version": VERSION,
        }
    )


def parse_task(text: bytes) -> Task:
    """Reads a task file that a stranger wrote. `task_bytes` of what it gives is `text` again.

    Raises:
        BadInput: longer than 1 MiB, not canonical JSON, a key unknown or missing, or a value that cannot be.
    """
    if len(text) > TASK_LIMIT:
        raise BadInput(f"a task file has at most {TASK_LIMIT} bytes, not {len(text)}")
    try:
        fields = read_canonical(text)
    except ValueError as error:
        raise BadInput(f"the task file cannot be read: {error}"[:200]) from None
    _check_keys("the task file", fields, _KEYS)
    if type(fields["version"]) is not int or fields["version"] != VERSION:
        raise BadInput(f"the task file has version {fields['version']!r}, this node reads {VERSION}"[:200])
    if fields["sketch"] != Task.sketch:
        raise BadInput(f"the task's sketch rule is {fields['sketch']!r}, this node knows {Task.sketch}"[:200])
    if not isinstance(fields["manifest"], list):
        raise BadInput("a task's manifest is a list of tensors")
    task = Task(
        name=fields["name"],
        manifest=tuple(_parse_tensor(tensor) for tensor in fields["manifest"]),
        base_cid=_text("base", fields["base"]),
        description=fields["description"],
        licence=fields["licence"],
        architecture=fields["architecture"],
    )
    if task_bytes(task) != text:  # 1024.0 equals 1024, and true equals 1
        raise BadInput("the task file spells a value as another type")
    return task


def _parse_tensor(tensor: Any) -> TensorSpec:
    _check_keys("a tensor of the manifest", tensor, _TENSOR_KEYS)
    shape = tensor["shape"]
    if not isinstance(shape, list) or not all(type(number) is int for number in [tensor["bits"], *shape]):
        raise BadInput("a tensor's shape is a list of whole numbers, and its bits are one")
    return TensorSpec(_text("name", tensor["name"]), tuple(shape), _text("dtype", tensor["dtype"]), tensor["bits"])


def _check_keys(what: str, fields: Any, keys: set[str]) -> None:
    if not isinstance(fields, dict):
        raise BadInput(f"{what} is a JSON object")
    if unknown := sorted(fields.keys() - keys):
        raise BadInput(f"{what} has an unknown key: {unknown[0][:100]!r}")
    if missing := sorted(keys - fields.keys()):
        raise BadInput(f"{what} lacks {missing[0]!r}")


def _check_text(what: str, text: Any, most: int, empty: bool = True) -> None:
    lines = _text(what, text).split("\n") if empty else [_text(what, text)]
    # It is shown in terminals and pages: no control characters, none that turn the writing round.
    if not (text or empty) or len(text) > most or not all(line.isprintable() for line in lines):
        raise BadInput(f"a task's {what} is up to {most} printable characters, not {text[:40]!r}")


def _text(what: str, text: Any) -> str:
    if not isinstance(text, str):
        raise BadInput(f"{what!r} is text, not {text!r}"[:200])
    return text
