"""Model files: safetensors whose tensors a manifest fixes, in and out of fixed point.

A manifest's order (names sorted by code point, each tensor in C order) is the one order of a model's weights:
of its fixed-point form, its Merkle root and its sketch.
"""

import ctypes
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from math import prod
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from .errors import BadInput, MalformedUpdate
from .files import replacing
from .fixed import MOST_BITS, QUANTUM_BITS, from_fixed, to_fixed
from .sketch import MOST_WEIGHTS

BLOCK = 1024
"""Fixed-point weights under one leaf of a block root."""

MOST_TENSORS = 1 << 14

DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}

_NAME = re.compile(r"[A-Za-z0-9_.:/-]{1,200}")
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One tensor that every model of a task has."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    """"F32", "F16" or "BF16"."""
    bits: int = QUANTUM_BITS
    """Its quantum is 2**-bits."""

    @property
    def count(self) -> int:
        """Weights."""
        return prod(self.shape)

    @property
    def size(self) -> int:
        """Bytes in a model file."""
        return self.count * DTYPES[self.dtype].itemsize


Manifest = tuple[TensorSpec, ...]
"""In order of name."""


def manifest_of(tensors: Mapping[str, Tensor], bits: int = QUANTUM_BITS) -> Manifest:
    """The manifest that `tensors` match."""
    names = {dtype: name for name, dtype in DTYPES.items()}
    manifest = tuple(
        TensorSpec(name, tuple(tensor.shape), names.get(tensor.dtype, str(tensor.dtype)), bits)
        for name, tensor in sorted(tensors.items())
    )
    check_manifest(manifest)
    return manifest


def check_manifest(manifest: Sequence[TensorSpec]) -> None:
    """Raises BadInput unless every node reads the manifest alike."""
    if not 0 < len(manifest) <= MOST_TENSORS:
        raise BadInput(f"a manifest has 1 to {MOST_TENSORS} tensors, not {len(manifest)}")
    names = [spec.name for spec in manifest]
    if names != sorted(set(names)):
        raise BadInput("a manifest's tensors stand in order of name, each once")
    for spec in manifest:
        # Names reach error messages and file headers: no control characters, and no "__metadata__".
        if not _NAME.fullmatch(spec.name) or spec.name == "__metadata__":
            raise BadInput(f"a tensor cannot be called {spec.name[:200]!r}: use letters, digits and _ . : / -")
        if spec.dtype not in DTYPES:
            raise BadInput(f"tensor {spec.name!r} has dtype {spec.dtype}; a model has {', '.join(DTYPES)}")
        if len(spec.shape) > 8 or not all(0 < length <= MOST_WEIGHTS for length in spec.shape):
            raise BadInput(f"tensor {spec.name!r} cannot have the shape {list(spec.shape)}")
        if not 0 <= spec.bits <= MOST_BITS:
            raise BadInput(f"tensor {spec.name!r} has a quantum of {spec.bits} bits, not of 0 to {MOST_BITS}")
    if count(manifest) > MOST_WEIGHTS:
        raise BadInput(f"a model has at most {MOST_WEIGHTS} weights, not {count(manifest)}")


def count(manifest: Manifest | Sequence[TensorSpec]) -> int:
    """Weights of a model."""
    return sum(spec.count for spec in manifest)


def file_limit(manifest: Manifest) -> int:
    """Bytes that a model file has at most: its weights, exactly, and a header that describes them."""
    return 8 + _header_limit(manifest) + sum(spec.size for spec in manifest)


def _header_limit(manifest: Manifest) -> int:
    # 64 KiB of free metadata; beside the name and the shape, an entry's dtype and two offsets take under 100 bytes.
    return (1 << 16) + sum(200 + 6 * len(spec.name) + 21 * len(spec.shape) for spec in manifest)


def read_weights(path: Path | str, manifest: Manifest) -> dict[str, Tensor]:
    """The weights in a model file.

    Sizes are compared before anything is parsed, names, shapes and dtypes before any weight is read. Tensors may
    be views of the file: replace it by renaming, do not write into it.

    Returns:
        Exactly the manifest's tensors, all finite, in its order.

    Raises:
        MalformedUpdate: anything else, naming the tensor.
    """
    _check_sizes(path, manifest)
    try:
        with safe_open(path, framework="pt") as file:
            _check_names(set(file.keys()), manifest)
            for spec in manifest:
                entry = file.get_slice(spec.name)
                _check_kind(spec, entry.get_shape(), entry.get_dtype())
            tensors: dict[str, Tensor] = {spec.name: file.get_tensor(spec.name) for spec in manifest}
    except SafetensorError as error:
        raise MalformedUpdate(f"not a safetensors file: {_one_line(error)}") from None
    for spec in manifest:
        _check_finite(spec.name, tensors[spec.name])
    return tensors


def _check_sizes(path: Path | str, manifest: Manifest) -> None:
    with open(path, "rb") as file:
        size, header = os.fstat(file.fileno()).st_size, int.from_bytes(file.read(8), "little")
    if size < 8 or header > _header_limit(manifest):
        raise MalformedUpdate("not a safetensors file: no header of a fitting length at its start")
    weights = sum(spec.size for spec in manifest)
    if size != 8 + header + weights:
        raise MalformedUpdate(f"the file has {size - 8 - header} bytes of weights where the manifest has {weights}")


def _check_names(names: set[str], manifest: Manifest) -> None:
    expected = {spec.name for spec in manifest}
    if missing := sorted(expected - names):
        raise MalformedUpdate(f"tensor {missing[0]!r} is missing")
    if unknown := sorted(names - expected):
        raise MalformedUpdate(f"tensor {unknown[0][:200]!r} is not in the manifest")


def _check_kind(spec: TensorSpec, shape: Sequence[int], dtype: str) -> None:
    if tuple(shape) != spec.shape or dtype != spec.dtype:
        raise MalformedUpdate(
            f"tensor {spec.name!r} is {dtype} {list(shape)}; the manifest has {spec.dtype} {list(spec.shape)}"
        )


def _check_finite(name: str, tensor: Tensor) -> None:
    flat = tensor.reshape(-1)
    for start in range(0, len(flat), _CHUNK):
        if not flat[start : start + _CHUNK].isfinite().all():
            raise MalformedUpdate(f"tensor {name!r} holds a weight that is NaN or infinite")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def write_weights(path: Path | str, tensors: Mapping[str, Tensor]) -> None:
    """Writes a model file that is there whole or not at all. Equal tensors make equal files."""
    # Copies, because safetensors refuses tied weights: two names of one tensor.
    plain = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in sorted(tensors.items())
    }
    with replacing(path) as file:
        save_file(plain, file.name)


def flatten(tensors: Mapping[str, Tensor], manifest: Manifest) -> Tensor:
    """Fixed-point weights of a whole model.

    Returns:
        1-D, int32, in the manifest's order, on the CPU.

    Raises:
        MalformedUpdate: other tensors, shapes or dtypes than the manifest's, or a weight that is not finite.
        OutOfRange: a weight that its tensor's quantum cannot express.
    """
    _check_names(set(tensors), manifest)
    names = {dtype: name for name, dtype in DTYPES.items()}
    fixed = torch.empty(count(manifest), dtype=torch.int32)
    start = 0
    for spec in manifest:
        tensor = tensors[spec.name]
        _check_kind(spec, tensor.shape, names.get(tensor.dtype, str(tensor.dtype)))
        fixed[start : start + spec.count] = to_fixed(tensor, spec.bits, spec.name).reshape(-1)
        start += spec.count
    return fixed


def unflatten(fixed: Tensor, manifest: Manifest) -> dict[str, Tensor]:
    """The tensors of a model, each weight rounded to the nearest that its dtype has, ties to even.

    Args:
        fixed: 1-D, int32 or int64, in the manifest's order.
    """
    if fixed.shape != (count(manifest),):
        raise BadInput(f"the manifest has {count(manifest)} weights, not {list(fixed.shape)}")
    tensors, start = {}, 0
    for spec in manifest:
        piece = fixed[start : start + spec.count]
        tensors[spec.name] = from_fixed(piece, DTYPES[spec.dtype], spec.bits).reshape(spec.shape)
        start += spec.count
    return tensors


def mapped(values: Tensor, path: Path) -> Tensor:
    """The same values, on a disk: read when they are needed, and gone with the tensor. The file loses its name at once.

    Args:
        values: 1-D, int32 or int64, not empty, on the CPU.
        path: on a disk with room for them, and nothing there.
    """
    _return_memory()  # of those before: else as much would stay as if nothing were on the disk
    values.numpy().tofile(path)
    there = torch.from_file(str(path), shared=False, size=len(values), dtype=values.dtype)
    path.unlink()
    return there


def _return_memory() -> None:
    """glibc keeps large blocks that were freed between others, unless it is told not to."""
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)


def block_root(fixed: Tensor) -> bytes:
    """Merkle root over the blocks of a model's fixed-point weights, 32 bytes.

    The tree hash of RFC 6962, 2.1, with SHA-256: leaf i is sha256(0x00 ‖ weights 1,024·i to 1,024·i + 1,023 as
    little-endian int32), the last one shorter where the weights run out; a node is sha256(0x01 ‖ left ‖ right).

    Args:
        fixed: 1-D, int32.
    """
    if fixed.dtype != torch.int32 or fixed.dim() != 1:
        raise BadInput(f"a block root is taken of int32 in one dimension, not of {fixed.dtype} {list(fixed.shape)}")
    little_endian = fixed.detach().cpu().contiguous().numpy().astype("<i4", copy=False)
    weights = little_endian.view(np.uint8).data
    subtrees: list[tuple[int, bytes]] = []  # complete ones, left to right: leaves in each, its hash
    for start in range(0, len(weights), 4 * BLOCK):
        leaves, node = 1, sha256(b"\0" + weights[start : start + 4 * BLOCK]).digest()
        while subtrees and subtrees[-1][0] == leaves:
            node = sha256(b"\1" + subtrees.pop()[1] + node).digest()
            leaves *= 2
        subtrees.append((leaves, node))
    if not subtrees:
        return sha256(b"").digest()
    root = subtrees.pop()[1]
    while subtrees:
        root = sha256(b"\1" + subtrees.pop()[1] + root).digest()
    return root
