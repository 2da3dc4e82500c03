"""A Flower client as your training: `training = "trainer:alice"` in node.toml, with this folder beside it.

`pytorchexample` is Flower's own quickstart: its client as it is, its network and its training. Only the data loader
reads other pictures.
"""

import os
import sys
from pathlib import Path

from market_node.flower import FlowerTraining

HERE = Path(__file__).parent
NAMES = ("alice", "bob", "carol")
TRAINING, HOLDOUT = 240, 60


def training(name, folder=HERE):
    return FlowerTraining(
        folder=folder,  # pyproject.toml there names the client
        base=folder / "data" / "base.safetensors",  # the task's checkpoint
        samples=TRAINING,  # on how many the client trains
        python=os.environ.get("FLOWER_PYTHON", sys.executable),  # of the environment that has Flower
        config={"lr": 0.02},  # what the server would send with each message
        run_config={"local-epochs": 5},
        node_config={"partition-id": NAMES.index(name), "num-partitions": len(NAMES)},
        losses="losses:of_each",  # so that the node can rate what it buys
        holdout=HOLDOUT,
    )


alice, bob, carol = map(training, NAMES)
