"""Owners of pictures that a network of a few hundred weights learns at once."""

import torch

from market_node.data import CLASSES, Examples, Owner
from market_node.learning import OwnTraining, Practice, fine_tune, weights_of

MLP = {"kind": "mlp", "input": [1, 4, 4], "hidden": [12], "classes": CLASSES}


def patterns(count, seed):
    """Pictures that can be learned: ten fixed patterns, blurred."""
    generator = torch.Generator().manual_seed(seed)
    shapes = torch.rand(CLASSES, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    labels = torch.randint(CLASSES, (count,), generator=generator)
    return Examples(shapes[labels] + 0.1 * torch.rand(count, 1, 4, 4, generator=generator), labels)


def owner(training=100, holdout=40):
    return Owner(patterns(training, 1), patterns(holdout, 2), patterns(50, 3), torch.full((CLASSES,), 0.1))


def own_training(training=100, holdout=40, steps=30):
    return OwnTraining(MLP, owner(training, holdout), Practice(steps, batch=20), base_seed=5, seed=6)


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def base_of(training):
    return weights_of(training.build_model())


def model_of(training, seed=0):
    return fine_tune(training, base_of(training), seed)
