"""Real pictures for the demo and the benchmarks, dealt out to owners of whom each sees only some classes.

Nothing is downloaded: digits come with scikit-learn, Fashion-MNIST with a Debian package.
"""

import gzip
import os
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .errors import BadInput

DATASETS = ("digits", "fashion-mnist")

CLASSES = 10
"""In either data set."""

PER_CLASS = 180
"""Pictures of one class that are dealt out at most: what digits has, so that both data sets are equally scarce."""

_UNSIGNED_BYTES = 0x08  # the idx format's code for the type


@dataclass(frozen=True, slots=True)
class Examples:
    """Labelled inputs."""

    inputs: Tensor
    """`n x 1 x height x width`, float32, in `[0, 1]`."""
    labels: Tensor
    """`n`, int64."""

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, chosen: Tensor | slice) -> "Examples":
        return Examples(self.inputs[chosen], self.labels[chosen])


@dataclass(frozen=True, slots=True)
class Owner:
    """What one owner has, and what it is measured on. No picture stands in two places, nor with two owners."""

    training: Examples
    holdout: Examples
    """Private, and never trained on: what ratings come from."""
    test: Examples
    """All owners' test pictures together: one owner's are too few to measure with."""
    label_mix: Tensor
    """`CLASSES`, float32, adds up to 1: the share of each class among the owner's own pictures."""


def load(dataset: str) -> Examples:
    """One of `DATASETS`.

    Raises:
        BadInput: no such data set, or it is not installed; says what to install.
    """
    match dataset:
        case "digits":
            return _digits()
        case "fashion-mnist":
            return _fashion_mnist()
    raise BadInput(f"no data set {dataset!r}; there are {' and '.join(DATASETS)}")


def deal(
    pictures: Examples, shares: Sequence[Sequence[int]], seed: int, training: int = 130, holdout: int = 35
) -> tuple[Owner, ...]:
    """Deals pictures out, each to one owner.

    Args:
        shares: `owners x CLASSES`: the pictures of a class go to the owners in proportion to its column.
        training: pictures that each owner trains on.
        holdout: pictures that each owner keeps back; what it has beyond goes to the common test pictures.

    Raises:
        BadInput: too few pictures for an owner.
    """
    generator = torch.Generator().manual_seed(seed)
    hands: list[list[Tensor]] = [[] for _ in shares]
    for label, column in enumerate(zip(*shares, strict=True)):
        pile = _shuffled((pictures.labels == label).nonzero().flatten(), generator)[:PER_CLASS]
        cuts = [len(pile) * part // sum(column) for part in accumulate(column)]
        for hand, part in zip(hands, pile.tensor_split(cuts[:-1]), strict=True):
            hand.append(part)
    dealt = [_shuffled(torch.cat(hand), generator) for hand in hands]
    hidden = training + holdout
    for owner, pile in enumerate(dealt):
        if len(pile) <= hidden:
            raise BadInput(f"owner {owner} got {len(pile)} pictures; {hidden} and one to test on are needed")
    test = pictures[torch.cat([pile[hidden:] for pile in dealt])]
    return tuple(
        Owner(pictures[pile[:training]], pictures[pile[training:hidden]], test, _label_mix(pictures.labels[pile]))
        for pile in dealt
    )


def _shuffled(values: Tensor, generator: torch.Generator) -> Tensor:
    return values[torch.randperm(len(values), generator=generator)]


def _label_mix(labels: Tensor) -> Tensor:
    return torch.bincount(labels, minlength=CLASSES) / len(labels)


# --- digits ---


def _digits() -> Examples:
    """1,797 pictures of handwritten digits, 8 × 8 pixels of 0 to 16 (UCI; in scikit-learn)."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise BadInput("data set digits needs scikit-learn: pip install 'market-node[demo]'") from None
    digits = load_digits()
    inputs = torch.from_numpy(digits.images).to(torch.float32).unsqueeze(1) / 16
    return Examples(inputs, torch.from_numpy(digits.target).to(torch.int64))


# --- Fashion-MNIST ---


def _fashion_mnist() -> Examples:
    """60,000 product pictures, 28 × 28 pixels of 0 to 255 (Xiao et al. 2017; Debian's dataset-fashion-mnist)."""
    folder = shared_folder(
        "datasets/fashion-mnist", "data set fashion-mnist is not installed: apt install dataset-fashion-mnist"
    )
    inputs = _read_idx(folder / "train-images-idx3-ubyte.gz", dimensions=3)
    labels = _read_idx(folder / "train-labels-idx1-ubyte.gz", dimensions=1)
    if len(inputs) != len(labels) or int(labels.max()) >= CLASSES:
        raise BadInput(f"the files in {folder} do not belong together; reinstall dataset-fashion-mnist")
    return Examples(inputs.to(torch.float32).unsqueeze(1).div_(255), labels.to(torch.int64))


def shared_folder(name: str, missing: str) -> Path:
    """A folder of the system's shared files. Python's own prefix may be a virtual environment's, so it says nothing.

    Raises:
        BadInput: no such folder; says what is `missing`.
    """
    shares = os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
    for share in shares.split(os.pathsep):
        if share and (folder := Path(share) / name).is_dir():
            return folder
    raise BadInput(missing)


def _read_idx(path: Path, dimensions: int) -> Tensor:
    """A compressed idx file of bytes: two zeros, the type, how many dimensions, each size as uint32 BE, the values."""
    header = 4 + 4 * dimensions
    try:
        content = gzip.decompress(path.read_bytes())
        zeros, kind, stated, *shape = struct.unpack_from(f">HBB{dimensions}I", content)
    except (OSError, EOFError, zlib.error, struct.error) as error:
        raise BadInput(f"{path} cannot be read ({error}); reinstall dataset-fashion-mnist") from error
    values = np.frombuffer(content, np.uint8)[header:]
    if (zeros, kind, stated) != (0, _UNSIGNED_BYTES, dimensions) or values.size != np.prod(shape):
        raise BadInput(f"{path} is no idx file of {dimensions} dimensions; reinstall dataset-fashion-mnist")
    return torch.from_numpy(values.reshape(shape).copy())
