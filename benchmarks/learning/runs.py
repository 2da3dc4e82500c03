"""Runs, each in a file of its own: what was run once is read."""

import hashlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from benchmarks.document import TREE

from .methods import CHECKS, COST, METHODS, paper_gain
from .settings import Setting

CACHE = TREE / "build" / "learning"

RULES = {"market": 10}
"""Method → raised by hand whenever its code changes what it gives: older files no longer count. The others have 3."""


@dataclass(frozen=True, slots=True)
class Result:
    """What one run found."""

    accuracies: tuple[float, ...]
    """Of each client, percent."""
    samples: tuple[int, ...]
    """Of each client's training."""
    utilities: tuple[float, ...]
    """Of each client, the paper's: its gains less its costs, over all rounds."""
    like_utilities: tuple[float, ...]
    """The same, with each sample counted for as much as its owner's update is like the buyer's."""
    bought: tuple[int, ...]
    """Models that each client got, over all rounds."""
    sold: tuple[int, ...]
    seconds: float
    notes: dict[str, Any]


def play(setting: Setting, method: str, seed: int, knobs: Mapping[str, Any]) -> Result:
    """One run. Cached."""
    path = CACHE / f"{_name(setting, method, seed, knobs)}.json"
    if path.exists():
        return Result(**json.loads(path.read_text()))
    torch.set_num_threads(1)
    result = run(setting, method, seed, knobs)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}")
    part.write_text(json.dumps(_plain(result)))
    part.replace(path)  # two processes may write the same
    return Result(**json.loads(path.read_text()))


def run(setting: Setting, method: str, seed: int, knobs: Mapping[str, Any]) -> Result:
    """One run, not cached."""
    start = time.process_time()
    lab = setting.lab(seed)
    accuracies = lab.measure((METHODS | CHECKS)[method](lab, **knobs))
    graph = sum(lab.graphs, torch.zeros(lab.clients, lab.clients, dtype=torch.int64))
    return Result(
        tuple(accuracies),
        tuple(lab.federation.samples),
        tuple(utilities(lab.graphs, lab.federation.samples)),
        tuple(utilities(lab.graphs, lab.federation.samples, lab.likeness)),
        tuple(graph.sum(dim=1).tolist()),
        tuple(graph.sum(dim=0).tolist()),
        time.process_time() - start,
        lab.notes,
    )


def utilities(
    graphs: Sequence[Tensor], samples: Sequence[int], likeness: Sequence[Tensor] | None = None
) -> list[float]:
    """Gain less costs of each client over all rounds, by the paper's formulas: what is paid nets out to nothing.

    Args:
        likeness: for each round, how much a seller's samples count for a buyer; without, each counts as one.
    """
    total = [0.0] * len(samples)
    counted = torch.tensor(samples, dtype=torch.float64)
    for number, graph in enumerate(graphs):
        sizes = graph * counted if likeness is None else graph * likeness[number] * counted
        for client, (own, imported) in enumerate(zip(samples, sizes.sum(dim=1).tolist(), strict=True)):
            total[client] += paper_gain(own, imported) - COST * int(graph[:, client].sum())
    return total


def _name(setting: Setting, method: str, seed: int, knobs: Mapping[str, Any]) -> str:
    """A file's name, which all that a caller chooses goes into. Of the code, constants included (TRUST, DRAWN_BACK …),
    only `RULES` does, which is raised by hand."""
    said = [
        setting.name,
        method,
        seed,
        sorted(knobs.items()),
        repr(setting.practice),
        setting.rounds,
        RULES.get(method, 3),
    ]
    digest = hashlib.sha256(repr(said).encode()).hexdigest()[:12]
    return f"{setting.name}-{method}-{seed}-{digest}".replace(" ", "-").replace(",", "")


def _plain(result: Result) -> dict[str, Any]:
    return {name: getattr(result, name) for name in Result.__slots__}
