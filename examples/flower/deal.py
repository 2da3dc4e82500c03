"""Deals handwritten digits out to three Flower clients, as partitions of the size and shape that their network expects.

    python examples/flower/deal.py

Writes data/N-of-3.safetensors, and data/base.safetensors, from which everybody starts.
"""

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from market_node.data import deal, load
from market_node.weights import write_weights

HERE = Path(__file__).parent
OWNERS = ((0, 1, 2, 3, 4, 5), (3, 4, 5, 6, 7), (0, 1, 6, 7, 8, 9))
"""The digits that each owner sees more often."""


def main(folder: Path = HERE / "data", training: int = 240, holdout: int = 60) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    shares = [tuple(5 if label in seen else 1 for label in range(10)) for seen in OWNERS]
    for number, owner in enumerate(deal(load("digits"), shares, 0, training, holdout)):
        parts = {"train": owner.training, "test": owner.holdout}
        tensors = {f"{part}.img": _enlarged(each.inputs) for part, each in parts.items()}
        tensors |= {f"{part}.label": each.labels for part, each in parts.items()}
        save_file(tensors, folder / f"{number}-of-{len(OWNERS)}.safetensors")
    write_weights(folder / "base.safetensors", _base())


def _enlarged(pictures: torch.Tensor) -> torch.Tensor:
    """8 × 8 grey pixels as 32 × 32 of three colours, from −1 to 1: what Flower's network takes."""
    return pictures.repeat_interleave(4, 2).repeat_interleave(4, 3).repeat(1, 3, 1, 1) * 2 - 1


def _base() -> dict[str, torch.Tensor]:
    """The client's network, freshly initialised: names and shapes are those of its `Net`."""
    torch.manual_seed(0)
    layers = {
        "conv1": nn.Conv2d(3, 6, 5),
        "conv2": nn.Conv2d(6, 16, 5),
        "fc1": nn.Linear(400, 120),
        "fc2": nn.Linear(120, 84),
        "fc3": nn.Linear(84, 10),
    }
    return {f"{name}.{key}": tensor for name, layer in layers.items() for key, tensor in layer.state_dict().items()}


if __name__ == "__main__":
    main()
