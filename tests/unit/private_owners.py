"""Owners of pictures who train privately."""

import torch

from market_node.data import CLASSES, Examples, Owner
from market_node.learning import OwnTraining, Practice, fine_tune, weights_of
from market_node.private import PrivateTraining
from market_node.weights import write_weights

MLP = {"kind": "mlp", "input": [1, 4, 4], "hidden": [8], "classes": CLASSES}
KEY = bytes(range(32))
PRACTICE = Practice(steps=4, batch=10, momentum=0.0, decay=0.0, rate=0.1)


def pictures(count, seed):
    generator = torch.Generator().manual_seed(seed)
    return Examples(
        torch.rand(count, 1, 4, 4, generator=generator), torch.randint(CLASSES, (count,), generator=generator)
    )


def private_owner(tmp_path):
    """With a budget for one round."""
    owner = Owner(pictures(50, 1), pictures(30, 2), pictures(20, 3), torch.full((CLASSES,), 0.1))
    own = OwnTraining(MLP, owner, PRACTICE, base_seed=5, seed=6)
    start = tmp_path / "base.safetensors"
    write_weights(start, weights_of(own.build_model()))
    return PrivateTraining(own, start, PRACTICE, epsilon=3.0, rounds=1, spending=tmp_path / "spending.json")


def base(training):
    return weights_of(training.build_model())


def same(a, b):
    return all(torch.equal(a[name], b[name]) for name in a)


def spend(training):
    """A first offer, the next one before the first delivery is judged, and the two arms of that judgement."""
    offered = fine_tune(training, base(training), 1)
    mixture = {name: (tensor + offered[name]) / 2 for name, tensor in base(training).items()}
    again = fine_tune(training, offered, 2)
    return [again, *(fine_tune(training, start, 1) for start in (offered, mixture))]
