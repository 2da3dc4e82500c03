"""Membership inference: was this sample among those that a model was trained on? Scores, higher means yes.

Members are an owner's training samples, non-members fresh ones of the same mix of labels.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn.functional import cross_entropy, normalize

from market_node.data import Examples
from market_node.records import SKETCH_SIZE

RARE = 0.01
"""The share of false alarms at which an attack is called good (Carlini et al. 2022)."""

CHUNK = 256
"""Samples whose gradients are there at a time."""


# --- how well an attack does ---


def auc(members: Tensor, others: Tensor) -> float:
    """The probability that a member scores higher than another; 0.5 is guessing. Ties count half."""
    both = torch.cat([members, others]).to(torch.float64)
    values, places = both.unique(return_inverse=True)
    counts = torch.bincount(places, minlength=len(values)).to(torch.float64)
    ranks = (counts.cumsum(0) - (counts - 1) / 2)[places]
    n, m = len(members), len(others)
    return float((ranks[:n].sum() - n * (n + 1) / 2) / (n * m))


def tpr(members: Tensor, others: Tensor, false: float = RARE) -> float:
    """The share of members above the threshold that at most a share `false` of the others is above."""
    allowed = int(false * len(others))
    threshold = others.sort(descending=True).values[allowed]
    return float((members > threshold).double().mean())


# --- with a model ---


@torch.no_grad()
def loss_scores(model: nn.Module, examples: Examples) -> Tensor:
    """The loss threshold (Yeom et al. 2018): minus the loss."""
    return -cross_entropy(model(examples.inputs), examples.labels, reduction="none")


@torch.no_grad()
def confidence(model: nn.Module, examples: Examples) -> Tensor:
    """log(p / (1 − p)) of the right label: nearly normal over models (Carlini et al. 2022)."""
    logits = model(examples.inputs).to(torch.float64)
    right = logits.gather(1, examples.labels.unsqueeze(1)).squeeze(1)
    rest = logits.scatter(1, examples.labels.unsqueeze(1), -torch.inf).logsumexp(dim=1)
    return right - rest


def likelihood_ratio(target: Tensor, shadows: Tensor) -> Tensor:
    """The offline likelihood ratio: how far above what models give that have not seen the sample.

    With a handful of shadow models all samples share one deviation, which then changes no order.

    Args:
        target: `samples`, the confidence of the attacked model.
        shadows: `models x samples`, of models trained on other samples.
    """
    return target - shadows.mean(dim=0)


# --- with an update or a sketch ---


def descents(model: nn.Module, examples: Examples) -> Tensor:
    """What each sample alone would make of the model, to first order: minus its gradient, `samples x weights`."""
    weights = {name: tensor.detach() for name, tensor in model.named_parameters()}

    def loss(weights: dict[str, Tensor], inputs: Tensor, label: Tensor) -> Tensor:
        logits = functional_call(model, weights, (inputs.unsqueeze(0),))
        return cross_entropy(logits, label.unsqueeze(0))

    slopes = vmap(grad(loss), in_dims=(None, 0, 0))(weights, examples.inputs, examples.labels)
    return -torch.cat([slopes[name].flatten(1) for name in weights], dim=1)


View = Callable[[Tensor], Tensor]
"""What an attacker sees of rows of weights."""


def whole(rows: Tensor) -> Tensor:
    """Everything."""
    return rows


def alignments(model: nn.Module, examples: Examples, seen: Sequence[tuple[View, Tensor]]) -> list[Tensor]:
    """For each view and what it showed of some updates: cosines of these with each sample's descent in the same view.

    Args:
        seen: each `updates x …`, what the view gives.

    Returns:
        For each view `updates x samples`.
    """
    parts: list[list[Tensor]] = [[] for _ in seen]
    for start in range(0, len(examples), CHUNK):
        rows = descents(model, examples[start : start + CHUNK])
        for part, (view, shown) in zip(parts, seen, strict=True):
            part.append(normalize(shown, dim=1) @ normalize(view(rows), dim=1).T)
    return [torch.cat(part, dim=1) for part in parts]


def sketching(seed: bytes, weights: int) -> View:
    """The count sketch of docs/protocol.md §4, of real numbers, row by row: `rows x weights` → `rows x 1024`."""
    stream = Cipher(ChaCha20(seed, bytes(16)), mode=None).encryptor().update(bytes(2 * weights))
    words = torch.from_numpy(np.frombuffer(stream, "<u2").astype(np.int64))
    buckets, signs = words & (SKETCH_SIZE - 1), 1.0 - 2.0 * (words >> 15)

    def view(rows: Tensor) -> Tensor:
        return rows.new_zeros(len(rows), SKETCH_SIZE).index_add_(1, buckets, rows * signs.to(rows.dtype))

    return view


# --- together ---


def recovered(shares: Tensor, deliveries: Tensor, base: Tensor) -> Tensor:
    """The sellers' updates, from what as many buyers got: `sellers x weights`, float64.

    Args:
        shares: `buyers x sellers`, the weights of the rows, 2**16 = 1: anyone computes them from the chain.
        deliveries: `buyers x weights`, fixed point.
        base: `weights`, fixed point.
    """
    rounded = (deliveries - base).to(torch.float64) + 0.5  # a delivery is rounded down: half a unit is lost on average
    return torch.linalg.solve(shares.to(torch.float64) / 65536, rounded)
