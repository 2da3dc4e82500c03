"""The collaboration graph as a picture: whose model went to whom, and at which price."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import cos, pi, sin, sqrt
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Dot:
    """One participant."""

    name: str
    group: str
    """What its data have in common with others'; groups have a colour each and stand together."""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Arrow:
    """One purchase; the model goes from the seller to the buyer."""

    seller: int
    buyer: int
    price: float
    """Tokens."""


COLOURS = ("#3b6ea5", "#c8693a", "#4f8a5b", "#8a5a9e", "#a08a2c", "#5f6b75")


def draw_graph(dots: Sequence[Dot], arrows: Sequence[Arrow], path: Path, title: str) -> None:
    """Draws the graph into a PNG at `path`. Needs matplotlib (extra `demo`)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patches import FancyArrowPatch

    places = _places(dots)
    figure = Figure(figsize=(9, 8.4), dpi=140, facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.02, 0.06, 0.96, 0.86))
    axes.set(xlim=(-1.55, 1.55), ylim=(-1.38, 1.38), aspect="equal")
    axes.axis("off")
    colours = _colours(dots)
    most = max((arrow.price for arrow in arrows), default=1.0) or 1.0
    for arrow in arrows:
        colour = colours[dots[arrow.seller].group]
        patch = FancyArrowPatch(
            places[arrow.seller],
            places[arrow.buyer],
            connectionstyle="arc3,rad=0.16",
            arrowstyle="-|>,head_length=7,head_width=3.5",
            shrinkA=19,
            shrinkB=20,
            linewidth=0.8 + 2.6 * arrow.price / most,
            color=colour,
            alpha=0.8,
        )
        axes.add_patch(patch)
        x, y = _beside(places[arrow.seller], places[arrow.buyer])
        axes.text(
            x,
            y,
            f"{arrow.price:.2f}",
            fontsize=8,
            color=colour,
            ha="center",
            va="center",
            bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.85},
        )
    for dot, (x, y) in zip(dots, places, strict=True):
        axes.scatter([x], [y], s=1150, color=colours[dot.group], zorder=3, edgecolor="white", linewidth=2)
        axes.text(x, y, dot.name[:3], color="white", ha="center", va="center", fontsize=9, weight="bold", zorder=4)
        text = f"{dot.name}\n{dot.note}" if dot.note else dot.name
        axes.text(1.27 * x, 1.2 * y, text, ha="center", va="center", fontsize=9, color="#222222", zorder=4)
    for group, colour in colours.items():
        axes.scatter([], [], s=90, color=colour, label=group)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 0.0), ncol=len(colours), frameon=False, fontsize=9)
    figure.suptitle(title, fontsize=13, color="#222222")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def _places(dots: Sequence[Dot]) -> list[tuple[float, float]]:
    """A circle on which a group stands together."""
    order = sorted(range(len(dots)), key=lambda index: (dots[index].group, index))
    places = [(0.0, 0.0)] * len(dots)
    for place, index in enumerate(order):
        angle = pi / 2 - 2 * pi * place / len(dots)
        places[index] = (cos(angle), sin(angle))
    return places


def _beside(start: tuple[float, float], end: tuple[float, float]) -> tuple[float, float]:
    """Where a price stands: on the bent arrow, nearer to the buyer than to the seller, so that two-way prices part."""
    along, bend = 0.58, 0.16
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = sqrt(dx * dx + dy * dy) or 1.0
    off = 2 * along * (1 - along) * bend * length
    return start[0] + along * dx + off * dy / length, start[1] + along * dy - off * dx / length


def _colours(dots: Sequence[Dot]) -> Mapping[str, str]:
    groups = sorted({dot.group for dot in dots})
    return {group: COLOURS[place % len(COLOURS)] for place, group in enumerate(groups)}
