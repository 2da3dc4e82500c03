"""What attackers earn, what they cost others, and which terms end it.

python -m benchmarks.economics.attackers            all of it; writes docs/economics.md and docs/figures
python -m benchmarks.economics.attackers --quick    two seeds and fewer terms; only prints
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from statistics import mean, stdev

from benchmarks.document import TREE, table
from benchmarks.economics.page import section, spread
from market_node.simulation.attacks import ATTACKS, Attack
from market_node.simulation.damage import Damage, damage
from market_node.simulation.figures import lines, save
from market_node.simulation.population import TOKEN
from market_node.simulation.trial import MEDIAN_COST, MEDIAN_SAMPLES, MEDIAN_VALUE, USUAL, usual_terms

OWNERS = 20
SEEDS = range(5)
AFTER = (1, 5, 10)
GRID: Mapping[str, Sequence[float]] = {
    "fee": (0.02, 0.04, 0.08, 0.16, 0.32),
    "max_samples": (2_000, 1_000, 500),
    "reveal_bond": (0.4, 0.8, 1.6),
    "floor": (0.15, 0.2, 0.25, 0.3),
}
"""What is tried, one term at a time, mildest first."""

SELLS_ONLY = (
    "samples × 10",
    "new account, samples × 10",
    "2 clones",
    "5 clones",
    "5 noisy clones",
    "washing",
    "shills",
)
LIMITS = (1, 2, 4, 8, 16, 32, 64)
"""maxSamples in parts of the samples in the middle."""
FEES = (0.01, 0.04, 0.16)
CLAIMS = ("samples × 2", "samples × 10", "new account, samples × 10")

Row = Mapping[int, Damage]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--quick", action="store_true")
    quick = arguments.parse_args().quick
    seeds = SEEDS[:2] if quick else SEEDS

    def measure(attack: Attack, terms: Mapping[str, float] = USUAL, **world: bool | int) -> Row:
        return damage(attack, usual_terms(**terms), seeds, owners=OWNERS, rounds=AFTER[-1], **world)

    attacks = {name: measure(attack) for name, attack in ATTACKS.items()}
    print("attacks", flush=True)
    changes = {name: _changes(name, row, measure, quick) for name, row in attacks.items()}
    print("changes", flush=True)
    sellers = {name: measure(ATTACKS[name], buys=False) for name in SELLS_ONLY}
    kept = {name: measure(ATTACKS[name], exclude_copies=True) for name in ATTACKS if "clones" in name}
    print("sellers and copies", flush=True)
    small = MEDIAN_SAMPLES // 4
    claims = {
        (name, samples, times, fee): measure(
            ATTACKS[name], {**USUAL, "max_samples": times * MEDIAN_SAMPLES, "fee": fee}, samples=samples
        )[AFTER[-1]]
        for name in CLAIMS
        for samples in (MEDIAN_SAMPLES, small)
        for times in (LIMITS[::3] if quick else LIMITS)
        for fee in ((FEES[0],) if samples == small or quick else FEES)
    }
    text = report(attacks, changes, sellers, kept, claims, len(seeds))
    print(text)
    if not quick:
        section("attackers", text)
        save(picture(claims), TREE / "docs" / "figures" / "attackers.svg")


def _changes(name: str, row: Row, measure: Callable[..., Row], quick: bool) -> dict[str, str]:
    """Term → its mildest value under which the attack does not pay."""
    if not row[AFTER[-1]].pays:
        return dict.fromkeys(GRID, "–")
    found = {}
    for term, values in GRID.items():
        tried = values[-1:] if quick else values
        ends = (each for each in tried if not measure(ATTACKS[name], {**USUAL, term: each})[AFTER[-1]].pays)
        value = next(ends, None)
        found[term] = "none" if value is None else f"{value:,.0f}" if term == "max_samples" else f"{value:.0%}"
    return found


def report(
    attacks: Mapping[str, Row],
    changes: Mapping[str, Mapping[str, str]],
    sellers: Mapping[str, Row],
    kept: Mapping[str, Row],
    claims: Mapping[tuple[str, int, int, float], Damage],
    seeds: int,
) -> str:
    earned = _table({f"{name}: {ATTACKS[name].says}": row for name, row in attacks.items()})
    paying = {name: terms for name, terms in changes.items() if set(terms.values()) != {"–"}}
    ends = table(
        ["ended by the first of", *(f"{_NAMES[term]}: {_tried(term)}" for term in GRID)],
        [[name, *terms.values()] for name, terms in paying.items()],
    )
    only = _table({f"{name}, only sells": row for name, row in sellers.items()})
    copies = _table({f"{name}, identical ones excluded": row for name, row in kept.items()})
    return f"""
`python -m benchmarks.economics.attackers`: {OWNERS} owners in three clusters, {AFTER[-1]} rounds, all reputations new
at first and carried on. The attackers are owners in the middle ({MEDIAN_SAMPLES} samples, value
{MEDIAN_VALUE // TOKEN}, cost {MEDIAN_COST // TOKEN} tokens); they know all bids, which sealed bids prevent. All figures
are % of the median value, mean ± deviation over {seeds} seeds, beside the same owners telling the truth in the same
rounds. The terms: fee {100 * USUAL["fee"]:g} %, reveal bond {100 * USUAL["reveal_bond"]:g} %, maxSamples
{USUAL["max_samples"]:,.0f}, floor {USUAL["floor"]:g}, {USUAL["max_sellers"]:g} sellers. No copies are excluded, but
where it is said. What an account buys from another one of its owner adds nothing,
what all accounts of an owner bring is no more than it has, and a model that a buyer gets twice costs its owner once.

{earned}

**Which terms end what pays**, one changed at a time, the others as above; amounts in % of the median value.

{ends}

**The same by an owner that only sells**: its accounts do not get into the way of its own purchases.

{only}

**Copies excluded** (an aggregator that excludes updates which are identical to another one in the round):

{copies}

**Claims and limits**: what claiming more than the truth earns over {AFTER[-1]} rounds, by maxSamples in parts of the
samples in the middle. The last lines: an owner with a quarter of those samples.

{_claims(claims)}

The fee has next to no say in it: who lies pays it as who does not, and a second account, which buys while the first
one claims, is all that it makes dearer.

![What claims earn](figures/attackers.svg)
"""


_NAMES = {"fee": "fee", "max_samples": "maxSamples", "reveal_bond": "revealBond", "floor": "floor"}


def _tried(term: str) -> str:
    return ", ".join(f"{each:,.0f}" if term == "max_samples" else f"{each:.0%}" for each in GRID[term])


def _table(rows: Mapping[str, Row]) -> str:
    head = ["", *(f"earned after {after}" for after in AFTER), *(f"cost each other after {after}" for after in AFTER)]
    return table(
        head,
        [
            [
                name,
                *(_percent(row[after].gained, 0) for after in AFTER),
                *(_percent(row[after].cost, 1) for after in AFTER),
            ]
            for name, row in rows.items()
        ],
    )


def _percent(values: Sequence[float], digits: int) -> str:
    return spread([100 * value for value in values], digits)


def _claims(claims: Mapping[tuple[str, int, int, float], Damage]) -> str:
    limits = sorted({times for _, _, times, _ in claims})
    kinds = list(dict.fromkeys((name, samples, fee) for name, samples, _, fee in claims))
    return table(
        ["claim, samples, fee", *(f"× {times}" for times in limits)],
        [
            [
                f"{name}; {samples}; {fee:.0%}",
                *(_percent(claims[name, samples, times, fee].gained, 0) for times in limits),
            ]
            for name, samples, fee in kinds
        ],
    )


def picture(claims: Mapping[tuple[str, int, int, float], Damage]) -> object:
    limits = sorted({times for _, _, times, _ in claims})

    def course(name: str, samples: int) -> tuple[list[float], list[float]]:
        earned = [[100 * each for each in claims[name, samples, times, FEES[0]].gained] for times in limits]
        return [mean(each) for each in earned], [stdev(each) for each in earned]

    series = {
        "× 10": course("samples × 10", MEDIAN_SAMPLES),
        "× 2": course("samples × 2", MEDIAN_SAMPLES),
        "× 10, new each round": course("new account, samples × 10", MEDIAN_SAMPLES),
        "× 10, a small owner": course("samples × 10", MEDIAN_SAMPLES // 4),
    }
    return lines(
        "What claiming more samples earns in ten rounds",
        "maxSamples, in parts of the samples in the middle",
        "% of the median value",
        limits,
        series,
        log=True,
    )


if __name__ == "__main__":
    main()
