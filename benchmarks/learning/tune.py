"""Every method's knobs, chosen with the same effort: as many trials each, on a seed that no table uses.

    python -m benchmarks.learning rates
    python -m benchmarks.learning tune

The first says which learning rate is best for each kind of data; settings.py has it. The second writes tuned.json; the
tables read it. Local training and FedAvg have no knobs.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

from market_node.adoption import DRAWN_BACK

from .runs import Result
from .settings import FASHION, OTHERS, Setting

Knobs = Mapping[str, Any]

SEEDS = (1000,)
"""Tables have 0, 1, 2 …"""

SETTINGS = tuple(
    setting for setting in FASHION if setting.name in ("five classes, 60", "clusters, 200", "Dirichlet, 600")
)

RATES: Mapping[str, tuple[float, ...]] = {
    "Fashion-MNIST": (0.03, 0.06, 0.1),
    "emoji": (0.03, 0.06, 0.1),
    "glosses": (0.1, 0.2, 0.4, 0.8),
    "Ta-Feng": (0.03, 0.1, 0.2, 0.4),
}

RATED = ("local", "FedAvg + fine-tuning")
"""The rate is one for all methods: the best for these two together, so that neither side of a comparison is starved."""

RATE_SEEDS = (1000, 1001)

TUNED = Path(__file__).with_name("tuned.json")

TRIALS: Mapping[str, tuple[Knobs, ...]] = {
    "FedPer": ({"personal_layers": 1}, {"personal_layers": 2}, {"personal_layers": 3}, {"personal_layers": 4}),
    "FedProx": ({"proximal": 0.001}, {"proximal": 0.01}, {"proximal": 0.1}, {"proximal": 1.0}),
    "Ditto": ({"strength": 0.03}, {"strength": 0.1}, {"strength": 0.3}, {"strength": 1.0}),
    "FedAMP": (
        {"strength": 0.01},
        {"strength": 0.1},
        {"strength": 1.0},
        {"strength": 1.0, "self_weight": 0.0},
    ),
    "CFL": (
        {"still": 3.0, "moving": 4.0},
        {"still": 2.0, "moving": 2.5},
        {"still": 1.0, "moving": 1.2},
        {"still": 0.7, "moving": 0.8},
    ),
    "pFedGraph": (
        {"alpha": 0.2, "pull": 0.0},
        {"alpha": 0.4, "pull": 0.0},
        {"alpha": 0.8, "pull": 0.0},
        {"alpha": 0.8, "pull": 0.01},
    ),
    "iPFL": (
        {"strength": 0.001, "eta": 5.0},
        {"strength": 0.01, "eta": 5.0},
        {"strength": 0.1, "eta": 5.0},
        {"strength": 1.0, "eta": 1.0},
    ),
    "market": (
        {"max_sellers": 2, "floor": 0.1},
        {"max_sellers": 8, "floor": 0.1},
        {"max_sellers": 8, "floor": 0.2},
        {"max_sellers": 8, "floor": 0.2, "back": 0.0},
    ),
}


def rules() -> Mapping[str, tuple[str, Knobs]]:
    """What each of the market's rules is worth: name → method and knobs, the first one as in the tables."""
    market = tuned("market")
    return {
        "as it is": ("market", market),
        "not drawn back": ("market", {**market, "back": 0.0}),
        "not looked at": ("market", {**market, "looks": False}),
        "body and head not told apart": ("market", {**market, "grafts": False}),
        "not drawn in": ("market", {**market, "draws_in": False}),
        "floor 0.1": ("market", {**market, "floor": 0.1}),
        "2 sellers": ("market", {**market, "max_sellers": 2}),
        "FedAvg + fine-tuning, drawn back": ("FedAvg + fine-tuning", {"back": DRAWN_BACK}),
        "CFL, drawn back": ("CFL", {**tuned("CFL"), "back": DRAWN_BACK}),
    }


def tuned(method: str) -> Knobs:
    """The knobs that the tables use."""
    if not TUNED.exists():
        return {}
    return json.loads(TUNED.read_text())["knobs"].get(method, {})


def rates(play: Callable[[Any, str, int, Knobs], Result], kinds: Sequence[str]) -> str:
    """The mean accuracy at each rate, Markdown. `kinds`: of `RATES`."""
    rows = []
    for name in kinds:
        found = {
            rate: mean(mean(play(*trial).accuracies) for each in of(name) for trial in _rated(each, rate))
            for rate in RATES[name]
        }
        best = max(found, key=lambda rate: found[rate])
        figures = [
            f"{rate}: " + (f"**{right:.1f}**" if rate == best else f"{right:.1f}") for rate, right in found.items()
        ]
        rows.append(f"{name} {', '.join(figures)}")
    return (
        "`python -m benchmarks.learning rates`: accuracy in percent, the mean of local training and FedAvg with "
        f"fine-tuning, at each learning rate; seeds {RATE_SEEDS}. {'; '.join(rows)}."
    )


def rate_trials(kinds: Sequence[str]) -> list[tuple[Setting, str, int, Knobs]]:
    """All runs that judge rates."""
    return [trial for name in kinds for each in of(name) for rate in RATES[name]
            for trial in _rated(each, rate)]  # fmt: skip


def of(name: str) -> tuple[Setting, ...]:
    """The settings of one kind of data."""
    return tuple(each for each in OTHERS if each.name == name) or FASHION


def _rated(setting: Setting, rate: float) -> list[tuple[Setting, str, int, Knobs]]:
    changed = replace(setting, practice=replace(setting.practice, rate=rate))
    return [(changed, method, seed, {}) for method in RATED for seed in RATE_SEEDS]


def choose(play: Callable[[Any, str, int, Knobs], Result]) -> None:
    """Runs every trial and writes the best ones."""
    points: dict[str, list[float]] = {}
    best: dict[str, Knobs] = {}
    for method, trials in TRIALS.items():
        points[method] = [mean(_over_local(play, method, knobs)) for knobs in trials]
        best[method] = trials[points[method].index(max(points[method]))]
    TUNED.write_text(
        json.dumps(
            {
                "command": "python -m benchmarks.learning tune",
                "settings": [setting.name for setting in SETTINGS],
                "seeds": SEEDS,
                "knobs": best,
                "points over local of each trial": {
                    method: [[trial, round(point, 2)] for trial, point in zip(TRIALS[method], found, strict=True)]
                    for method, found in points.items()
                },
            },
            indent=1,
        )
        + "\n"
    )


def _over_local(play: Callable[[Any, str, int, Knobs], Result], method: str, knobs: Knobs) -> list[float]:
    return [
        mean(play(setting, method, seed, knobs).accuracies) - mean(play(setting, "local", seed, {}).accuracies)
        for setting in SETTINGS
        for seed in SEEDS
    ]
