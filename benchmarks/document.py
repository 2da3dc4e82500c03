"""Figures go into documents between two markers, written by the command that made them and never by hand."""

import platform
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TREE = Path(__file__).parent.parent


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table; all columns but the first are figures."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def machine() -> str:
    """Where the figures were measured, as far as it matters to them."""
    return f"Python {platform.python_version()} on {platform.system()}, {platform.machine()}"


def write(document: str, name: str, text: str) -> None:
    """Replaces what stands between `<!-- name … -->` and `<!-- /name -->` in a document of the tree."""
    path = TREE / document
    before = path.read_text(encoding="utf-8")
    places = rf"(<!-- {name}[^>]*-->).*?(<!-- /{name} -->)"
    after, found = re.subn(places, lambda found: f"{found[1]}\n{text.strip()}\n{found[2]}", before, flags=re.S)
    if found != 1:
        raise SystemExit(f"{document} has no place for {name!r}: it needs the two markers once")
    path.write_text(after, encoding="utf-8")


def save(figure: "Figure", name: str) -> None:
    """As docs/figures/<name>.svg, the same bytes for the same picture."""
    import matplotlib as mpl

    folder = TREE / "docs" / "figures"
    folder.mkdir(exist_ok=True)
    mpl.rcParams["svg.hashsalt"] = name
    figure.savefig(folder / f"{name}.svg", bbox_inches="tight", metadata={"Date": None})
