"""Clients and what each of them has: the same for every method."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from market_node.data import Examples, Owner

HELD_OUT = 6
"""One sample in so many is kept back by a client that has `LEAST_DIVIDED` or more: no method trains on it."""

LEAST_DIVIDED = 200
"""Samples from which on a client keeps some back. One of just as many trains on 167, so it is guarded as those are that
have fewer than `adoption.LEAST_GUARDED`: by two standard errors."""


@dataclass(frozen=True, slots=True)
class Federation:
    """The clients of one run."""

    owners: tuple[Owner, ...]
    inputs: Tensor
    """`clients x samples x …`, float32, what they train on, filled up with zeros."""
    labels: Tensor
    """`clients x samples`, int64."""

    @property
    def samples(self) -> list[int]:
        """What each one trains on."""
        return [len(owner.training) for owner in self.owners]


def federation(owners: Sequence[Owner]) -> Federation:
    """Stacks what the owners train on."""
    most = max(len(owner.training) for owner in owners)
    first = owners[0].training
    inputs = torch.zeros(len(owners), most, *first.inputs.shape[1:])
    labels = torch.zeros(len(owners), most, dtype=torch.int64)
    for index, owner in enumerate(owners):
        inputs[index, : len(owner.training)] = owner.training.inputs
        labels[index, : len(owner.training)] = owner.training.labels
    return Federation(tuple(owners), inputs, labels)


def owner(examples: Examples, test: Examples, classes: int, generator: torch.Generator) -> Owner:
    """An owner of `examples`: keeps its part back, and is tested on those classes of `test` that it has."""
    shuffled = examples[torch.randperm(len(examples), generator=generator)]
    kept = len(examples) // HELD_OUT if len(examples) >= LEAST_DIVIDED else 0
    label_mix = torch.bincount(examples.labels, minlength=classes) / len(examples)
    return Owner(shuffled[kept:], shuffled[:kept], test[label_mix[test.labels] > 0], label_mix)


# --- who has how many of each class ---


def parts(mix: Tensor, count: int) -> Tensor:
    """`count` samples in the proportions of `mix`, whole ones: largest remainders."""
    exact = mix / mix.sum() * count
    whole = exact.floor()
    rest = count - int(whole.sum())
    whole[(exact - whole).argsort(descending=True, stable=True)[:rest]] += 1
    return whole.to(torch.int64)


def dirichlet(clients: int, classes: int, generator: torch.Generator, concentration: float = 0.1) -> Tensor:
    """`clients x classes`: each class is split over the clients by a Dirichlet distribution."""
    gamma = torch._standard_gamma(torch.full((classes, clients), concentration, dtype=torch.float64), generator)
    return (gamma / gamma.sum(dim=1, keepdim=True).clamp(min=1e-300)).T


def clusters(clients: int, classes: int, generator: torch.Generator, count: int = 3, within: float = 10.0) -> Tensor:
    """`clients x classes`: classes are split over clusters as by `dirichlet`, and inside them nearly evenly."""
    between = dirichlet(count, classes, generator)
    each = [len(part) for part in torch.arange(clients).tensor_split(count)]
    inside = [dirichlet(size, classes, generator, within) for size in each]
    return torch.cat([between[index] * share for index, share in enumerate(inside)])


def five_classes(clients: int, classes: int, generator: torch.Generator) -> Tensor:
    """`clients x classes`: in turn the first half of the classes and the second, as the paper's code deals them."""
    halves = torch.arange(classes) // (classes // 2)
    return (halves == torch.arange(clients).unsqueeze(1) % 2).to(torch.float64)


def deal(
    pictures: Examples, mixes: Tensor, sizes: Sequence[int], generator: torch.Generator, tested: int
) -> tuple[Owner, ...]:
    """Deals samples out, each to one owner.

    Args:
        mixes: `clients x classes`, proportions.
        sizes: samples of each client.
        tested: samples of each class that are kept for the test.
    """
    classes = mixes.shape[1]
    piles, tests = [], []
    for label in range(classes):
        pile = (pictures.labels == label).nonzero().flatten()
        pile = pile[torch.randperm(len(pile), generator=generator)]
        tests.append(pile[:tested])
        piles.append(pile[tested:])
    test = pictures[torch.cat(tests)]
    taken = [0] * classes
    owners = []
    for mix, size in zip(mixes, sizes, strict=True):
        hand = []
        for label, count in enumerate(parts(mix, size).tolist()):
            assert taken[label] + count <= len(piles[label]), "too few samples of a class"
            hand.append(piles[label][taken[label] : taken[label] + count])
            taken[label] += count
        owners.append(owner(pictures[torch.cat(hand)], test, classes, generator))
    return tuple(owners)
