"""The command line: see the package."""

import argparse
from collections.abc import Iterable, Sequence
from itertools import product
from statistics import mean, stdev

import torch

from benchmarks.document import table, write
from market_node.errors import BadInput

from . import targets, trade
from .targets import COLLUDING, EPSILONS, ROUNDS, SELLERS, Found

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
    "all sketches": f"{ROUNDS} rounds' sketches",
    "all sketches, less shadows'": f"{ROUNDS} rounds' sketches, less shadows'",
}

MODEL = [name for name in ATTACKS if name.startswith("model")]
SKETCHES = [name for name in ATTACKS if "sketch" in name]
HOW = ("loss", "likelihood ratio")

Groups = dict[tuple[int, float | None], list[Found]]
"""By samples and ε: a run for each seed."""

Trades = dict[tuple[str, float | None], list[Found]]
"""By setting and ε."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.privacy", description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--stored", action="store_true", help="run nothing: show what has been run")
    parser.add_argument("--print", action="store_true", help="write no document")
    options = parser.parse_args()
    torch.set_num_threads(1)
    try:
        groups, trades = run(range(options.seeds), options.stored)
    except BadInput as error:
        raise SystemExit(f"error: {error}") from None
    texts = {
        "privacy-accuracy": accuracy(groups, trades),
        "privacy-attacks": found_out(groups),
        "privacy-deliveries": deliveries(groups),
        "privacy-collusion": collusion(groups),
    }
    for name, text in texts.items():
        print(f"\n{text}")
        if not options.print:
            write(DOCUMENT, name, text)
    said = findings(groups)
    print(f"\n{said}")
    if not options.print:
        write("docs/privacy.md", "findings", said)


def run(seeds: Sequence[int], stored: bool) -> tuple[Groups, Trades]:
    """Every run, seed after seed: what is stopped has few whole tables."""
    groups: Groups = {(size, epsilon): [] for size in SIZES for epsilon in EPSILONS}
    trades: Trades = {(name, epsilon): [] for name in trade.SETTINGS for epsilon in EPSILONS}
    for seed, (size, epsilon) in product(seeds, groups):
        if (found := targets.measure(size, epsilon, seed, stored)) is not None:
            groups[size, epsilon].append(found)
    for seed, (name, epsilon) in product(seeds, trades):
        if (found := trade.measure(name, epsilon, seed, stored)) is not None:
            trades[name, epsilon].append(found)
    return groups, trades


# --- tables ---


def _epsilon(epsilon: float | None) -> str:
    return "ε = ∞" if epsilon is None else f"ε = {epsilon:g}"


HEAD = [_epsilon(each) for each in EPSILONS]


def spread(values: Sequence[float], digits: int) -> str:
    """Mean ± deviation; the mean alone of a single run."""
    if not values:
        return "not run"
    said = f"{mean(values):.{digits}f}"
    return f"{said} ± {stdev(values):.{digits}f}" if len(values) > 1 else said


def accuracy(groups: Groups, trades: Trades) -> str:
    rows = [
        [
            f"own model, {size} samples of ten classes",
            *(spread([run["accuracy"] for run in groups[size, epsilon]], 1) for epsilon in EPSILONS),
        ]
        for size in SIZES
    ]
    rows += [
        [
            f"{name}: {how}",
            *(spread([mean(run[how]) for run in trades[name, epsilon]], 1) for epsilon in EPSILONS),
        ]
        for name in trade.SETTINGS
        for how in ("alone", "market")
    ]
    return (
        f"`python -m benchmarks.privacy`: accuracy, %, mean ± deviation over the seeds, after {ROUNDS} rounds of "
        f"{targets.PRACTICE.steps} steps and as many before the first. ε is for everything that leaves a training in "
        f"these rounds, δ = N^−1.1: {targets.TRAININGS} trainings, since a delivery is judged beside one without "
        f"it; {trade.TRAININGS['alone']} for who is alone in clusters.\n\n{table(('Fashion-MNIST', *HEAD), rows)}"
    )


def _figures(groups: Groups, size: int, attack: str) -> list[str]:
    cells = []
    for epsilon in EPSILONS:
        pairs = [run["attacks"][attack] for run in groups[size, epsilon]]
        cells.append(spread([area for area, _ in pairs], 2))
        if pairs:
            cells[-1] += f" / {100 * mean(found for _, found in pairs):.1f} %"
    return cells


def found_out(groups: Groups) -> str:
    rows = [[f"{size}: {said}", *_figures(groups, size, attack)] for size in SIZES for attack, said in ATTACKS.items()]
    return (
        "Membership inference: AUC, mean ± deviation over the seeds, / share of members found at 1 % false alarms. "
        f"Chance is 0.50 / 1 %. Each seed has {targets.OWNERS} owners, each with as many non-members as members; "
        f"shadows are the other {targets.OWNERS - 1} owners' models.\n\n"
        f"{table(('samples: what the attacker has', *HEAD), rows)}"
    )


def deliveries(groups: Groups) -> str:
    rows = [
        [f"{size}: {count} seller{'s' * (count > 1)}, by the {how}", *_figures(groups, size, f"{count} sellers, {how}")]
        for size in SIZES
        for count in SELLERS
        for how in HOW
    ]
    return (
        "The same of one seller's samples, by a delivery of equal parts of several sellers' models.\n\n"
        f"{table(('samples: delivery of', *HEAD), rows)}"
    )


def collusion(groups: Groups) -> str:
    rows = []
    for size, count in product(SIZES, COLLUDING):
        found = [run["collusion"][str(count)] for run in groups[size, None]]
        worst = [f"{max((each[key] for each in found), default=0):{form}}" for key, form in WORST.items()]
        areas = [spread([each[key] for each in found], 3) for key in ("auc", "auc of the models")]
        rows.append([f"{size}: {count} buyers, {count} sellers", *worst, *areas])
    return (
        "Buyers that bought from the same sellers solve for their updates, without privacy. The largest condition "
        "number of the rows' weights and relative error of an update; AUC by the loss of what was recovered, and of "
        "the sellers' own models.\n\n"
        f"{table(('samples: who', 'condition', 'error', 'AUC, recovered', 'AUC, own'), rows)}"
    )


# --- in words ---


def findings(groups: Groups) -> str:
    """What an owner should know of the tables."""
    lines = []
    open_ = [size for size in SIZES if groups[size, None]]
    if open_:
        best = {size: max(_areas(groups, size, None, MODEL)) for size in open_}
        by_size = ", ".join(f"{best[size]:.2f} with {size} samples" for size in open_)
        lines.append(f"- **A model** that was trained without privacy gives its attacker an AUC of {by_size}.")
        sketched = max(max(_areas(groups, size, None, SKETCHES)) for size in open_)
        lines.append(f"- **Public sketches** alone, one round's or all together, give {sketched:.2f} at most.")
        smallest = open_[0]
        by_count = ", ".join(
            f"{max(_areas(groups, smallest, None, [f'{count} sellers, {how}' for how in HOW])):.2f} of {count}"
            for count in SELLERS
        )
        lines.append(
            f"- **A delivery** of equal parts of several sellers' models, with {smallest} samples: {by_count}."
        )
    private = {
        epsilon: max(max(_areas(groups, size, epsilon, ATTACKS)) for size in SIZES if groups[size, epsilon])
        for epsilon in EPSILONS
        if epsilon is not None and any(groups[size, epsilon] for size in SIZES)
    }
    if private:
        by_epsilon = ", ".join(f"{area:.2f} at {_epsilon(epsilon)}" for epsilon, area in private.items())
        lines.append(f"- **With differential privacy** the best attack of all gives {by_epsilon}.")
    return "\n".join(lines) or "Not measured yet."


def _areas(groups: Groups, size: int, epsilon: float | None, names: Iterable[str]) -> list[float]:
    """The mean AUC of each attack."""
    return [mean(run["attacks"][name][0] for run in groups[size, epsilon]) for name in names]


if __name__ == "__main__":
    main()
