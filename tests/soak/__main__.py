"""`make soak`: nodes left alone for long, nodes killed hundreds of times, the guide's market; to docs/benchmarks.md.

python -m tests.soak [kills] [rounds] [guide]
"""

import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.document import machine, table, write
from tests.soak.guide import guide
from tests.soak.town import Town

KILLS, KILLED = 200, 5
"""How often nodes are killed, and how many participants there are."""

ROUNDS, TOGETHER, SPARE = 50, 20, 4
"""How many rounds are played, by how many participants, and how many wait to take a place."""

DAY = 86_400
"""Seconds from one round to the next."""

SETTLED_IN = 5
"""After so many rounds a node's memory must not grow by more than a tenth."""

PARTS = ("commit", "reveal", "rate", "settle", "payOut")


def kills() -> None:
    """Kills nodes at step boundaries and at random times until there were enough; every round must end paid out."""
    began = time.monotonic()
    with _folder() as folder, Town(folder, KILLED, seed=int(time.time()), patience=240) as town:
        print("seed", town.seed)
        town.kills_wanted = KILLS
        town.start(*town.houses)
        number = 0
        while town.kills < KILLS or number < 2:
            number += 1
            town.pass_round(number, KILLED)
            print(f"round {number}: paid out, {town.kills} kills", flush=True)
        town.stop(*town.houses)
        lost = _lost_bonds(town, number)
        twice, findings = town.sent_twice(), town.findings()
        town.check_databases()
        where = Counter((folder / "kills").read_text().splitlines())
    assert not (lost or twice or findings), (lost, twice, findings)
    at = ", ".join(f"{name.replace('_', ' ').strip()} {count}" for name, count in where.most_common())
    write(
        "docs/benchmarks.md",
        "kills",
        f"`make soak`: {town.kills} SIGKILLs of {KILLED} participants, an aggregator and an auditor over {number} "
        f"rounds, {sum(where.values())} of them at a boundary and the others at random times; a killed node was "
        f"started again at once. {number} rounds paid out, 0 reveal bonds lost, 0 transactions sent twice, 0 findings "
        f"of an audit, every database intact; {time.monotonic() - began:.0f} s.\n\nThe boundaries: {at}.",
    )


def rounds() -> None:
    """Plays many rounds with many participants, of whom some leave and others join between rounds."""
    began = time.monotonic()
    with _folder() as folder, Town(folder, TOGETHER + SPARE, interval=1.0, patience=600, every=DAY) as town:
        memory: dict[str, list[int]] = {}
        here, waiting = town.names[:TOGETHER], town.names[TOGETHER:]
        stay = {"aggregator", "auditor", *town.names[: TOGETHER // 2]}
        """Who is never stopped, and whose memory is compared."""
        town.start("aggregator", "auditor", *here)
        joined = 0
        for number in range(1, ROUNDS + 1):
            town.pass_round(number, TOGETHER)
            for name in stay:
                memory.setdefault(name, []).append(town.houses[name].memory())
            print(f"round {number}: {time.monotonic() - began:.0f} s", flush=True)
            if number < ROUNDS:
                leaves, joins = here.pop(TOGETHER // 2), waiting.pop(0)
                town.stop(leaves)
                town.start(joins)
                here.append(joins)
                waiting.append(leaves)
                joined += 1
        town.stop(*(name for name, house in town.houses.items() if house.process))
        events = [event for name in town.houses for event in town.events(name)]
        lost, twice, findings = _lost_bonds(town, ROUNDS), town.sent_twice(), town.findings()
        gas = _gas(town)
    errors = [event for event in events if event["level"] in ("error", "critical")]
    warnings = [event for event in events if event["level"] == "warning" and "clock" not in event["message"]]
    growth = {name: sizes[-1] / sizes[SETTLED_IN - 1] - 1 for name, sizes in memory.items()}
    assert not (lost or twice or findings or errors), (lost, twice, findings, errors)
    assert max(growth.values()) < 0.1, growth
    rows = []
    for label, names in (
        ("participant", [name for name in stay if name in town.names]),
        ("aggregator", ["aggregator"]),
        ("auditor", ["auditor"]),
    ):
        at = [statistics.median(memory[name][number] for name in names) / 2**20 for number in (0, SETTLED_IN - 1, -1)]
        worst = max(growth[name] for name in names)
        rows.append((label, len(names), *(f"{each:.1f}" for each in at), f"{100 * worst:+.1f} %"))
    later = [sum(gas[number].values()) for number in range(SETTLED_IN + 1, ROUNDS + 1)]
    parts = [statistics.median(gas[number][part] for number in range(SETTLED_IN + 1, ROUNDS + 1)) for part in PARTS]
    write(
        "docs/benchmarks.md",
        "soak",
        f"`make soak`: {ROUNDS} rounds of {TOGETHER} participants, with an aggregator and an auditor, every node a "
        f"process of its own on one devnet; between rounds {joined} left and {joined} joined. {machine()}. {ROUNDS} "
        f"rounds paid out, {len(errors)} errors and {len(warnings)} warnings in {len(events):,} lines of logs (but for "
        "the clock, which is set forward), 0 reveal bonds lost, 0 transactions sent twice, 0 findings of an audit; "
        f"{time.monotonic() - began:.0f} s.\n\n"
        + table(
            ("node", "compared", "MiB after round 1", f"after {SETTLED_IN}", f"after {ROUNDS}", "most growth since"),
            rows,
        )
        + f"\n\nGas per participant and round, rounds {SETTLED_IN + 1} to {ROUNDS}: {min(later):,.0f} … "
        + f"{max(later):,.0f}; medians "
        + ", ".join(f"{name} {median:,.0f}" for name, median in zip(PARTS, parts, strict=True))
        + ".",
    )


def _lost_bonds(town: Town, rounds: int) -> list[tuple[int, int]]:
    """(Round, index) of who committed and did not reveal, or was excluded."""
    lost = []
    for number in range(1, rounds + 1):
        round_ = town.history.ledger.rounds[number]
        assert round_.settlement is not None
        lost += [
            (number, index)
            for index, each in enumerate(round_.participants)
            if each.reveal is None or index in round_.settlement.excluded
        ]
    return lost


def _gas(town: Town) -> dict[int, dict[str, float]]:
    """Round → part → gas per participant."""
    gas = {number: dict.fromkeys(PARTS, 0.0) for number in range(1, ROUNDS + 1)}
    for each in town.transactions():
        if each.what in PARTS and each.round in gas:
            gas[each.round][each.what] += each.gas / TOGETHER
    return gas


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="market-node-soak-") as folder:
        yield Path(folder)


if __name__ == "__main__":
    for name in sys.argv[1:] or ("kills", "rounds", "guide"):
        {"kills": kills, "rounds": rounds, "guide": guide}[name]()
