"""`simulate` on the command line."""

import sys
from pathlib import Path

import pytest
from shell import market_node

SCENARIO = """
owners = 8
rounds = 2
[terms]
fee = "0.5"
reveal_bond = "25"
[[groups]]
name = "hospitals"
samples = 500
value = 40
cost = 0.5
begins = 1.0
"""


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    path = tmp_path / "scenario.toml"
    path.write_text(SCENARIO)
    return path


def simulate(scenario: Path, *arguments: object):
    return market_node("simulate", scenario, "--out", scenario.parent / "out", "--workers", 1, *arguments)


def test_it_leaves_a_report_and_tables(scenario: Path) -> None:
    document = simulate(scenario, "--json").document
    assert document["rounds_played"] == 2
    for key in ("report", "rounds", "participants"):
        assert Path(document[key]).stat().st_size > 0


def test_it_goes_on_for_more_rounds(scenario: Path) -> None:
    assert simulate(scenario, "--rounds", 1, "--json").document["rounds_played"] == 1
    assert simulate(scenario, "--json").document["rounds_played"] == 2


def test_a_key_that_is_unknown(scenario: Path) -> None:
    scenario.write_text("ownres = 8\n" + SCENARIO)
    refused = simulate(scenario)
    assert refused.code == 2
    assert "scenario.toml: the scenario has an unknown key 'ownres'" in refused.complaint


def test_a_scenario_that_changed(scenario: Path) -> None:
    assert simulate(scenario).code == 0
    scenario.write_text(SCENARIO.replace("owners = 8", "owners = 9"))
    assert "owners differs): choose another folder" in simulate(scenario).complaint


def test_an_engine_that_is_none(scenario: Path) -> None:
    assert "there are processes, ray" in simulate(scenario, "--engine", "threads").complaint


def test_what_is_not_installed_is_named(scenario: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [each for each in sys.modules if each.startswith("market_node.simulation.re")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert "pip install 'market-node[simulation]'" in simulate(scenario).complaint
