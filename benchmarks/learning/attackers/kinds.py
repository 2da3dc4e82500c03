"""What attackers offer, and how a copy is dressed up."""

from collections.abc import Mapping

import torch
from torch import Tensor

from .training import ATTACKERS, HONEST, TAUGHT, Trained

MOST_WEIGHT = 127.9
"""What fixed-point weights hold."""

KINDS = {
    "absent": "nobody attacks, eight participants",
    "honest": "nobody attacks, ten",
    "shuffled": "an update in another order",
    "sign-flipped": "an update times −1",
    "constant": "the same number everywhere",
    "noise": "random weights",
    "scaled": "an update times 10",
    "label-flip": "trained on labels 9 − y",
    "backdoor": "trained on a third of its pictures with a mark, labelled 0",
    "resold": "a delivery as it is",
    "resold, unchecked": "the same, and nobody looks for copies",
}
"""Kind → what its two offer, each as large as a real update but for `scaled`."""

RESELLING = ("resold", "resold, unchecked")

NOISES = (10, 30, 50)
"""Percent of a copy's size."""

COPIES = (
    "as it is",
    "averaged",
    *(f"{level} % noise" for level in NOISES),
    "30 % of each weight",
    "bfloat16",
    "kept back",
)
"""How a copy is dressed up."""


def offers(kind: str, number: int, lab: Trained, weights: Tensor, bought: Mapping[int, Tensor]) -> Tensor:
    """What the attackers commit to in a round: `ATTACKERS x weights`.

    Args:
        weights: `CLIENTS x weights`, where everybody's training has come to.
        bought: attacker → its last delivery, one row.
    """
    base, own = lab.base[:1], lab.alone("honest", number)
    update, generator = own - base, torch.Generator().manual_seed(1000 * lab.seed + number)
    size = update.norm(dim=1, keepdim=True) / update.shape[1] ** 0.5
    match kind:
        case "shuffled":
            return base + update[:, torch.randperm(update.shape[1], generator=generator)]
        case "sign-flipped":
            return base - update
        case "constant":
            return base + size * torch.ones_like(update)
        case "noise":
            return base + size * torch.randn(update.shape, generator=generator)
        case "scaled":
            return (base + 10 * update).clamp(-MOST_WEIGHT, MOST_WEIGHT)
        case "resold" | "resold, unchecked":
            return torch.stack([bought.get(HONEST + row, own[row]) for row in range(ATTACKERS)])
    return lab.alone(kind, number) if kind in TAUGHT else weights[HONEST:]


def dressed(before: Mapping[int, Tensor], earlier: Mapping[int, Tensor], draw: torch.Generator) -> dict[str, Tensor]:
    """What two of the eight were delivered in the last round, or could have been, in each dress.

    Args:
        before: participant → its update of the last round, where it was accepted.
        earlier: the same, of the round before that.
    """
    one, other, third = torch.randperm(HONEST, generator=draw)[:3].tolist()
    if not {one, other, third} <= before.keys():
        return {}
    bought = (before[one] + before[other]).double() / 2
    noise = torch.randn(len(bought), generator=draw, dtype=torch.float64)
    size = bought.norm() / len(bought) ** 0.5
    copies = {
        "as it is": bought,
        "averaged": 0.7 * bought + 0.3 * before[third],
        **{f"{level} % noise": bought + level / 100 * size * noise for level in NOISES},
        "30 % of each weight": bought * (1 + 0.3 * noise),
        "bfloat16": bought.bfloat16().double(),
    }
    if {one, other} <= earlier.keys():
        copies["kept back"] = (earlier[one] + earlier[other]).double() / 2
    return {name: copy.round().to(torch.int64) for name, copy in copies.items()}
