"""Three owners of handwritten digits, each of whom sees other classes more often: their models, for a first round.

    python examples/digits.py FOLDER

Writes base.safetensors, from which everybody starts, and alice.safetensors, bob.safetensors and carol.safetensors.
"""

import sys
from pathlib import Path

from market_node.architecture import build
from market_node.data import deal, load
from market_node.learning import Practice, train, weights_of
from market_node.weights import write_weights

ARCHITECTURE = {"kind": "mlp", "input": [1, 8, 8], "hidden": [64], "classes": 10}
OWNERS = {"alice": (0, 1, 2, 3, 4, 5), "bob": (3, 4, 5, 6, 7), "carol": (0, 1, 6, 7, 8, 9)}


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_weights(folder / "base.safetensors", weights_of(build(ARCHITECTURE, seed=0)))
    shares = [tuple(5 if label in seen else 1 for label in range(10)) for seen in OWNERS.values()]
    for name, owner in zip(OWNERS, deal(load("digits"), shares, seed=0, training=300, holdout=50), strict=True):
        model = build(ARCHITECTURE, seed=0)
        train(model, owner.training, Practice(steps=80), seed=0)
        write_weights(folder / f"{name}.safetensors", weights_of(model))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
