"""Where the figures go: docs/economics.md."""

from collections.abc import Iterable
from statistics import mean, stdev

from benchmarks.document import write

PAGE = "docs/economics.md"
COLOURS = {
    "market": "#0b3d91",
    "paper": "#d1495b",
    "posted": "#2a9d8f",
    "proportional": "#e9a03b",
    "shapley": "#8e6bbf",
    "vcg": "#7a7a7a",
    "free": "#b08968",
}
"""One per design, the same on every picture."""

NAMES = {
    "market": "market (ours)",
    "paper": "paper (iPFL)",
    "posted": "posted price",
    "proportional": "proportional share",
    "shapley": "Shapley",
    "vcg": "VCG",
    "free": "free",
}


def section(name: str, text: str) -> None:
    """Puts a section of the page where its markers are."""
    write(PAGE, name, text)


def spread(values: Iterable[float], digits: int = 1) -> str:
    """Mean ± standard deviation over seeds."""
    known = list(values)
    return f"{mean(known):.{digits}f} ± {stdev(known):.{digits}f}"
