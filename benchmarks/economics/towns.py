"""Simulated markets for the figures: that of examples/scenario.toml with changes, each world in its own process."""

import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow.parquet as pq

from benchmarks.document import TREE
from market_node.simulation.engine import worlds
from market_node.simulation.results import gather
from market_node.simulation.scenario import Scenario, read_scenario
from market_node.simulation.workers import leave_with_parent, one_thread_each, run

SEEDS = (1, 2, 3, 4, 5)


Rows: TypeAlias = list[dict[str, float]]
"""A world's `rounds.parquet`, money in tokens."""


def town(
    owners: int,
    rounds: int,
    *,
    begins: float,
    design: str = "market",
    patience: int = 3,
    terms: Mapping[str, Any] | None = None,
    sketches: Mapping[str, Any] | None = None,
) -> Scenario:
    """The example's market in another size, with as many aggregators as it needs and places for everybody.

    Args:
        begins: the share of each group that is there in the first round.
    """
    tables = tomllib.loads((TREE / "examples" / "scenario.toml").read_text())
    tables |= {"owners": owners, "rounds": rounds, "designs": [design], "seeds": [0]}
    tables["aggregators"] = -(-owners // 1_000)
    tables["terms"] |= {"max_participants": 1_024, **(terms or {})}
    tables["sketches"] |= sketches or {}
    tables["entry"]["patience"] = patience
    for group in tables["groups"]:
        group["begins"] = begins
    return read_scenario(tables)


def course(scenario: Scenario, seed: int) -> Rows:
    """A world from its first round to its last."""
    from dataclasses import replace

    scenario = replace(scenario, seeds=(seed,))
    with tempfile.TemporaryDirectory() as folder:
        for _ in run(scenario, Path(folder), workers=1):
            pass
        _, rounds = gather(Path(folder), list(worlds(scenario)))
        table = pq.read_table(rounds)
    return [{name: float(value) for name, value in row.items() if name != "design"} for row in table.to_pylist()]


def courses(towns: Mapping[Any, Scenario], workers: int, seeds: Sequence[int] = SEEDS) -> dict[Any, list[Rows]]:
    """Each town under each seed, in processes."""
    with _pool(workers) as pool:
        running = {key: [pool.submit(course, town, seed) for seed in seeds] for key, town in towns.items()}
        done = {}
        for key, several in running.items():
            done[key] = [each.result() for each in several]
            print(key, [round(each[-1]["participants"]) for each in done[key]], flush=True)
    return done


@contextmanager
def _pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    with (
        one_thread_each(),
        ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=leave_with_parent) as pool,
    ):
        yield pool
