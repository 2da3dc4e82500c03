"""What the runs come to, as pictures."""

from collections.abc import Mapping, Sequence

from benchmarks.document import save

from .methods import METHODS
from .tables import MARKET, Runs, done, mean_gain, points


def bars(runs: Runs, settings: Sequence[str], name: str) -> None:
    """Points over local of every method on every setting."""
    from matplotlib import pyplot

    settings = done(runs, settings)
    shared = [method for method in METHODS if method != "local"]
    figure, axes = pyplot.subplots(figsize=(12, 4))
    width = 0.85 / len(shared)
    for place, method in enumerate(shared):
        found = [points(runs, setting, method) for setting in settings]
        axes.bar(
            [index + place * width for index in range(len(settings))],
            [each.mean for each in found],
            width,
            yerr=[each.error for each in found],
            label=method,
            color="black" if method == MARKET else None,
        )
    axes.set_xticks([index + 0.4 for index in range(len(settings))], settings, rotation=25, ha="right")
    axes.axhline(0, color="grey", linewidth=0.8)
    axes.set_ylabel("points over local training")
    axes.set_ylim(bottom=-6)
    axes.legend(ncols=5, fontsize="small")
    save(figure, name)


def curve(runs: Runs, counts: Mapping[int, Sequence[str]], name: str) -> None:
    """The mean gain against the number of participants."""
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 4))
    found = {count: mean_gain(runs, settings) for count, settings in counts.items()}
    found = {count: gain for count, gain in found.items() if gain.seeds}
    axes.errorbar(list(found), [g.mean for g in found.values()], yerr=[g.error for g in found.values()], marker="o")
    axes.set_xscale("log")
    axes.set_xticks(list(found), [str(count) for count in found])
    axes.minorticks_off()
    axes.set_xlabel("participants")
    axes.set_ylabel("points over local training")
    save(figure, name)
