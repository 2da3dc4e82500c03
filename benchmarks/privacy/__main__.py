"""The command line: see the package."""

import argparse
from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from statistics import mean, stdev

import torch

from benchmarks.document import table, write
from market_node.errors import BadInput

from . import targets, trade
from .targets import AS_LEARNING, COLLUDING, COURSES, EPSILONS, SELLERS, Course, Found

DOCUMENT = "docs/benchmarks.md"

SIZES = (60, 200, 600)

WORST = {"condition": ",.0f", "error": ".1e"}
"""Of which the largest is shown, and how."""

ATTACKS = {
    "model, loss": "the model, by its loss",
    "model, likelihood ratio": "the model, by the likelihood ratio",
    "update": "the update, by the gradient",
    "update, less shadows'": "the update, by the gradient, less shadows'",
    "one sketch": "one sketch",
    "one sketch, less shadows'": "one sketch, less shadows'",
    "all sketches": "all rounds' sketches",
    "all sketches, less shadows'": "all rounds' sketches, less shadows'",
}

MODEL = [name for name in ATTACKS if name.startswith("model")]
SKETCHES = [name for name in ATTACKS if "sketch" in name]
HOW = ("loss", "likelihood ratio")

SHORT = COURSES[None]

OPEN = (AS_LEARNING, SHORT)
"""Without privacy."""

COLUMNS = (AS_LEARNING, *COURSES.values())

Groups = dict[tuple[int, Course], list[Found]]
"""By samples and how it was trained: a run for each seed."""

Trades = dict[tuple[str, float | None], list[Found]]
"""By setting and ε."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.privacy", description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", choices=("attacks", "market"), help="leave the others' tables as they are")
    parser.add_argument("--stored", action="store_true", help="run nothing: show what has been run")
    parser.add_argument("--print", action="store_true", help="write no document")
    options = parser.parse_args()
    torch.set_num_threads(1)
    try:
        for place, text in texts(range(options.seeds), options.stored, options.only):
            print(f"\n{text}")
            if not options.print:
                write(*place, text)
    except BadInput as error:
        raise SystemExit(f"error: {error}") from None


def texts(seeds: Sequence[int], stored: bool, only: str | None) -> Iterator[tuple[tuple[str, str], str]]:
    """Everything that is asked for: in which document, after which marker, and what."""
    if only != "market":
        groups = attacked(seeds, stored)
        yield (DOCUMENT, "privacy-accuracy"), accuracy(groups)
        yield (DOCUMENT, "privacy-attacks"), found_out(groups)
        yield (DOCUMENT, "privacy-deliveries"), deliveries(groups)
        yield (DOCUMENT, "privacy-collusion"), collusion(groups)
        yield ("docs/privacy.md", "findings"), findings(groups)
    if only != "attacks":
        yield (DOCUMENT, "privacy-market"), market(traded(seeds, stored))


def attacked(seeds: Sequence[int], stored: bool) -> Groups:
    """Every attack, seed after seed: what is stopped has few whole tables."""
    groups: Groups = {(size, course): [] for size in SIZES for course in COLUMNS}
    for seed, (size, course) in product(seeds, groups):
        if (found := targets.measure(size, course, seed, stored)) is not None:
            groups[size, course].append(found)
    return groups


def traded(seeds: Sequence[int], stored: bool) -> Trades:
    """Every market, likewise."""
    trades: Trades = {(name, epsilon): [] for name in trade.SETTINGS for epsilon in EPSILONS}
    for seed, (name, epsilon) in product(seeds, trades):
        if (found := trade.measure(name, epsilon, seed, stored)) is not None:
            trades[name, epsilon].append(found)
    return trades


# --- tables ---


def _epsilon(epsilon: float | None) -> str:
    return "ε = ∞" if epsilon is None else f"ε = {epsilon:g}"


HEAD = [_epsilon(each) for each in EPSILONS]

LONG_HEAD = ["ε = ∞, as the learning tables train", *HEAD]

TRAINED = (
    f"The first column trains as the [learning tables](#learning) do, {AS_LEARNING.rounds} rounds of "
    f"{AS_LEARNING.practice.steps} steps at a rate of {AS_LEARNING.practice.rate:g}; the others {SHORT.rounds} rounds "
    f"at {SHORT.practice.rate:g}, which bears noise. Each owner trains alone, and as many steps before the first round."
)

BY_ROWS = (
    "By the weights of the rows, without the limit of lengths that the aggregator applies: buyers know that limit, so "
    "it changes nothing but the scale."
)


def spread(values: Sequence[float], digits: int) -> str:
    """Mean ± deviation; the mean alone of a single run."""
    if not values:
        return "not run"
    said = f"{mean(values):.{digits}f}"
    return f"{said} ± {stdev(values):.{digits}f}" if len(values) > 1 else said


def accuracy(groups: Groups) -> str:
    rows = [
        [
            f"{size} samples of ten classes",
            *(spread([run["accuracy"] for run in groups[size, course]], 1) for course in COLUMNS),
        ]
        for size in SIZES
    ]
    return (
        "`python -m benchmarks.privacy`: accuracy of owners' models of their own, %, mean ± deviation over the seeds. "
        f"{TRAINED} ε is for everything that leaves a training in these rounds, δ = N^−1.1: {SHORT.trainings} "
        "trainings, since a delivery is judged beside one without it.\n\n"
        f"{table(('Fashion-MNIST', *LONG_HEAD), rows)}"
    )


def market(trades: Trades) -> str:
    rows = [
        [f"{name}: {how}", *(spread([mean(run[how]) for run in trades[name, epsilon]], 1) for epsilon in EPSILONS)]
        for name in trade.SETTINGS
        for how in ("alone", "market")
    ]
    return (
        "Accuracy of who trades and of who does not, %, mean ± deviation over the seeds, after "
        f"{SHORT.rounds} rounds of {SHORT.practice.steps} steps and as many before the first. ε is for "
        f"{trade.TRAININGS['market']} trainings; {trade.TRAININGS['alone']} for who is alone.\n\n"
        f"{table(('Fashion-MNIST', *HEAD), rows)}"
    )


def _figures(groups: Groups, size: int, attack: str) -> list[str]:
    cells = []
    for course in COLUMNS:
        pairs = [run["attacks"][attack] for run in groups[size, course]]
        cells.append(spread([area for area, _ in pairs], 2))
        if pairs:
            cells[-1] += f" / {100 * mean(found for _, found in pairs):.1f} %"
    return cells


def found_out(groups: Groups) -> str:
    rows = [[f"{size}: {said}", *_figures(groups, size, attack)] for size in SIZES for attack, said in ATTACKS.items()]
    return (
        "Membership inference: AUC, mean ± deviation over the seeds, / share of members found at 1 % false alarms. "
        f"Chance is 0.50 / 1 %. Each seed has {targets.OWNERS} owners, each with as many non-members as members; "
        f"shadows are the other {targets.OWNERS - 1} owners' models. {TRAINED}\n\n"
        f"{table(('samples: what the attacker has', *LONG_HEAD), rows)}"
    )


def deliveries(groups: Groups) -> str:
    rows = [
        [f"{size}: {_sellers(count)}, by the {how}", *_figures(groups, size, f"{count} sellers, {how}")]
        for size in SIZES
        for count in SELLERS
        for how in HOW
    ]
    return (
        f"The same of one seller's samples, by a delivery of equal parts of several sellers' models. {BY_ROWS}\n\n"
        f"{table(('samples: delivery of', *LONG_HEAD), rows)}"
    )


def _sellers(count: int) -> str:
    return f"{count} seller{'s' * (count > 1)}"


def collusion(groups: Groups) -> str:
    rows = []
    for size, course, count in product(SIZES, OPEN, COLLUDING):
        found = [run["collusion"][str(count)] for run in groups[size, course]]
        worst = [f"{max((each[key] for each in found), default=0):{form}}" for key, form in WORST.items()]
        areas = [spread([each[key] for each in found], 3) for key in ("auc", "auc of the models")]
        trained = f"{course.rounds} rounds at {course.practice.rate:g}"
        rows.append([f"{size}: {count} buyers, {count} sellers, {trained}", *worst, *areas])
    return (
        "Buyers that bought from the same sellers solve for their updates, without privacy. The largest condition "
        "number of the rows' weights and relative error of an update; AUC by the loss of what was recovered, and of "
        f"the sellers' own models. {BY_ROWS}\n\n"
        f"{table(('samples: who', 'condition', 'error', 'AUC, recovered', 'AUC, own'), rows)}"
    )


# --- in words ---


def findings(groups: Groups) -> str:
    """What an owner should know of the tables: without privacy, the worse of both ways to train."""
    lines = []
    sizes = [size for size in SIZES if any(groups[size, course] for course in OPEN)]
    if sizes:
        by_size = ", ".join(f"{_worst(groups, size, MODEL):.2f} with {size} samples" for size in sizes)
        lines.append(f"- **A model** that was trained without privacy gives its attacker an AUC of {by_size}.")
        by_size = ", ".join(f"{_worst(groups, size, SKETCHES):.2f} with {size}" for size in sizes)
        lines.append(f"- **Public sketches** alone, one round's or all together, give at most {by_size}.")
        by_count = ", ".join(
            f"{_worst(groups, sizes[0], [f'{count} sellers, {how}' for how in HOW]):.2f} of {count}"
            for count in SELLERS
        )
        lines.append(
            f"- **A delivery** of equal parts of several sellers' models, with {sizes[0]} samples: {by_count}."
        )
    best = {
        epsilon: max(_worst(groups, size, ATTACKS, [course]) for size in SIZES if groups[size, course])
        for epsilon, course in COURSES.items()
        if any(groups[size, course] for size in SIZES)
    }
    without = best.pop(None, None)
    if best:
        by_epsilon = ", ".join(f"{area:.2f} at {_epsilon(epsilon)}" for epsilon, area in best.items())
        beside = "" if without is None else f"; the same short training without it, {without:.2f}"
        lines.append(f"- **With differential privacy** the best attack of all gives {by_epsilon}{beside}.")
    return "\n".join(lines) or "Not measured yet."


def _worst(groups: Groups, size: int, attacks: Iterable[str], courses: Iterable[Course] = OPEN) -> float:
    """The largest of the attacks' mean AUCs."""
    return max(
        mean(run["attacks"][attack][0] for run in groups[size, course])
        for attack, course in product(attacks, courses)
        if groups[size, course]
    )


if __name__ == "__main__":
    main()
