"""What participants come to say that learn, under each design: best responses, and regret matching by all at once.

python -m benchmarks.economics.learners            all of it; writes docs/economics.md and docs/figures
python -m benchmarks.economics.learners --quick    shorter and two seeds; only prints
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean

from benchmarks.document import TREE, table
from benchmarks.economics.page import NAMES, section, spread
from market_node.simulation.designs import DESIGNS
from market_node.simulation.figures import bars, save
from market_node.simulation.learners import Game, Learned, best_responses, learn
from market_node.simulation.strategies import SIDES
from market_node.simulation.trial import MEDIAN_SAMPLES, USUAL, town, usual_terms

OWNERS = 9
SEEDS = range(5)
ROUNDS = 150
LEARNING = ("market", "paper", "posted", "proportional")
"""Learning takes time; the others' best responses say what there is to learn."""

SAYS = {
    "cost": "cost, × true",
    "samples": "samples, × true",
    "value": "value, × true",
    "minReputation": "minReputation",
    "sketch": "sketch, 1 − cosine",
}
TRUTHS = {"cost": 1, "samples": 1, "value": 1, "minReputation": 0, "sketch": 0}


@dataclass(frozen=True, slots=True)
class Found:
    """What one design and side came to, by seed."""

    mean_gain: list[float]
    """Of a best response, over owners, % of the median value."""
    largest_gain: list[float]
    learned: list[Learned]


def measure(design: str, side: str, seeds: Sequence[int], rounds: int) -> Found:
    gains, largest, learned = [], [], []
    for seed in seeds:
        game = Game(town(OWNERS, seed, usual_terms()), design, side)
        answers = [100 * answer.gain for answer in best_responses(game)]
        gains.append(mean(answers))
        largest.append(max(answers))
        if design in LEARNING:
            learned.append(learn(game, rounds, each_round=2))
    return Found(gains, largest, learned)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--quick", action="store_true")
    quick = arguments.parse_args().quick
    seeds, rounds = (SEEDS[:2], 40) if quick else (SEEDS, ROUNDS)
    found: dict[tuple[str, str], Found] = {}
    for design in DESIGNS:
        for side in SIDES:
            found[design, side] = measure(design, side, seeds, rounds)
        print(design, {side: spread(found[design, side].mean_gain, 2) for side in SIDES}, flush=True)
    text = report(found, rounds, len(seeds))
    print(text)
    if not quick:
        section("learners", text)
        save(picture(found), TREE / "docs" / "figures" / "learners.svg")


def report(found: Mapping[tuple[str, str], Found], rounds: int, seeds: int) -> str:
    best = table(
        ["best response, % of the median value: mean / largest", *(f"{side}" for side in SIDES)],
        [
            [
                NAMES[design],
                *(
                    f"{spread(found[design, side].mean_gain)} / {max(found[design, side].largest_gain):.1f}"
                    for side in SIDES
                ),
            ]
            for design in DESIGNS
        ],
    )
    said = table(
        ["said in the end: mean (the truth)", *(f"{SAYS[side]} ({TRUTHS[side]})" for side in SIDES)],
        [
            [NAMES[design], *(spread([each.said for each in found[design, side].learned], 2) for side in SIDES)]
            for design in LEARNING
        ],
    )
    welfare = table(
        ["welfare of learned play, % of the truth's", *SIDES],
        [
            [NAMES[design], *(spread([100 * each.welfare for each in found[design, side].learned]) for side in SIDES)]
            for design in LEARNING
        ],
    )
    regret = max(each.regret for one in found.values() for each in one.learned)
    market = {side: mean(each.regret for each in found["market", side].learned) for side in SIDES}
    left = ", ".join(f"{side} {100 * value:.1f} %" for side, value in market.items())
    indifferent = 100 * mean(each.truthful for each in found["market", "cost"].learned)
    return f"""
`python -m benchmarks.economics.learners`: {OWNERS} owners in three clusters, reputations from 1/32 to 1, one side of
the bid at a time; mean ± deviation over {seeds} seeds. The terms: maxSamples {USUAL["max_samples"]:,.0f} (the samples
in the middle are {MEDIAN_SAMPLES}), at most {USUAL["max_sellers"]:g} sellers, floor {USUAL["floor"]:g}. A model stays
what it is, whatever is said of it: a sketch that points elsewhere
supposes an aggregator that does not check it, or a model made of what others sold, which adds nothing to theirs.

**One owner looks for its best lie** while all others tell the truth: what it gains over the truth.

{best}

**All learn at once**, by regret matching over {rounds} rounds: what they say in the second half.

{said}

{welfare}

How far play is from an equilibrium (largest average regret of an owner) under the market's rule: {left} of the
median value; under any, {100 * regret:.0f} % at most. On the cost side nothing pulls towards the truth where several
costs leave the same sellers chosen at the same prices: under the market's rule {indifferent:.0f} % of play is the
truth.

![What one owner gains by its best lie](figures/learners.svg)
"""


def picture(found: Mapping[tuple[str, str], Found]) -> object:
    series = {
        NAMES[design]: (
            [mean(found[design, side].mean_gain) for side in SIDES],
            [0.0 for _ in SIDES],
        )
        for design in DESIGNS
    }
    return bars("What an owner gains by its best lie", "side of the bid", "% of the median value", list(SIDES), series)


if __name__ == "__main__":
    main()
