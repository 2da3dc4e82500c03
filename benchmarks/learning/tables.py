"""What the runs come to: tables, plots, and which promise holds by how much."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import isfinite, nan
from statistics import mean, median, stdev

from benchmarks.document import machine, table

from .methods import COST, METHODS, paper_gain
from .runs import Result
from .settings import LONG

Runs = Mapping[tuple[str, str, int], Result]
"""(setting, method, seed) → result; whichever are there."""

MARKET = "market"
AGAIN = "local, other batches"
BASELINES = [method for method in METHODS if method not in ("local", MARKET)]


@dataclass(frozen=True, slots=True)
class Points:
    """Of one method on one setting: the clients' mean over local training on the same steps, a figure a seed."""

    seeds: tuple[float, ...]

    @property
    def mean(self) -> float:
        return mean(self.seeds)

    @property
    def deviation(self) -> float:
        """NaN for one seed, which says nothing of it."""
        return stdev(self.seeds) if len(self.seeds) > 1 else nan

    @property
    def error(self) -> float:
        """The mean's; NaN for one seed."""
        return self.deviation / len(self.seeds) ** 0.5

    def __str__(self) -> str:
        return f"{self.mean:+.1f} ± {self.deviation:.1f}" if len(self.seeds) > 1 else f"{self.mean:+.1f}"


def points(runs: Runs, setting: str, method: str, chosen: Callable[[int], bool] = lambda samples: True) -> Points:
    """Paired: each seed's local training is the one on the same data, base and batches."""
    found = []
    for seed in seeds(runs, setting, method):
        alone, after = runs[setting, "local", seed], runs[setting, method, seed]
        gains = [b - a for a, b, n in zip(alone.accuracies, after.accuracies, alone.samples, strict=True) if chosen(n)]
        found.append(mean(gains))
    return Points(tuple(found))


def seeds(runs: Runs, setting: str, method: str) -> list[int]:
    """Those of which both the method and local training are there."""
    return sorted(
        seed for name, of, seed in runs if (name, of) == (setting, method) and (setting, "local", seed) in runs
    )


def losers(runs: Runs, setting: str, method: str) -> float:
    """The share of clients that lose more than a point."""
    lost = [
        b - a < -1
        for seed in seeds(runs, setting, method)
        for a, b in zip(runs[setting, "local", seed].accuracies, runs[setting, method, seed].accuracies, strict=True)
    ]
    return mean(lost)


def middle(runs: Runs, setting: str, method: str) -> float:
    """The median of all clients' gains over local training, which a training that collapses does not move."""
    gains = [
        after - before
        for seed in seeds(runs, setting, method)
        for before, after in zip(
            runs[setting, "local", seed].accuracies, runs[setting, method, seed].accuracies, strict=True
        )
    ]
    return median(gains)


def utility(runs: Runs, setting: str, method: str, *, like: bool = False) -> Points:
    """Economic utility: gains less costs, the mean over clients, the sum over rounds.

    Args:
        like: whether samples count for as much as their owners' updates are like the buyer's.
    """
    found = [runs[setting, method, seed] for seed in seeds(runs, setting, method)]
    return Points(tuple(mean(result.like_utilities if like else result.utilities) for result in found))


def done(runs: Runs, settings: Sequence[str]) -> list[str]:
    """The settings of which every method has a seed in common with local training."""
    return [setting for setting in settings if all(seeds(runs, setting, method) for method in METHODS)]


# --- the main table ---


def report(runs: Runs, settings: Sequence[str]) -> str:
    """Points, utilities and promises, as Markdown."""
    settings = done(runs, settings)
    shared = [method for method in METHODS if method != "local"]
    rows = []
    for setting in settings:
        alone = Points(tuple(mean(runs[setting, "local", s].accuracies) for s in seeds(runs, setting, "local")))
        best = max(points(runs, setting, method).mean for method in shared)
        cells = [points(runs, setting, method) for method in shared]
        rows.append([setting, f"{alone.mean:.1f}", *(f"**{p}**" if p.mean == best else str(p) for p in cells),
                     f"{100 * losers(runs, setting, MARKET):.0f} %"])  # fmt: skip
    if settings:
        means = [mean(points(runs, setting, method).mean for setting in settings) for method in shared]
        rows.append(["*mean*", "", *(f"{value:+.2f}" for value in means), ""])
    count = {len(seeds(runs, setting, method)) for setting in settings for method in METHODS}
    head = ["setting", "local, %", *shared, "clients that lose over a point in the market"]
    costs = [["seconds a run", *(_seconds(runs, settings, method) for method in METHODS)]]
    return "\n\n".join(
        [
            "`make bench-learning`: accuracy on the own mix of labels after 10 rounds of 40 steps and 40 more, in "
            "points over local training on the same data, base, batches and steps; "
            f"{_over(count)}. The best of a row is bold. {machine()}.",
            table(head, rows),
            "![points over local](figures/learning.svg)",
            "Medians of the same over all clients and seeds; a training that collapses, alone or in a method, moves "
            "the mean of its nine clients by points:",
            table(["setting", *shared], _medians(runs, settings, shared)),
            "Economic utility, the paper's: Σ over rounds of √(K/N) − √(K/(N + x)) less c for each model given away, "
            "K = 5·10⁵, c = 1; mean over clients.",
            table(["setting", *METHODS, "the most possible"], _worth(runs, settings, like=False)),
            "The same, with the samples of a model counted for as much as its update is like the buyer's (its cosine, "
            "in that method's own round):",
            table(["setting", *METHODS], _worth(runs, settings, like=True)),
            _chance(runs, settings),
            "Time of one core for one run:",
            table(["", *METHODS], costs),
            promises(runs, settings),
        ]
    )


def _medians(runs: Runs, settings: Sequence[str], methods: Sequence[str]) -> list[list[str]]:
    rows = []
    for setting in settings:
        found = {method: middle(runs, setting, method) for method in methods}
        best = max(found.values())
        rows.append([setting, *(f"**{gain:+.1f}**" if gain == best else f"{gain:+.1f}" for gain in found.values())])
    return rows


def _chance(runs: Runs, settings: Sequence[str]) -> str:
    """What a point is worth: how many clients lose one by nothing but the order of their batches."""
    there = [setting for setting in settings if seeds(runs, setting, AGAIN)]
    if not there:
        return ""
    lost = ", ".join(f"{100 * losers(runs, setting, AGAIN):.0f} % ({setting})" for setting in there)
    return f"Of the clients, so many lose over a point by local training with their batches in another order: {lost}."


def _worth(runs: Runs, settings: Sequence[str], *, like: bool) -> list[list[str]]:
    rows = [
        [setting, *(f"{utility(runs, setting, method, like=like).mean:.0f}" for method in METHODS)]
        for setting in settings
    ]
    return rows if like else [[*row, f"{_ceiling(runs, row[0]):.0f}"] for row in rows]


def _over(counts: Iterable[int]) -> str:
    """How many seeds a table's figures are of."""
    first, *others = sorted(set(counts)) or [0]
    if first == 1 and not others:
        return "one seed"
    return f"mean ± deviation over {f'{first} to {others[-1]}' if others else first} seeds"


def _seconds(runs: Runs, settings: Sequence[str], method: str) -> str:
    took = [runs[key].seconds for key in runs if key[0] in settings and key[1] == method]
    return f"{mean(took):.1f}" if took else ""


LEAST = {"five classes, 60": 3, "clusters, 60": 3, "Dirichlet, 60": 1,
         "five classes, 200": 0.5, "clusters, 200": 2, "Dirichlet, 200": 0.5,
         "five classes, 600": -0.2, "clusters, 600": -0.2, "Dirichlet, 600": -0.2}  # fmt: skip
"""Points over local that the market is to reach."""


def promises(runs: Runs, settings: Sequence[str]) -> str:
    """What was promised, and what is missing to it."""
    said = []
    for setting in settings:
        got = points(runs, setting, MARKET)
        plain = setting.removesuffix(LONG)
        if plain in LEAST:
            said.append(promise(f"{setting}: at least {LEAST[plain]:+} over local", got.mean - LEAST[plain]))
            if plain.endswith("600"):
                lost = losers(runs, setting, MARKET)
                said.append(promise(f"{setting}: at most 5 % lose over a point", 5 - 100 * lost, "percent"))
        else:
            tuned = points(runs, setting, "FedAvg + fine-tuning")
            said.append(promise(f"{setting}: above local and FedAvg + fine-tuning", got.mean - max(0, tuned.mean)))
        best = max(BASELINES, key=lambda method: points(runs, setting, method).mean)
        gap, error = versus(runs, setting, best)
        if isfinite(error):
            said.append(promise(f"{setting}: {best}, the best baseline, less a standard error", gap + error))
        said.append(worth_promise(runs, setting))
    if settings:
        overall = {
            method: mean(points(runs, s, method).mean for s in settings) for method in METHODS if method != "local"
        }
        rival = max(BASELINES, key=lambda method: overall[method])
        said.append(promise(f"mean of the settings above {rival}'s", overall[MARKET] - overall[rival]))
    kept = [line for line in said if line.startswith("- met")]
    return f"Promises: {len(kept)} of {len(said)} met.\n\n" + "\n".join(sorted(said, key=kept.__contains__))


def promise(text: str, over: float, unit: str = "points") -> str:
    """Whether it is kept. `over`: by how much, below 0 where it is not."""
    return f"- met: {text} ({over:+.2f} {unit})" if over >= 0 else f"- **missed** by {-over:.2f} {unit}: {text}"


def versus(runs: Runs, setting: str, method: str) -> tuple[float, float]:
    """By how much the market is above a method, paired by seed, and the standard error of that: NaN for one seed."""
    common = [s for s in seeds(runs, setting, MARKET) if s in seeds(runs, setting, method)]
    gaps = Points(
        tuple(mean(runs[setting, MARKET, s].accuracies) - mean(runs[setting, method, s].accuracies) for s in common)
    )
    return gaps.mean, gaps.error


def worth_promise(runs: Runs, setting: str) -> str:
    """Economic utility beside the best baseline's; where buying everything is the most that there is, nobody can be
    above who does."""
    worth = {method: utility(runs, setting, method).mean for method in METHODS}
    rival = max((m for m in METHODS if m != MARKET), key=lambda method: worth[method])
    text = f"{setting}: economic utility above {rival}'s"
    if worth[rival] >= _ceiling(runs, setting) * (1 - 1e-9):
        text += ", which is the most that any graph gives"
    return promise(text, worth[MARKET] - worth[rival], "units")


def _ceiling(runs: Runs, setting: str) -> float:
    """The most that any graph gives: mean over clients, sum over rounds, mean over seeds."""
    found = [runs[setting, "FedAvg", seed] for seed in seeds(runs, setting, "FedAvg")]
    rounds = found[0].bought[0] / (len(found[0].samples) - 1)  # in each, everybody's model
    return rounds * mean(mean(most_worth(result.samples)) for result in found)


def most_worth(samples: Sequence[int]) -> list[float]:
    """Each client's utility in a round if it buys from the largest others as long as that pays."""
    most = []
    for client, own in enumerate(samples):
        others = sorted((size for each, size in enumerate(samples) if each != client), reverse=True)
        totals = [0, *accumulate(others)]
        most.append(max(paper_gain(own, total) - COST * count for count, total in enumerate(totals)))
    return most


# --- the others ---


def crowd_report(runs: Runs, counts: Mapping[int, Sequence[str]]) -> str:
    """Gains against the number of participants. `counts`: number → its settings."""
    head = ["participants", "setting", "seeds", "local, %", "market, %", "gain"]
    rows = []
    for count, settings in counts.items():
        for setting in settings:
            if not seeds(runs, setting, MARKET):
                continue
            alone, after = (
                mean(mean(runs[setting, method, s].accuracies) for s in seeds(runs, setting, MARKET))
                for method in ("local", MARKET)
            )
            name = setting.partition(",")[0]
            found = points(runs, setting, MARKET)
            rows.append([count, name, len(found.seeds), f"{alone:.1f}", f"{after:.1f}", found])
    overall = {count: mean_gain(runs, settings) for count, settings in counts.items()}
    lines = [f"{count}: {gain}" for count, gain in overall.items() if gain.seeds]
    text = f"Mean gain by participants: {'; '.join(lines)}."
    few, many = overall.get(5), overall.get(50)
    if few and many and len(few.seeds) > 1 and len(many.seeds) > 1:
        error = (few.error**2 + many.error**2) ** 0.5
        text += "\n\n" + promise("the gain of 50 is above that of 5 by over one standard error",
                                  many.mean - few.mean - error)  # fmt: skip
    return "\n\n".join([table(head, rows), "![gain against participants](figures/participants.svg)", text])


def mean_gain(runs: Runs, settings: Sequence[str]) -> Points:
    """Each seed's mean over the settings."""
    common = [set(seeds(runs, setting, MARKET)) for setting in settings]
    shared = sorted(set.intersection(*common)) if common else []
    return Points(
        tuple(mean(points(_only(runs, seed), setting, MARKET).mean for setting in settings) for seed in shared)
    )


def _only(runs: Runs, seed: int) -> Runs:
    return {key: result for key, result in runs.items() if key[2] == seed}


def owners_report(runs: Runs, rounds: Mapping[str, int], methods: Sequence[str]) -> str:
    """Gains, purchases and money by size. `rounds`: setting → how many it has."""
    rows, said = [], []
    groups = {"≤ 120": range(0, 121), "121 to 480": range(121, 481), "> 480": range(481, 10**6)}
    for setting in rounds:
        if not seeds(runs, setting, MARKET):
            continue
        for name, sizes in groups.items():
            found = [runs[setting, MARKET, seed] for seed in seeds(runs, setting, MARKET)]
            if not any(samples in sizes for samples in found[0].samples):
                continue
            gains = [points(runs, setting, method, sizes.__contains__) for method in methods]
            bought, paid, earned = (
                mean(value(result)[i] for result in found for i, n in enumerate(result.samples) if n in sizes)
                for value in (lambda r: r.bought, lambda r: r.notes["paid"], lambda r: r.notes["earned"])
            )
            rows.append([setting, name, *gains, f"{bought:.1f}", f"{paid:.1f}", f"{earned:.1f}"])
            market = gains[methods.index(MARKET)].mean
            if name == "≤ 120":
                said.append(promise(f"{setting}: owners of at most 120 gain 4 points", market - 4))
            elif name == "> 480":
                said.append(promise(f"{setting}: owners of over 480 lose at most 0.2", market + 0.2))
                said.append(promise(f"{setting}: and earn more than they spend", earned - paid, "tokens"))
                text = f"{setting}: and buy at most one model a round"
                said.append(promise(text, rounds[setting] - bought, "models"))
    counts = [count for setting in rounds for method in methods if (count := len(seeds(runs, setting, method)))]
    caption = (
        f"Points over local training, {_over(counts)}; models and tokens are an owner's over all rounds, means over "
        "owners and seeds."
    )
    head = ["setting", "samples", *methods, "models bought", "tokens spent", "tokens earned"]
    collapsed = [_collapsed(runs, setting) for setting in rounds]
    return "\n\n".join([caption, table(head, rows), *collapsed, "\n".join(said)])


COLLAPSED = 50.0
"""Percent: a local training that ends below it has diverged."""


def _collapsed(runs: Runs, setting: str) -> str:
    """How much of the small owners' gain is that their own training fails."""
    pairs = [
        (before, after)
        for seed in seeds(runs, setting, MARKET)
        for before, after, size in zip(
            runs[setting, "local", seed].accuracies,
            runs[setting, MARKET, seed].accuracies,
            runs[setting, "local", seed].samples,
            strict=True,
        )
        if size <= 120
    ]
    gains = [after - before for before, after in pairs if before >= COLLAPSED]
    return (
        f"{setting}: of {len(pairs)} small owners' local trainings {len(pairs) - len(gains)} collapse; "
        f"the others gain {mean(gains) if gains else 0:+.1f} points."
    )


def paper_report(runs: Runs, setting: str) -> str:
    """What the paper claims for its method: economic utility, at its sample counts."""
    methods = [method for method in METHODS if seeds(runs, setting, method)]
    rows = [
        [method, points(runs, setting, method), f"{utility(runs, setting, method).mean:.1f}",
         f"{utility(runs, setting, method, like=True).mean:.1f}", f"{_copies(runs, setting, method):.1f}",
         _net(runs, setting, method)]
        for method in methods
    ]  # fmt: skip
    caption = (
        f"Points over local training, {_over(len(seeds(runs, setting, method)) for method in methods)}. *Paid, net*: "
        "what a client pays less what it is paid over all rounds, least to most; all clients' add up to nothing. "
        "iPFL's prices are marginal gains, the market's its own."
    )
    head = ["method", "points over local", "economic utility", "by likeness", "models bought in a round", "paid, net"]
    rest = [f"The most that any graph gives: {_ceiling(runs, setting):.1f}.", worth_promise(runs, setting)]
    return "\n\n".join([caption, table(head, rows), *rest])


def _net(runs: Runs, setting: str, method: str) -> str:
    """From the client that earns the most to the one that pays the most, of the methods that have prices."""
    net = []
    for seed in seeds(runs, setting, method):
        notes = runs[setting, method, seed].notes
        net += notes.get("prices", [])
        net += [paid - earned for paid, earned in zip(notes.get("paid", []), notes.get("earned", []), strict=True)]
    return f"{min(net):+.1f} to {max(net):+.1f}" if net else "–"


def _copies(runs: Runs, setting: str, method: str) -> float:
    found = [runs[setting, method, seed] for seed in seeds(runs, setting, method)]
    rounds = runs[setting, "FedAvg", 0].bought[0] / (len(found[0].samples) - 1)
    return mean(mean(result.bought) / rounds for result in found)


def rules_report(runs: Runs, settings: Sequence[str], names: Sequence[str]) -> str:
    """What each rule is worth: the same without it."""
    rows = []
    for name in names:
        found = [points(runs, setting, name) for setting in settings]
        lost = mean(losers(runs, setting, name) for setting in settings)
        rows.append([name, *found, f"{mean(each.mean for each in found):+.2f}", f"{100 * lost:.0f} %"])
    counts = [len(seeds(runs, setting, name)) for setting in settings for name in names]
    head = ["", *settings, "*mean*", "lose over a point"]
    return f"Points over local training, {_over(counts)}.\n\n{table(head, rows)}"
