"""Sketches: short public integer vectors that preserve the angles between updates.

A sketch is a count sketch (Charikar, Chen, Farach-Colton 2002): coordinate `k` of the flattened update is
added to bucket `h(k)` with sign `g(k)`. Both come from two bytes, little-endian, at offset `2k` of a ChaCha20
keystream (RFC 8439; nonce 0, counter from 0) whose key is the seed: the low ten bits are the bucket, bit 15
is the minus sign. Integers throughout, so every device, thread count and chunking gives the same bytes.

torch is imported where tensors are made, not above: who audits a settlement needs only `similarity`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from math import isqrt
from typing import TYPE_CHECKING

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from numpy.typing import NDArray

from market_node.errors import BadInput, MalformedUpdate
from market_node.records import ONE, SKETCH_SIZE

if TYPE_CHECKING:
    from torch import Tensor

SEED_SIZE = 32
"""Bytes."""

MOST_WEIGHTS = 1 << 37
"""Coordinates that one keystream reaches: 2**32 blocks of 64 bytes, two bytes each (RFC 8439, 2.3)."""

_BLOCK = 64
_CHUNK = 1 << 20


def count_sketch(update: Tensor, seed: bytes, *, start: int = 0) -> Tensor:
    """Unscaled sketch of `update`. Linear: of a weighted sum it is the weighted sum of the sketches.

    Args:
        update: any shape, any integer dtype, any device; flattened in C order. Exact while Σ|update| < 2**63.
        seed: 32 bytes.
        start: index of the first coordinate, so that the sketches of an update's pieces add up to its own.

    Returns:
        `1024`, int64, on the CPU.
    """
    import torch

    if update.is_floating_point() or update.is_complex():
        raise BadInput(f"a sketch is taken of integers, not of {update.dtype}")
    values = update.detach().reshape(-1)
    if start < 0 or start + len(values) > MOST_WEIGHTS:
        raise BadInput(f"coordinates {start} to {start + len(values)} are not within 0 to 2**37")
    signed_sums = np.zeros(2 * SKETCH_SIZE, np.int64)  # plus buckets, then minus buckets
    for first in range(0, len(values), _CHUNK):
        chunk = values[first : first + _CHUNK].cpu().to(torch.int64).numpy()
        places = _places(seed, start + first, len(chunk))
        np.add.at(signed_sums, places, chunk)
    return torch.from_numpy(signed_sums[:SKETCH_SIZE] - signed_sums[SKETCH_SIZE:])


def _places(seed: bytes, start: int, count: int) -> NDArray[np.intp]:
    """`h(k) + 1024 · [g(k) = −]` for `count` coordinates from `start`."""
    if len(seed) != SEED_SIZE:
        raise BadInput(f"a seed has {SEED_SIZE} bytes, not {len(seed)}")
    counter, skipped = divmod(2 * start, _BLOCK)
    initial = counter.to_bytes(4, "little") + bytes(12)
    keystream = Cipher(ChaCha20(seed, initial), mode=None).encryptor().update(bytes(skipped + 2 * count))
    words = np.frombuffer(keystream, "<u2", count, skipped)
    return ((words & (SKETCH_SIZE - 1)) | ((words >> 15) * SKETCH_SIZE)).astype(np.intp)


def scale(sums: Tensor) -> bytes:
    """The sketch that goes on chain: `trunc(127 · x / max|x|)`, toward zero, as 1,024 signed bytes.

    Zeros for zeros.
    """
    values: list[int] = sums.tolist()
    largest = max(abs(x) for x in values)
    if largest == 0:
        return bytes(len(values))
    # Python integers: 127 · x can pass 2**63.
    return bytes((127 * x // largest if x >= 0 else -(127 * -x // largest)) & 0xFF for x in values)


def sketch(update: Tensor, seed: bytes) -> bytes:
    """The sketch of a flattened integer update under a round's seed, 1,024 signed bytes."""
    return scale(count_sketch(update, seed))


def fingerprint(update: Tensor, task_digest: bytes) -> bytes:
    """The sketch under the seed that a task's digest fixes: comparable across rounds, not for money."""
    return sketch(update, fingerprint_seed(task_digest))


def fingerprint_seed(task_digest: bytes) -> bytes:
    """The seed of every fingerprint of a task, 32 bytes."""
    return hashlib.sha256(b"market-node fingerprint" + task_digest).digest()


def cosine(a: bytes, b: bytes) -> int:
    """Cosine of two sketches, 2**16 = 1, in `[0, 2**16]`; 0 where it is negative or a norm is 0."""
    return similarity_to(a, [b], 0)[0]


def similarity(sketches: Sequence[bytes], floor: int) -> list[list[int]]:
    """How much of each participant's model counts for each other one.

    Bytes of −128, which no update has but a reveal can, are taken as they are: nobody's sketch may stop a round.

    Args:
        sketches: `n` sketches of 1,024 signed bytes, in index order.
        floor: the cosine that counts as none, 2**16 = 1, in `[0, 2**16)`.

    Returns:
        `n x n`, 2**16 = 1, in `[0, 2**16]`, symmetric; 0 where the cosine is at most the floor or a norm 0.

    Raises:
        MalformedUpdate: a sketch has another length.
    """
    matrix: list[list[int]] = similarity_matrix(sketches, floor).tolist()
    return matrix


def similarity_matrix(sketches: Sequence[bytes], floor: int) -> NDArray[np.int64]:
    """What `similarity` says, as an array."""
    _check_floor(floor)
    rows = _rows(sketches).astype(np.float64)
    # Exact in any order of summation: every partial sum is an integer of at most 128² · 1,024 = 2**24.
    products = rows @ rows.T
    norms = products.diagonal()
    return _above(_cosines(products, norms[:, None] * norms), floor)


def similarity_to(own: bytes, sketches: Sequence[bytes], floor: int) -> list[int]:
    """How much of each of `sketches` counts for `own`: one row of `similarity`, without the others."""
    _check_floor(floor)
    rows = _rows([own, *sketches]).astype(np.float64)
    norms = (rows * rows).sum(axis=1)
    row: list[int] = _above(_cosines(rows[1:] @ rows[0], norms[0] * norms[1:]), floor).tolist()
    return row


def _check_floor(floor: int) -> None:
    if not 0 <= floor < ONE:
        raise BadInput(f"a similarity floor is 0 to 2**16 − 1, not {floor}")


def _rows(sketches: Sequence[bytes]) -> NDArray[np.int8]:
    """`n x 1024`."""
    for each in sketches:
        if len(each) != SKETCH_SIZE:
            raise MalformedUpdate(f"a sketch has {SKETCH_SIZE} bytes, not {len(each)}")
    return np.frombuffer(b"".join(sketches), np.int8).reshape(len(sketches), SKETCH_SIZE)


def _cosines(products: NDArray[np.float64], squares: NDArray[np.float64]) -> NDArray[np.int64]:
    """Cosines, 2**16 = 1, rounded down; 0 where negative.

    Args:
        products: dot products, integers of at most 2**24.
        squares: the products of the two squared norms, integers of at most 2**48; any shape, the same.
    """
    cosines = np.zeros(products.shape, np.int64)
    positive = products > 0  # else 0, also where a norm is 0
    product, square = products[positive], squares[positive]
    # ⌊√⌊p² · 2**32 / |a|²|b|²⌋⌋ = ⌊p · 2**16 / √(|a|²|b|²)⌋. Of that quotient, at most 2**16, float64 rounds only
    # the root and the division: off by less than 2**-35. Within a millionth of an integer, integers decide.
    quotients = product * ONE / np.sqrt(square)
    rounded = np.floor(quotients).astype(np.int64)
    for at in np.flatnonzero(np.abs(quotients - np.rint(quotients)) < 1e-6).tolist():
        rounded[at] = _root(int(product[at]), int(square[at]))
    cosines[positive] = rounded
    return cosines


def _root(product: int, square: int) -> int:
    """A cosine from a positive dot product and the product of the two squared norms, 2**16 = 1."""
    return isqrt((product * product << 32) // square)


def _above(cosines: NDArray[np.int64], floor: int) -> NDArray[np.int64]:
    """The part of each cosine above the floor, 2**16 = 1."""
    return (np.maximum(cosines - floor, 0) << 16) // (ONE - floor)
