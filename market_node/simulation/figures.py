"""Plots of results, as SVG to stand in a page or PNG and SVG files. Same figures, same bytes. Needs matplotlib."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..picture import COLOURS as SIX

COLOURS = (*SIX, "#b04a6a", "#2f8f8f")

Series = Mapping[str, tuple[Sequence[float], Sequence[float]]]
"""Label → mean and deviation at each place."""

_STYLE: Any = {
    "svg.hashsalt": "market-node",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#888888",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e4e4",
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
}
_MARKS = ("o", "s", "^", "D", "v", "P", "X")


def lines(
    title: str,
    across: str,
    up: str,
    places: Sequence[float],
    series: Series,
    *,
    log: bool = False,
    first: int = 0,
) -> Any:
    """A line per label with a band of one deviation. Returns a matplotlib figure.

    Args:
        first: the colour to begin with, where another plot of the same page has more labels.
    """
    figure, axes = _empty(title, across, up)
    for number, (label, (means, deviations)) in enumerate(series.items(), first):
        colour = COLOURS[number % len(COLOURS)]
        mark = _MARKS[number % len(_MARKS)]  # colours alone leave out who does not see them
        axes.plot(places, means, color=colour, marker=mark, markersize=4, linewidth=1.6, label=label)
        low = [mean - off for mean, off in zip(means, deviations, strict=True)]
        high = [mean + off for mean, off in zip(means, deviations, strict=True)]
        axes.fill_between(places, low, high, color=colour, alpha=0.15 if len(series) < 4 else 0.05, linewidth=0)
    if log:
        axes.set_xscale("log")
        axes.set_xticks(list(places), [f"{place:,.0f}" for place in places])
        axes.minorticks_off()
    elif len(places) <= 20:
        axes.set_xticks(list(places))
    _close(axes, series)
    return figure


def bars(title: str, across: str, up: str, places: Sequence[str], series: Series) -> Any:
    """Bars side by side, one per label at each place, with a deviation each."""
    figure, axes = _empty(title, across, up)
    width = 0.8 / max(len(series), 1)
    for number, (label, (means, deviations)) in enumerate(series.items()):
        at = [place + width * (number - (len(series) - 1) / 2) for place in range(len(places))]
        colour = COLOURS[number % len(COLOURS)]
        axes.bar(at, means, width, yerr=deviations, color=colour, label=label, error_kw={"linewidth": 0.8})
    axes.set_xticks(range(len(places)), places)
    axes.axhline(0, color="#888888", linewidth=0.8)
    _close(axes, series)
    return figure


def svg(figure: Any) -> str:
    """A figure to stand in a page."""
    from matplotlib import rc_context

    text = io.StringIO()
    with rc_context(_STYLE):
        figure.savefig(text, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    return text.getvalue()[text.getvalue().index("<svg") :]


def save(figure: Any, path: Path) -> None:
    """A figure as a file, by its suffix."""
    from matplotlib import rc_context

    path.parent.mkdir(parents=True, exist_ok=True)
    with rc_context(_STYLE):
        figure.savefig(
            path, dpi=110, bbox_inches="tight", metadata={"Date": None} if path.suffix == ".svg" else {"Software": None}
        )


def _empty(title: str, across: str, up: str) -> tuple[Any, Any]:
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with rc_context(_STYLE):
        figure = Figure(figsize=(7.2, 3.6), facecolor="white")
        FigureCanvasAgg(figure)
        axes = figure.add_axes((0.12, 0.15, 0.63, 0.75))  # fixed: to lay out by what is in it takes seconds
        axes.set_title(title)
        axes.set_xlabel(across)
        axes.set_ylabel(up)
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")
    return figure, axes


def _close(axes: Any, series: Series) -> None:
    low, high = axes.get_ylim()
    if low > 0:  # a small difference shall look small
        axes.set_ylim(0, high)
    if len(series) == 1:
        axes.set_position((0.12, 0.15, 0.85, 0.75))
    else:
        axes.legend(frameon=False, fontsize=9, loc="center left", bbox_to_anchor=(1.01, 0.5))
