"""One page on what a simulation came to: no file beside it, no script, readable without this project's words."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ..files import replacing
from .figures import Series, bars, lines, svg

QUINTILES = ("least data", "2nd", "3rd", "4th", "most data")

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Course:
    """A design under one seed."""

    rounds: Mapping[str, Array]
    """Column of `rounds.parquet` → its values by round; money in tokens."""
    profits: Array
    """Mean profit of a participant in a round, by quintile of samples, tokens."""
    incomes: Array
    """Mean prices got by a participant in a round, likewise."""
    losers: float
    """The share of participations that ended with a loss, fees counted."""

    @property
    def welfare_each(self) -> Array:
        """Per participant, by round, tokens."""
        return self.rounds["welfare"] / np.maximum(self.rounds["participants"], 1)


Courses = Mapping[str, Sequence[Course]]
"""Design → its courses, one per seed."""


def write_report(out: Path, stamp: Mapping[str, Any]) -> Path:
    """Writes `report.html` from the Parquet files in `out`. Returns its path."""
    path = out / "report.html"
    with replacing(path) as file:
        file.write(page(read_courses(out), stamp).encode())
    return path


# --- from the files ---


def read_courses(out: Path) -> dict[str, list[Course]]:
    """The courses in `participants.parquet` and `rounds.parquet`, in their order."""
    table = pq.read_table(out / "rounds.parquet")
    worlds = list(zip(table["design"].to_pylist(), table["seed"].to_pylist(), strict=True))
    numbers = {
        name: np.array([float(each) for each in table[name].to_pylist()])
        for name in table.column_names
        if name not in ("design", "seed")
    }
    source = pq.ParquetFile(out / "participants.parquet")
    courses: dict[str, list[Course]] = {}
    for world in dict.fromkeys(worlds):
        places = [place for place, each in enumerate(worlds) if each == world]
        rounds = {name: values[places] for name, values in numbers.items()}
        courses.setdefault(world[0], []).append(Course(rounds, *_shares(source, places)))
    return courses


def _shares(source: pq.ParquetFile, groups: Sequence[int]) -> tuple[Array, Array, float]:
    """Profits and incomes by quintile, and the share of losers. `groups`: a row group for each round."""
    count, profits, incomes, lost = np.zeros(5), np.zeros(5), np.zeros(5), 0
    for group in groups:
        table = source.read_row_group(group, columns=["samples", "joined", "profit", "earned"])
        samples, joined = table["samples"].to_numpy(), table["joined"].to_numpy()
        # Of all who could take part, so that it means the same under every design.
        place = np.searchsorted(np.quantile(samples, [0.2, 0.4, 0.6, 0.8]), samples, side="left")[joined]
        profit, earned = (table[name].cast(pa.float64()).to_numpy()[joined] for name in ("profit", "earned"))
        count += np.bincount(place, minlength=5)
        profits += np.bincount(place, profit, minlength=5)
        incomes += np.bincount(place, earned, minlength=5)
        lost += int((profit < 0).sum())
    return profits / np.maximum(count, 1), incomes / np.maximum(count, 1), lost / max(float(count.sum()), 1)


# --- the page ---


def page(courses: Courses, stamp: Mapping[str, Any]) -> str:
    """The whole page."""
    seeds = len(next(iter(courses.values())))
    rounds = len(next(iter(courses.values()))[0].welfare_each)
    spread = f"mean ± standard deviation over {seeds} seeds" if seeds > 1 else "one seed"
    parts = [
        f"<p>{stamp['owners']:,} owners of data who could take part, {rounds} rounds, {spread}. Every design was "
        "played in the same markets, with the same owners, data and chances. Amounts are tokens.</p>",
        "<h2>In short</h2>",
        _summary(courses),
        "<p class=note>Welfare is what the models bought were really worth to their buyers, less what each copy cost "
        "its seller. A participation is one owner in one round; it ends with a loss where what an owner paid, fee "
        "included, exceeds what it got. Paid from outside is what a design needs beyond what its participants "
        "pay.</p>",
        "<h2>Does the market grow?</h2>",
        _over_rounds("Participants", "owners in the round", courses, lambda each: each.rounds["participants"]),
        "<p class=note>An owner joins where those like it did not lose in the last round, and leaves after "
        f"{stamp['entry']['patience']} rounds in a row with a loss.</p>",
        _over_rounds("Volume", "tokens paid per round", courses, lambda each: each.rounds["volume"]),
        _over_rounds("Welfare", "tokens per round", courses, lambda each: each.rounds["welfare"]),
        _over_rounds("Welfare per participant", "tokens per round", courses, lambda each: each.welfare_each),
        *_beside_the_first(courses),
        "<h2>Who earns?</h2>",
        _by_size("Profit by amount of data", courses, lambda each: each.profits),
        _by_size("Income from sales by amount of data", courses, lambda each: each.incomes),
        "<p class=note>All who could take part, in five equal groups by how much data they have; mean over those who "
        "took part, per round.</p>",
        "<h2>Does the money add up?</h2>",
        _balance(courses),
        "<p class=note>Over all rounds and seeds. What participants lose in money is somebody's fee or burnt, but for "
        "what comes from outside; the last column is what is unaccounted for.</p>",
        "<h2>The scenario</h2>",
        f"<pre>{escape(json.dumps(stamp, indent=2, sort_keys=True))}</pre>",
    ]
    return _PAGE.format(body="\n".join(parts))


def _summary(courses: Courses) -> str:
    head = (
        "design",
        "participants at the end",
        "volume in all",
        "welfare in all",
        "welfare per participation",
        "participations with a loss",
        "paid from outside",
    )
    rows = [
        (
            design,
            _text([each.rounds["participants"][-1] for each in several], 0),
            _text([each.rounds["volume"].sum() for each in several], 0),
            _text([each.rounds["welfare"].sum() for each in several], 0),
            _text([each.rounds["welfare"].sum() / max(each.rounds["participants"].sum(), 1) for each in several], 2),
            _text([100 * each.losers for each in several], 1, " %"),
            _text([each.rounds["subsidy"].sum() for each in several], 0),
        )
        for design, several in courses.items()
    ]
    return _table(head, rows)


def _balance(courses: Courses) -> str:
    head = ("design", "prices got", "prices paid", "fees paid", "to aggregators", "burnt", "from outside", "missing")
    rows = []
    for design, several in courses.items():
        total = {name: sum(float(each.rounds[name].sum()) for each in several) for name in several[0].rounds}
        rest = total["spent"] + total["fees"] + total["subsidy"]
        rest -= total["volume"] + total["aggregators"] + total["burnt"]
        rows.append(
            (
                design,
                *(f"{total[name]:,.2f}" for name in ("volume", "spent", "fees", "aggregators", "burnt", "subsidy")),
                f"{abs(rest):,.2f}",
            )
        )
    return _table(head, rows)


def _over_rounds(title: str, up: str, courses: Courses, values: Callable[[Course], Array]) -> str:
    series = {design: _spread([values(each) for each in several]) for design, several in courses.items()}
    places = list(range(1, 1 + len(next(iter(series.values()))[0])))
    return svg(lines(title, "round", up, places, series))


def _beside_the_first(courses: Courses) -> list[str]:
    """What the other designs add to welfare, seed by seed: most of what differs between seeds is the same for all."""
    first, *others = courses
    if not others:
        return []
    series = {
        design: _spread(
            [
                other.rounds["welfare"] - own.rounds["welfare"]
                for own, other in zip(courses[first], courses[design], strict=True)
            ]
        )
        for design in others
    }
    places = list(range(1, 1 + len(next(iter(series.values()))[0])))
    title = f"Welfare, less that of “{first}” in the same market"
    return [
        svg(lines(title, "round", "tokens per round", places, series, first=1)),
        f"<p class=note>Below 0, “{escape(first)}” brought more.</p>",
    ]


def _by_size(title: str, courses: Courses, values: Callable[[Course], Array]) -> str:
    series: Series = {design: _spread([values(each) for each in several]) for design, several in courses.items()}
    return svg(bars(title, "owners, by samples", "tokens per round", QUINTILES, series))


def _spread(several: Sequence[Array]) -> tuple[list[float], list[float]]:
    stacked = np.stack(several)
    off = stacked.std(axis=0, ddof=1) if len(several) > 1 else np.zeros(stacked.shape[1])
    return stacked.mean(axis=0).tolist(), off.tolist()


def _text(values: Sequence[float], digits: int, unit: str = "") -> str:
    numbers = [float(each) for each in values]
    off = f" ± {stdev(numbers):,.{digits}f}" if len(numbers) > 1 else ""
    return f"{mean(numbers):,.{digits}f}{off}{unit}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["<table>", "<tr>" + "".join(f"<th>{escape(each)}</th>" for each in head) + "</tr>"]
    lines += ["<tr>" + "".join(f"<td>{escape(each)}</td>" for each in row) + "</tr>" for row in rows]
    return "\n".join([*lines, "</table>"])


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Market simulation</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; color: #222; background: #fff; max-width: 56rem; margin: 2rem auto; padding: 0 1rem }}
h2 {{ margin-top: 2.2rem; border-bottom: 1px solid #ddd }}
table {{ border-collapse: collapse; font-size: .92rem; display: block; overflow-x: auto }}
th, td {{ padding: .3rem .8rem; text-align: right; border-bottom: 1px solid #e4e4e4 }}
th:first-child, td:first-child {{ text-align: left; padding-left: 0 }}
td {{ white-space: nowrap; font-variant-numeric: tabular-nums }}
svg {{ width: 100%; height: auto; margin: .6rem 0 }}
.note {{ color: #555; font-size: .92rem }}
pre {{ font-size: .8rem; background: #f6f6f6; padding: 1rem; overflow: auto; max-height: 24rem }}
</style>
</head>
<body>
<h1>A simulated market for models</h1>
{body}
</body>
</html>
"""  # noqa: E501
