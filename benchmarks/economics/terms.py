"""Which terms to recommend: what honest owners gain under each, what cheap attacks earn, and which fee ends those.

python -m benchmarks.economics.terms            all of it; writes docs/economics.md and docs/figures
python -m benchmarks.economics.terms --quick    two seeds of small markets; only prints
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, quantiles, stdev

from benchmarks.document import TREE, table
from benchmarks.economics.page import section, spread
from market_node.recommended import PARTS, RECOMMENDED, TYPICAL_SAMPLES, TYPICAL_VALUE
from market_node.records import Terms
from market_node.simulation.attacks import ATTACKS
from market_node.simulation.damage import damage
from market_node.simulation.figures import lines, save
from market_node.simulation.play import standing_after
from market_node.simulation.trial import MEDIAN_SAMPLES, MEDIAN_VALUE, play_round, town, usual_terms

SEEDS = range(5)
ROUNDS = 10
FEE = 0.01
"""Under which all is measured; what another one would change follows from the number of accounts."""


@dataclass(frozen=True, slots=True)
class Size:
    """A kind of market, and what is measured for it."""

    owners: int
    max_sellers: int
    limits: Sequence[int]
    """maxSamples in parts of the samples in the middle."""


SIZES = {
    "small": Size(10, 8, (2, 4, 8, 16, 32)),
    "middle": Size(40, 8, (4, 8, 16)),
    "large": Size(120, 8, (4, 8)),
}
CLONES = 5


@dataclass(frozen=True, slots=True)
class Found:
    """What a setting came to, by seed; % of the median value."""

    welfare: list[float]
    """Per owner and round."""
    first: list[float]
    """In the first round."""
    bearable: list[float]
    """The fee that three of four honest owners could pay in each round and still gain."""
    claims: list[float]
    """What claiming ten times the samples earns in all rounds."""
    renewed: list[float]
    """The same under a new account each round."""
    ending: list[float]
    """The fee at which clones of an owner that only sells earn nothing."""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--quick", action="store_true")
    quick = arguments.parse_args().quick
    seeds = SEEDS[:2] if quick else SEEDS
    found: dict[tuple[str, int], Found] = {}
    for name, size in SIZES.items():
        if quick and name != "small":
            continue
        for times in size.limits:
            found[name, times] = measure(size, times, seeds)
            print(name, times, found[name, times], flush=True)
    text = report(found, len(seeds))
    print(text)
    if not quick:
        section("terms", text)
        save(picture(found), TREE / "docs" / "figures" / "terms.svg")


def measure(size: Size, times: int, seeds: Sequence[int]) -> Found:
    terms = usual_terms(fee=FEE, max_samples=times * MEDIAN_SAMPLES, max_sellers=size.max_sellers)
    honest = [_honest(size, terms, seed) for seed in seeds]

    def earned(name: str, *, buys: bool) -> list[float]:
        result = damage(ATTACKS[name], terms, seeds, owners=size.owners, rounds=ROUNDS, buys=buys)
        return [100 * each for each in result[ROUNDS].gained]

    clones = earned(f"{CLONES} noisy clones", buys=False)
    return Found(
        [each[0] for each in honest],
        [each[1] for each in honest],
        [each[2] for each in honest],
        earned("samples × 10", buys=True),
        earned("new account, samples × 10", buys=True),
        [100 * FEE + each / ((CLONES - 1) * ROUNDS) for each in clones],
    )


def _honest(size: Size, terms: Terms, seed: int) -> tuple[float, float, float]:
    """Welfare per owner and round, in all and in the first round, and the fee that three of four could bear."""
    world = town(size.owners, seed, terms)
    standing: Mapping[str, int] = {}
    profits = [0] * size.owners
    welfare = []
    for number in range(1, ROUNDS + 1):
        outcome = play_round(world, number, world.truthful(number), standing)
        standing = standing_after(outcome, standing)
        welfare.append(100 * outcome.welfare / MEDIAN_VALUE / size.owners)
        for owner in world.owners:
            profits[owner.number] += outcome.results[owner.number].profit + terms.fee
    mean_profits = [100 * profit / ROUNDS / MEDIAN_VALUE for profit in profits]
    return mean(welfare), welfare[0], quantiles(mean_profits, n=4)[0]


def report(found: Mapping[tuple[str, int], Found], seeds: int) -> str:
    measured = table(
        [
            "market, maxSamples",
            "welfare, round 1",
            "welfare, 10 rounds",
            "× 10 claimed earns",
            "new account, × 10",
            f"fee that ends {CLONES} clones",
            "fee that 3 of 4 can bear",
        ],
        [
            [
                f"{name} ({SIZES[name].owners} owners), × {times}",
                *(
                    spread(values)
                    for values in (each.first, each.welfare, each.claims, each.renewed, each.ending, each.bearable)
                ),
            ]
            for (name, times), each in found.items()
        ],
    )
    chosen = table(
        ["size", "for up to", "maxSellers", "maxSamples", "fee", "revealBond", "floor"],
        [
            [
                name,
                f"{each.max_participants:,}",
                each.max_sellers,
                f"{each.believed} × the samples in the middle ({each.believed * TYPICAL_SAMPLES:,})",
                f"{each.fee / 100:.0f} % of the value in the middle ({each.fee * TYPICAL_VALUE / 10_000:g})",
                f"{each.reveal_bond / 100:.0f} % ({each.reveal_bond * TYPICAL_VALUE / 10_000:g})",
                f"{each.floor / PARTS:g}",
            ]
            for name, each in RECOMMENDED.items()
        ],
    )
    by_rule = "; ".join(
        f"{name}, maxSamples × {times} and a fee of {fee} %"
        + ("" if _is_recommended(name, times, fee) else " (**not what is recommended**)")
        for name, times, fee in _chosen(found)
    )
    measured_sizes = {name for name, _ in found}
    if others := [name for name in RECOMMENDED if name not in measured_sizes]:
        by_rule += f". What is recommended for {' and '.join(others)} was not measured: it is what the smaller have"
    return f"""
`python -m benchmarks.economics.terms`: honest owners and cheap attackers over {ROUNDS} rounds from a market in which
everybody is new; % of the median value, welfare per owner and round, mean ± deviation over {seeds} seeds. maxSamples is
in parts of the samples in the middle: a newcomer is believed 1/32 of it.

{measured}

*The trade-off.* A low maxSamples makes claims worthless, and newcomers with them: where a copy costs more than a
newcomer's few believed samples are worth, nobody buys, nobody earns a reputation, and the market never begins. A high
one lets everybody sell from the first round on, and pays whoever claims more than it has, or enters several times.

*The rule.* Of the maxSamples under which claiming ten times the samples earns no more over {ROUNDS} rounds than the
truth, within a standard error, and three of four honest owners can bear a fee of {FEE:.0%}, the one of largest welfare;
where there is none, the least at which they can bear it, for else there is no market. The fee is a quarter of what they
can bear, in whole per cent and at least one: one that ended clones would take from the honest what they came for. The
reveal bond is the least whose deposits, 16 of it, cover three times the value in the middle: that leaves the very
largest values out, and makes a bid that is not used dear. The floor is what models
learn best with ([benchmarks.md](benchmarks.md#learning)); all markets on this page have 0.1, three standard deviations
of a sketch's error.

By this rule: {by_rule}.

{chosen}

These sets are `market_node.recommended`. `market-node round open --size small|middle|large` proposes them, scaled by
`--typical-value` and `--typical-samples`; what is given explicitly wins.

![Welfare by maxSamples](figures/terms.svg)
"""


def _chosen(found: Mapping[tuple[str, int], Found]) -> Iterator[tuple[str, int, int]]:
    """By size: maxSamples in parts of the samples in the middle, and the fee in per cent of the value there."""
    for name in dict.fromkeys(name for name, _ in found):
        tried = {times: each for (size, times), each in found.items() if size == name}
        alive = {times: each for times, each in tried.items() if mean(each.bearable) >= 100 * FEE}
        tame = {times: each for times, each in alive.items() if mean(each.claims) <= _error(each.claims)}
        times = max(tame, key=lambda each: mean(tame[each].welfare)) if tame else min(alive)
        yield name, times, max(1, int(mean(tried[times].bearable) / 4))


def _error(values: Sequence[float]) -> float:
    """The standard error of a mean."""
    return stdev(values) / len(values) ** 0.5


def _is_recommended(name: str, times: int, fee: int) -> bool:
    return (RECOMMENDED[name].believed, RECOMMENDED[name].fee) == (times, 100 * fee)


def picture(found: Mapping[tuple[str, int], Found]) -> object:
    size = SIZES["small"]
    at = [found["small", times] for times in size.limits]

    def course(values: Sequence[Sequence[float]]) -> tuple[list[float], list[float]]:
        return [mean(each) for each in values], [stdev(each) for each in values]

    series = {
        "welfare, ten rounds": course([[ROUNDS * one for one in each.welfare] for each in at]),
        "× 10 claimed earns": course([each.claims for each in at]),
        "× 10, new account": course([each.renewed for each in at]),
    }
    return lines(
        "Ten rounds of a small market",
        "maxSamples, in parts of the samples in the middle",
        "% of the median value, per owner",
        size.limits,
        series,
        log=True,
    )


if __name__ == "__main__":
    main()
