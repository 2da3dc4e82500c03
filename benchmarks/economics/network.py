"""Whether the market is worth more to each the more are in it, and whether it grows from a few.

python -m benchmarks.economics.network             all of it; writes docs/economics.md and docs/figures
python -m benchmarks.economics.network --quick     smaller and two seeds; only prints
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from statistics import mean, stdev

from benchmarks.document import TREE, table
from benchmarks.economics.page import NAMES, section, spread
from benchmarks.economics.towns import SEEDS, Rows, courses, town
from market_node.simulation.designs import DESIGNS
from market_node.simulation.figures import lines, save

FIGURES = TREE / "docs" / "figures"

SIZES = (10, 30, 100, 300, 1_000, 3_000, 10_000)
ROUNDS = 3

POTENTIAL = 300
"""Owners who could join, where growth is measured."""
LONG = 12
"""Rounds of growth."""
FEES = ("0.5", "5", "20", "30", "40", "60")
BEGINNERS = (5, 15, 30, 60)
LIKENESSES = {"0.4": 0.4, "0.25": 0.25, "0.15": 0.15, "0.1 (the floor)": 0.1, "0.05": 0.05}
"""Expected cosine within a cluster."""
USUAL_FEE, USUAL_BEGINNERS = "0.5", 30


def growing(beginners: int = USUAL_BEGINNERS, fee: str = USUAL_FEE, within: float = 0.4, design: str = "market"):
    """A town that begins with a few of those who could come."""
    return town(
        POTENTIAL,
        LONG,
        begins=beginners / POTENTIAL,
        design=design,
        terms={"fee": fee},
        sketches={"within": within, "across": min(0.1, within)},
    )


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--quick", action="store_true")
    arguments.add_argument("--workers", type=int, default=2)
    chosen = arguments.parse_args()
    seeds = SEEDS[:2] if chosen.quick else SEEDS
    sizes = SIZES[:5] if chosen.quick else SIZES

    def play(towns):
        return courses(towns, chosen.workers, seeds)

    by_size = play({n: town(n, ROUNDS, begins=1.0, patience=2) for n in sizes})
    fees = FEES[1::2] if chosen.quick else FEES
    groups = BEGINNERS[::2] if chosen.quick else BEGINNERS
    cells = play({(fee, few): growing(few, fee) for fee in fees for few in groups})
    by_likeness = play({name: growing(within=within) for name, within in LIKENESSES.items()})
    by_design = play({name: growing(design=name) for name in DESIGNS})
    text = "\n\n".join(
        (
            _sizes(by_size, len(seeds)),
            _growth(cells, fees, groups),
            _likeness(by_likeness),
            _designs(by_design),
            _verdict(cells, fees, by_size),
        )
    )
    print(text)
    if not chosen.quick:
        section("network", text)
        _draw(by_size, cells, by_design)


# --- the tables ---


def _sizes(by_size: Mapping[int, Sequence[Rows]], seeds: int) -> str:
    rows = [
        (
            f"{n:,}",
            _of(several, lambda rows: 100 * rows[-1]["participants"] / n, 0),  # noqa: B023
            _of(several, lambda rows: rows[-1]["copies"] / rows[-1]["participants"], 1),
            _of(several, lambda rows: rows[-1]["volume"] / rows[-1]["participants"], 1),
            _of(several, _welfare_each, 1),
        )
        for n, several in by_size.items()
    ]
    head = ("owners at the start", "% still in", "copies each", "volume each", "welfare each")
    return (
        "`python -m benchmarks.economics.network`: owners as in `examples/scenario.toml`, rounds of up to 1,024, "
        f"{seeds} seeds, mean ± deviation, amounts in tokens per participant and round.\n\n"
        f"**Everybody begins at once**; round {ROUNDS}. Above 1,000 there are several aggregators, with a thousand "
        "each.\n\n" + table(head, rows)
    )


def _growth(cells: Mapping[tuple[str, int], Sequence[Rows]], fees: Sequence[str], groups: Sequence[int]) -> str:
    rows = [(fee, *(f"{_of(cells[fee, few], _last, 0)} ({_grown(cells[fee, few])})" for few in groups)) for fee in fees]
    head = ("fee, tokens", *(f"{few} begin" for few in groups))
    return (
        f"**A few begin, of {POTENTIAL} who could join**: participants in round {LONG}, and in brackets under how many "
        f"seeds it had grown since the first. A quarter of those outside "
        "join in a round where those like them did not lose on average in the last one, and whoever loses three rounds "
        "in a row, fee included, leaves for good.\n\n" + table(head, rows)
    )


def _likeness(by_likeness: Mapping[str, Sequence[Rows]]) -> str:
    rows = [(name, _of(several, _last, 0), _of(several, _welfare_each, 1)) for name, several in by_likeness.items()]
    head = ("cosine within a cluster", f"participants in round {LONG}", "welfare each")
    return (
        f"**How alike data must be**: {USUAL_BEGINNERS} begin, fee {USUAL_FEE}. At the floor and below, what is "
        "bought, and the little that it is worth, are errors of the sketches.\n\n" + table(head, rows)
    )


def _designs(by_design: Mapping[str, Sequence[Rows]]) -> str:
    rows = [
        (
            NAMES[name],
            _of(several, _last, 0),
            _of(several, lambda rows: sum(row["volume"] for row in rows), 0),
            _of(several, lambda rows: sum(row["welfare"] for row in rows), 0),
            _of(several, lambda rows: sum(row["subsidy"] for row in rows), 0),
        )
        for name, several in by_design.items()
    ]
    head = ("design", f"participants in round {LONG}", "volume in all", "welfare in all", "paid from outside")
    return f"**The same market under each design**: {USUAL_BEGINNERS} begin, fee {USUAL_FEE}.\n\n" + table(head, rows)


def _verdict(
    cells: Mapping[tuple[str, int], Sequence[Rows]], fees: Sequence[str], by_size: Mapping[int, Sequence[Rows]]
) -> str:
    """Where it grows and where not, in words that follow from the figures."""
    seeds = len(next(iter(cells.values())))
    grown = {fee: [_grown(several) for (each, _), several in cells.items() if each == fee] for fee in fees}
    always = [fee for fee, counts in grown.items() if min(counts) == seeds]
    seldom = [fee for fee, counts in grown.items() if sum(counts) < seeds * len(counts) / 2]
    between = [fee for fee in fees if fee not in (*always, *seldom)]
    each = {n: mean(_welfare_each(rows) for rows in several) for n, several in by_size.items()}
    steps = list(zip(each, list(each)[1:], strict=False))
    still = [f"{after:,}" for before, after in steps if each[after] < 1.02 * each[before]]
    sentences = [
        f"From each first group and under every seed it grows at a fee of {', '.join(always)}." if always else "",
        f"At {', '.join(between)} that depends on how many begin and on chance." if between else "",
        f"At {', '.join(seldom)} it mostly does not." if seldom else "",
        f"Welfare per participant rises by less than 2 % with the step to {', '.join(still)} owners: a row holds as "
        "many sellers as the terms say, and rounds of different aggregators do not trade."
        if still
        else "Welfare per participant rises with every step in size.",
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def _grown(several: Sequence[Rows]) -> int:
    """Under how many seeds the last round has more participants than the first."""
    return sum(_last(rows) > rows[0]["participants"] for rows in several)


def _last(rows: Rows) -> float:
    return rows[-1]["participants"]


def _welfare_each(rows: Rows) -> float:
    return rows[-1]["welfare"] / max(rows[-1]["participants"], 1)


def _of(several: Sequence[Rows], value: Callable[[Rows], float], digits: int) -> str:
    return spread([value(rows) for rows in several], digits)


# --- the pictures ---


def _draw(
    by_size: Mapping[int, Sequence[Rows]],
    cells: Mapping[tuple[str, int], Sequence[Rows]],
    by_design: Mapping[str, Sequence[Rows]],
) -> None:
    def across(several: Sequence[Rows], value: Callable[[dict[str, float]], float]):
        each = list(zip(*([value(row) for row in rows] for rows in several), strict=True))
        return [mean(values) for values in each], [stdev(values) for values in each]

    welfare = [[_welfare_each(rows) for rows in several] for several in by_size.values()]
    series = {"market": ([mean(each) for each in welfare], [stdev(each) for each in welfare])}
    picture = lines("Welfare per participant", "owners", "tokens per round", list(by_size), series, log=True)
    save(picture, FIGURES / "network-size.svg")
    places = range(1, LONG + 1)
    fees = {
        f"fee {fee}": across(several, lambda row: row["participants"])
        for (fee, few), several in cells.items()
        if few == USUAL_BEGINNERS
    }
    title = f"Participants, where {USUAL_BEGINNERS} of {POTENTIAL} begin"
    save(lines(title, "round", "owners in the round", places, fees), FIGURES / "network-growth.svg")
    designs = {NAMES[name]: across(several, lambda row: row["participants"]) for name, several in by_design.items()}
    save(lines(title, "round", "owners in the round", places, designs), FIGURES / "network-designs.svg")


if __name__ == "__main__":
    main()
