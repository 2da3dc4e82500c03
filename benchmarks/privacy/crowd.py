"""Many private trainings at once: what `market_node.private.descend` does to one model, for a row of weights each.

Nine small networks take a fifth of the time that Opacus takes one by one. Noise is for measuring, not secret.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, cross_entropy, unfold

from benchmarks.learning.crowd import Crowd, Pull
from benchmarks.learning.lab import Lab
from market_node.learning import Practice
from market_node.private import DELTA_POWER, noise_multiplier

CLIP = 1.0


@dataclass(frozen=True, slots=True)
class Budget:
    """A wanted ε, for so many trainings."""

    epsilon: float
    trainings: int

    def noise(self, samples: int, practice: Practice) -> float:
        """The noise multiplier of an owner of so many samples, δ as `PrivateTraining` has it."""
        rate = min(1.0, practice.batch / samples)
        return noise_multiplier(self.epsilon, samples**-DELTA_POWER, rate, practice.steps * self.trainings)


def train(
    crowd: Crowd,
    weights: Tensor,
    inputs: Tensor,
    labels: Tensor,
    samples: Tensor,
    noise: Tensor,
    practice: Practice,
    generator: torch.Generator,
    clip: float = CLIP,
) -> Tensor:
    """Trains every client privately for the steps of `practice`.

    Args:
        weights: `clients x weights`; left alone.
        inputs, labels: `clients x samples x …`, filled up beyond a client's own.
        samples: `clients`, how many each one has.
        noise: `clients`, noise multipliers.

    Returns:
        `clients x weights`.
    """
    flat, velocity = weights.detach().clone(), None
    rates = (practice.batch / samples).clamp(max=1).unsqueeze(1)
    there = torch.arange(inputs.shape[1]) < samples.unsqueeze(1)
    clients = torch.arange(len(flat)).unsqueeze(1)
    for number in range(practice.steps):
        taken = (torch.rand(there.shape, generator=generator) < rates) & there
        chosen = taken.int().argsort(dim=1, descending=True)[:, : max(1, int(taken.sum(dim=1).max()))]
        step = clipped_sums(crowd, flat, inputs[clients, chosen], labels[clients, chosen], taken[clients, chosen], clip)
        step += (noise * clip).unsqueeze(1) * torch.randn(step.shape, generator=generator)
        step /= rates * samples.unsqueeze(1)
        step.add_(flat, alpha=practice.decay)
        velocity = step if velocity is None else velocity.mul_(practice.momentum).add_(step)
        flat.sub_(velocity, alpha=practice.rate_at(number))
    return flat


def clipped_sums(crowd: Crowd, flat: Tensor, inputs: Tensor, labels: Tensor, taken: Tensor, clip: float) -> Tensor:
    """Each client's sum of its samples' gradients, each cut to the norm `clip`: `clients x weights`.

    No sample's gradient of a linear layer is ever made: it is an outer product, and so is known its norm.

    Args:
        inputs: `clients x batch x …`.
        taken: `clients x batch`, which samples count.
    """
    layers = _forward(crowd, flat, inputs)
    logits = layers[-1][3]
    loss = cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum")
    slopes = torch.autograd.grad(loss, [output for *_, output in layers])
    squares = torch.zeros(labels.shape)
    found: list[tuple[slice, slice, Tensor, Tensor]] = []
    for (layer, (weight, bias), values, _), slope in zip(layers, slopes, strict=True):
        if isinstance(layer, nn.Conv2d):
            patches = unfold(values.flatten(0, 1), layer.kernel_size).unflatten(0, labels.shape)
            slope = slope.flatten(3)
            each = slope @ patches.transpose(2, 3)
            squares += each.square().sum(dim=(2, 3)) + slope.sum(dim=3).square().sum(dim=2)
            found.append((weight, bias, each, slope.sum(dim=3)))
        else:
            squares += slope.square().sum(dim=2) * (1 + values.square().sum(dim=2))
            found.append((weight, bias, values, slope))
    shares = (clip / (squares.sqrt() + 1e-6)).clamp(max=1) * taken
    sums = torch.empty_like(flat)
    for weight, bias, values, slope in found:
        shared = slope * shares.unsqueeze(2)
        if values.dim() == 4:  # a convolution's gradients, sample by sample
            sums[:, weight] = torch.einsum("cb,cb...->c...", shares, values).flatten(1)
        else:
            sums[:, weight] = torch.einsum("cbo,cbi->coi", shared, values).flatten(1)
        sums[:, bias] = shared.sum(dim=1)
    return sums


def _forward(crowd: Crowd, flat: Tensor, inputs: Tensor) -> list[tuple[nn.Module, tuple[slice, slice], Tensor, Tensor]]:
    """Each layer that has weights, where they are, its input and its output, `clients x batch x …`."""
    places, names = iter(crowd.places.values()), iter(crowd.shapes.values())
    values, layers = inputs, []
    for layer in crowd.model:
        if not isinstance(layer, nn.Conv2d | nn.Linear):
            values = layer(values.flatten(0, 1)).unflatten(0, values.shape[:2])
            continue
        where = next(places), next(places)
        weight, bias = (flat[:, place].unflatten(1, next(names)) for place in where)
        if isinstance(layer, nn.Conv2d):
            pictures = conv2d(
                values.transpose(0, 1).flatten(1, 2), weight.flatten(0, 1), bias.flatten(), groups=len(flat)
            )
            output = pictures.unflatten(1, (len(flat), -1)).transpose(0, 1)
        else:
            output = torch.baddbmm(bias.unsqueeze(1), values, weight.transpose(1, 2))
        if not output.requires_grad:  # the first: of what is before it nobody asks
            output.requires_grad_()
        layers.append((layer, where, values.detach(), output))
        values = output
    return layers


@dataclass
class PrivateLab(Lab):
    """A run whose clients all train privately, every training with noise of its own."""

    budget: Budget = field(kw_only=True)
    generator: torch.Generator = field(init=False)

    def __post_init__(self) -> None:
        self.generator = torch.Generator().manual_seed(self.seed)
        counts = self.federation.samples
        self.noise = torch.tensor([self.budget.noise(count, self.practice) for count in counts])

    def train(self, weights: Tensor, part: int, pull: Pull | None = None, rows: list[int] | None = None) -> Tensor:
        """As `Lab.train` is asked; no method that pulls can be private here."""
        assert pull is None
        chosen = list(range(self.clients)) if rows is None else list(rows)
        if not chosen:
            return weights.clone()
        data = self.federation
        samples = torch.tensor(data.samples)[chosen]
        return train(
            self.crowd, weights, data.inputs[chosen], data.labels[chosen], samples, self.noise[chosen],
            self.practice, self.generator,
        )  # fmt: skip
