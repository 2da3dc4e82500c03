"""What a simulation leaves: tables whose columns are stated, and a page that shows them."""

import re
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from market_node.records import LEAST_REPUTATION, NOT_SELLING
from market_node.simulation.engine import worlds
from market_node.simulation.lines import OUT, Line, Totals
from market_node.simulation.report import write_report
from market_node.simulation.results import PARTICIPANTS, ROUNDS, gather, read_round, round_path, write_round
from market_node.simulation.workers import run
from tests.unit.simulations import HOSPITALS, TOKEN, scenario, world

PLAYED = scenario(
    rounds=3,
    designs=["market", "vcg"],
    groups=[HOSPITALS, {**HOSPITALS, "name": "firms", "sells": False}],
)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("out")
    for _ in run(PLAYED, folder, workers=1):
        pass
    gather(folder, list(worlds(PLAYED)))
    return folder


def test_the_columns_are_the_stated_ones(out: Path):
    assert pq.read_schema(out / "participants.parquet").remove_metadata() == PARTICIPANTS
    assert pq.read_schema(out / "rounds.parquet").remove_metadata() == ROUNDS


@pytest.mark.parametrize("column", [*PARTICIPANTS.names, *ROUNDS.names])
def test_the_guide_explains_every_column(column: str):
    guide = (Path(__file__).parents[2] / "docs" / "simulation.md").read_text()
    assert f"`{column}`" in guide


def test_every_owner_has_a_row_in_every_round(out: Path):
    table = pq.read_table(out / "participants.parquet")
    keys = set(zip(*(table[name].to_pylist() for name in ("design", "round", "owner")), strict=True))
    assert len(keys) == table.num_rows == 2 * 3 * 16


def test_rounds_are_the_sums_of_their_participants(out: Path):
    rounds = pq.read_table(out / "rounds.parquet").to_pylist()
    rows = pq.read_table(out / "participants.parquet").to_pylist()
    for each in rounds:
        inside = [
            row for row in rows if row["joined"] and (row["design"], row["round"]) == (each["design"], each["round"])
        ]
        assert each["participants"] == len(inside)
        assert each["copies"] == sum(row["bought"] for row in inside) == sum(row["sold"] for row in inside)
        assert each["welfare"] == sum(row["worth"] - row["harm"] for row in inside)
        assert each["volume"] == sum(row["earned"] for row in inside)
        money = sum(row["earned"] - row["spent"] - row["fee"] for row in inside)
        assert money + each["aggregators"] + each["burnt"] == each["subsidy"]
        assert sum(row["profit"] for row in inside) == money + each["welfare"]


def test_who_joined_and_who_left_adds_up(out: Path):
    inside = 0
    for each in pq.read_table(out / "rounds.parquet").to_pylist():
        inside = 0 if each["round"] == 1 else inside
        inside += each["joined"] - each["left"]
        assert inside == each["participants"]


def test_who_does_not_sell_has_no_cost(out: Path):
    rows = pq.read_table(out / "participants.parquet").to_pylist()
    assert {row["bid_cost"] for row in rows if row["group"] == "firms"} == {None}
    assert None not in {row["bid_cost"] for row in rows if row["group"] == "hospitals" and row["joined"]}


def test_a_line_comes_back_to_the_unit(tmp_path: Path):
    market = world()
    lines = [
        Line(0, "a", 1, 500, 0, 0, 1, NOT_SELLING, (1 << 64) - 1, 2, 3, 4, 10**28 + 1, -5, 6, 7, LEAST_REPUTATION),
        Line(0, "a", 1, 500, 0, 9, 5 * TOKEN, 0, 500, harm=31 * NOT_SELLING, reputation=1 << 16),
        Line(3, "b", 0, 20, OUT),
    ]
    totals = Totals(1, 2, 10**30)
    write_round(tmp_path, market, 1, lines, totals)
    assert read_round(round_path(tmp_path, market, 1)) == (lines, totals)


def test_money_is_tokens(tmp_path: Path):
    market = world()
    write_round(tmp_path, market, 1, [Line(0, "a", 0, 5, 0, value=12 * TOKEN + 1)], Totals())
    value = pq.read_table(round_path(tmp_path, market, 1))["bid_value"]
    assert pa.types.is_decimal(value.type)
    assert value.to_pylist() == [Decimal("12.000000000000000001")]


@pytest.fixture(scope="module")
def page(out: Path) -> str:
    return write_report(out, PLAYED.stamp).read_text()


def test_the_page_stands_alone_and_is_the_same_again(out: Path, page: str):
    assert page.count("<svg") == 7
    assert not re.findall(r"(?:src|href)=\"(?!#)|<script|url\((?!#)", page)
    assert write_report(out, PLAYED.stamp).read_text() == page


def test_the_page_says_who_pays_and_that_nothing_is_missing(page: str):
    rows = [row for row in page.split("<tr>") if row.startswith("<td>vcg")]
    assert not rows[1].rstrip().endswith("<td>0.00</td><td>0.00</td></tr>")  # what comes from outside
    assert rows[1].split("</table>")[0].rstrip().endswith("<td>0.00</td></tr>")  # what is missing
