"""The sketches of updates that nobody trained: drawn with a stated likeness, or those of a recorded learning run.

A drawn update points in the direction

    u = √across · common + √(within − across) · cluster + √(1 − within) · (√own · owner + √(1 − own) · fresh)

where each part is a vector of 1,024 standard normal numbers: one for all, one per cluster, one per owner (it stays),
and one per owner and round. They are independent and the weights' squares add up to 1, so that the expected cosine is
`within` for two owners of a cluster, `across` for two of different ones, and within + own · (1 − within) for one owner
in two rounds; each pair is off by about 1/√1024 = 0.03, as true sketches are. Then the direction is quantised as
`sketch.scale` does: trunc(127 · u / max|u|), toward zero.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from ..errors import BadInput
from ..records import SKETCH_SIZE
from .draws import keyed

_FINE = 1 << 24
"""A direction in whole numbers, as true sums are: its unit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """How alike updates are: expected cosines."""

    within: float
    across: float
    own: float
    """The share of what an owner has of its own that stays from round to round."""


def drawn(
    likeness: Likeness, seed: int, round_: int, owners: Sequence[tuple[int, int]], *, again: bool = False
) -> list[bytes]:
    """The sketches of these owners' updates in a round.

    Args:
        owners: (number, cluster) of each. Who else is in the round changes nothing.
        again: the same updates, sketched under another seed: as alike on average, and off by other errors. Whoever
            looks for the most similar of many finds errors, and with these one sees what is left of them.
    """
    name = " again" if again else ""
    if not owners:
        return []
    alone = 1 - likeness.within
    common, between = np.sqrt(likeness.across), np.sqrt(likeness.within - likeness.across)
    shared = {
        cluster: np.float32(common) * _vector(seed, f"common{name}", 0)
        + np.float32(between) * _vector(seed, f"cluster{name}", cluster)
        for cluster in {cluster for _, cluster in owners}
    }
    directions = np.stack([shared[cluster] for _, cluster in owners])  # n x 1024
    directions += np.float32(np.sqrt(likeness.own * alone)) * np.stack(
        [_vector(seed, f"own{name}", each) for each, _ in owners]
    )
    fresh = [keyed(seed, f"fresh{name}", each, round_).standard_normal(SKETCH_SIZE, np.float32) for each, _ in owners]
    directions += np.float32(np.sqrt((1 - likeness.own) * alone)) * np.stack(fresh)
    return [row.tobytes() for row in quantised((directions * np.float32(_FINE)).astype(np.int64))]


def quantised(sums: NDArray[np.int64]) -> NDArray[np.int8]:
    """What `sketch.scale` makes of each row; |x| < 2**56. `n x 1024` to `n x 1024`."""
    sizes = np.abs(sums)
    largest = np.maximum(sizes.max(axis=1, keepdims=True), 1)
    return cast(NDArray[np.int8], (np.sign(sums) * (127 * sizes // largest)).astype(np.int8))


@lru_cache(maxsize=32_768)
def _vector(seed: int, what: str, number: int) -> NDArray[np.float32]:
    """Kept, because it is the same in every round: 4 KB each."""
    return keyed(seed, what, number).standard_normal(SKETCH_SIZE, np.float32)


def recorded(path: Path, round_: int, owners: Sequence[tuple[int, int]]) -> list[bytes]:
    """The sketches of a recorded run. After its last round and owner it begins again with the first.

    Args:
        path: as `read_recording` reads it.
    """
    run = read_recording(path)
    rounds, known, _ = run.shape
    return [run[(round_ - 1) % rounds, number % known].tobytes() for number, _ in owners]


@lru_cache(maxsize=2)
def read_recording(path: Path) -> NDArray[np.int8]:
    """A recorded run: one array `sketches`, int8[rounds, owners, 1024], in a .npz or .safetensors file.

    Raises:
        BadInput: it cannot be read or holds something else.
    """
    try:
        run = _array(path)
    except Exception as error:
        raise BadInput(f"cannot read the sketches in {path}: {' '.join(str(error).split())[:200]}") from None
    if run.dtype != np.int8 or run.ndim != 3 or run.shape[2] != SKETCH_SIZE or 0 in run.shape:
        raise BadInput(
            f"{path}: 'sketches' must be int8[rounds, owners, {SKETCH_SIZE}], not {run.dtype}{list(run.shape)}"
        )
    if (run == -128).any():
        raise BadInput(f"{path}: a sketch holds −128, which no update has")
    return run


def _array(path: Path) -> NDArray[np.int8]:
    if path.suffix == ".safetensors":
        from safetensors.numpy import load_file

        return cast(NDArray[np.int8], load_file(path)["sketches"])
    with np.load(path, allow_pickle=False) as arrays:
        return cast(NDArray[np.int8], arrays["sketches"])
