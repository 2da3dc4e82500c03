"""Runs, each in a file of its own: what was run once is read."""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import torch

from market_node.data import Owner

from ..market import Rule
from ..runs import CACHE
from ..settings import PARTITIONS, Setting, fashion
from .bazaar import Bazaar, Record
from .training import CLIENTS, Trained

RULES = 7
"""Raised by hand whenever the code changes what it finds."""


def deal(partition: str, samples: int, seed: int) -> tuple[Owner, ...]:
    """Ten owners, in an order of the seed's: who attacks has nothing to do with what it has."""
    owners = fashion(partition, (samples,) * CLIENTS, seed)
    order = torch.randperm(CLIENTS, generator=torch.Generator().manual_seed(seed)).tolist()
    return tuple(owners[index] for index in order)


def setting(name: str, samples: int) -> Setting:
    return Setting(f"{name}, {samples}, attacked", partial(deal, PARTITIONS[name], samples))


def play(where: Setting, kinds: Sequence[str], seed: int, say: Callable[[str], None]) -> None:
    """Those runs that are not there yet."""
    missing = [kind for kind in kinds if not _path(where, kind, seed).exists()]
    if not missing:
        return
    torch.set_num_threads(1)
    lab = where.lab(seed)
    trained = Trained(lab.federation, lab.crowd, lab.practice, lab.rounds, lab.seed)
    for kind in missing:
        record = Bazaar(trained, kind).run()
        path = _path(where, kind, seed)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}")
        part.write_text(json.dumps(asdict(record)))
        part.replace(path)
        say(f"{where.name}, {kind}, seed {seed}: {record.accuracies}, sold {sum(record.sold)}, {record.seconds:.0f} s")


def records(where: Setting, kind: str, seeds: int) -> dict[int, Record]:
    """Seed → record, of those that are there."""
    paths = {seed: _path(where, kind, seed) for seed in range(seeds)}
    found = {seed: Record(**json.loads(path.read_text())) for seed, path in paths.items() if path.exists()}
    for each in found.values():
        each.accuracies = {int(at): points for at, points in each.accuracies.items()}
        each.cosines = {int(at): alike for at, alike in each.cosines.items()}
    return found


def _path(where: Setting, kind: str, seed: int) -> Path:
    decisive = [where.practice, where.rounds, Rule(), RULES]
    said = hashlib.sha256(repr(decisive).encode()).hexdigest()[:12]
    return CACHE / f"{where.name}-{kind}-{seed}-{said}.json".replace(" ", "-").replace(",", "")
