"""Small simulated markets to try things on."""

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from market_node.simulation.bidding import View
from market_node.simulation.engine import jobs, lines_of, play
from market_node.simulation.entry import State, World, advance
from market_node.simulation.lines import Line, Totals
from market_node.simulation.play import Owner, Seat
from market_node.simulation.scenario import Scenario, read_scenario

TOKEN = 10**18

HOSPITALS = {
    "name": "hospitals",
    "samples": {"kind": "lognormal", "median": 400, "sigma": 0.8},
    "value": {"kind": "uniform", "least": 20, "most": 80},
    "cost": {"kind": "uniform", "least": 0.05, "most": 1.0},
    "begins": 0.5,
}


def tables(**changes: Any) -> dict[str, Any]:
    """What a scenario's file says: 16 hospitals, four rounds, two aggregators."""
    return {
        "owners": 16,
        "rounds": 4,
        "seeds": [7],
        "designs": ["market"],
        "aggregators": 2,
        "terms": {"fee": "0.5", "reveal_bond": "25", "max_sellers": 4, "max_participants": 64},
        "entry": {"rate": 0.5, "patience": 2},
        "groups": [HOSPITALS],
        **changes,
    }


def scenario(**changes: Any) -> Scenario:
    return read_scenario(tables(**changes))


def world(**changes: Any) -> World:
    read = scenario(**changes)
    return World(read, read.designs[0], read.seeds[0])


def courses(market: World) -> list[tuple[list[Line], Totals]]:
    """Lines and totals of each round of a world."""
    state = State()
    rounds = []
    for _ in range(market.scenario.rounds):
        results = [play(job) for job in jobs(market, state)]
        lines = lines_of(market, results)
        advance(market, state, lines)
        rounds.append((lines, sum((each.totals for each in results), Totals())))
    return rounds


def dies(owner: Owner, view: View, rng: np.random.Generator) -> Sequence[Seat]:
    """A strategy that takes its process with it."""
    os._exit(1)


def beats(owner: Owner, view: View, rng: np.random.Generator) -> Sequence[Seat]:
    """A strategy that never ends, and writes a sign of life into `BEATS`."""
    while True:
        with open(os.environ["BEATS"], "a") as file:
            file.write(".")
        time.sleep(0.05)


def files(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
