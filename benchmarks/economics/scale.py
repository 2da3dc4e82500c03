"""What a simulated participant costs in a market of 1,000 and of 10,000, and that Ray leaves the bytes of processes.

python -m benchmarks.economics.scale                   1,000 to 10,000 owners, 20 rounds; writes docs/economics.md
python -m benchmarks.economics.scale --rounds 3 --most 3000    less; only prints

CPU time is that of all processes less what it takes them to start; the wall clock counts everything, from nothing to
the Parquet files, and depends on what else the machine does.
"""

import argparse
import hashlib
import os
import resource
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.document import machine, table
from benchmarks.economics.page import section
from benchmarks.economics.towns import town
from market_node.simulation.engine import worlds
from market_node.simulation.results import gather
from market_node.simulation.workers import run

SIZES = (1_000, 3_000, 10_000)
ROUNDS = 20
LIMIT = 300
"""Seconds that 10,000 owners and 20 rounds may take on two cores."""
FLAT = 0.2
"""How much cost per participant may differ from that of the smallest market."""
SMALL, FEW = 1_000, 3
"""Owners and rounds that Ray plays too."""
MEGABYTE = 1 << 20


@dataclass(frozen=True)
class Cost:
    """Of one simulation."""

    wall: float
    """Seconds."""
    cpu: float
    """Seconds, of all processes."""
    memory: float
    """MB, the largest process."""
    digest: str
    """Of both Parquet files."""


def measured(owners: int, rounds: int, workers: int, *, seeds: int = 1, engine: str = "processes") -> Cost:
    """Everybody there in every round, under as many seeds as it takes to give every process something to do."""
    scenario = town(owners, rounds, begins=1.0, patience=1_000_000)
    scenario = replace(scenario, seeds=tuple(range(seeds)))
    with tempfile.TemporaryDirectory() as folder:
        wall, cpu = time.perf_counter(), _cpu()
        for _ in run(scenario, Path(folder), engine=engine, workers=workers):
            pass
        files = gather(Path(folder), list(worlds(scenario)))
        wall, cpu = time.perf_counter() - wall, _cpu() - cpu
        digest = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    memory = max(resource.getrusage(kind).ru_maxrss for kind in kinds) * 1024 / MEGABYTE
    return Cost(wall, cpu, memory, digest)


def seeds_of(owners: int, workers: int) -> int:
    """Worlds side by side: as many as leave no process without an aggregator's round."""
    return -(-workers * 1_000 // owners)


def _cpu() -> float:
    """Seconds that this process and those that it waited for have used."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rounds", type=int, default=ROUNDS)
    arguments.add_argument("--most", type=int, default=SIZES[-1])
    arguments.add_argument("--workers", type=int, default=2)
    chosen = arguments.parse_args()
    sizes = [size for size in SIZES if size <= chosen.most]
    start = measured(2, 1, workers=2).cpu  # one aggregator, so one process is started
    costs = {}
    for size in sizes:
        costs[size] = measured(size, chosen.rounds, chosen.workers, seeds=seeds_of(size, chosen.workers))
        print(size, costs[size], flush=True)
    same = measured(SMALL, FEW, chosen.workers).digest == measured(SMALL, FEW, chosen.workers, engine="ray").digest
    text = _text(costs, chosen.rounds, chosen.workers, start, same)
    print(text)
    if chosen.rounds == ROUNDS and tuple(sizes) == SIZES:
        section("scale", text)


def _text(costs: dict[int, Cost], rounds: int, workers: int, start: float, same: bool) -> str:
    each = {
        size: 1_000 * (cost.cpu - workers * start) / (seeds_of(size, workers) * size * rounds)
        for size, cost in costs.items()
    }  # milliseconds
    first = each[min(each)]
    rows = [
        (
            f"{size:,}",
            -(-size // 1_000),
            seeds_of(size, workers),
            f"{cost.wall:.0f} s",
            f"{cost.cpu:.0f} s",
            f"{each[size]:.2f} ms",
            f"{each[size] / first - 1:+.0%}",
            f"{cost.memory:.0f} MB",
        )
        for size, cost in costs.items()
    ]
    head = (
        "owners",
        "aggregators",
        "worlds",
        "wall clock",
        "CPU in all",
        "CPU per participant and round",
        "beside the first",
        "memory",
    )
    largest = max(costs)
    off = max(abs(value / first - 1) for value in each.values())
    return (
        f"`python -m benchmarks.economics.scale`: {rounds} rounds, everybody there in each, {workers} processes, "
        f"{machine()}. Starting a process took {start:.1f} s of CPU, which is not counted per participant; memory is "
        "that of the largest process. Where one world leaves a process idle, two are played side by side.\n\n"
        + table(head, rows)
        + f"\n\n{largest:,} owners and {rounds} rounds took {costs[largest].wall:.0f} s (limit: {LIMIT} s). Cost per "
        f"participant differs by {off:.0%} at most (limit: {FLAT:.0%}). {SMALL:,} owners and {FEW} rounds on Ray and "
        f"in processes: {'the same bytes' if same else 'NOT the same bytes'}."
    )


if __name__ == "__main__":
    main()
