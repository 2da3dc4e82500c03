"""A scenario is understood whole or refused in one line that names the key."""

import re
from pathlib import Path

import numpy as np
import pytest

from market_node.errors import ConfigError
from market_node.records import ONE
from market_node.simulation.population import Fixed, Lognormal
from market_node.simulation.scenario import load_scenario, read_scenario
from tests.unit.simulations import HOSPITALS, TOKEN, scenario, tables

EXAMPLE = Path(__file__).parents[2] / "examples" / "scenario.toml"


def test_the_example_is_one():
    read = load_scenario(EXAMPLE)
    assert read.terms.fee == TOKEN // 2
    assert read.terms.floor == ONE // 10 + 1  # rounded to the nearest
    assert [group.name for group in read.groups] == ["hospitals", "laboratories", "start-ups"]
    assert read.groups[1].value == Fixed(value=5)


def test_the_example_explains_every_key():
    text = EXAMPLE.read_text()
    for table in ("terms", "sketches", "entry", "ratings"):
        known = getattr(load_scenario(EXAMPLE), table)
        for key in type(known).__dataclass_fields__:
            assert re.search(rf"^(# )?{key} = ", text, flags=re.M), key
    for key in type(load_scenario(EXAMPLE).groups[0]).__dataclass_fields__:
        assert key in text, key


def test_a_group_is_what_its_table_says():
    (group,) = scenario().groups
    assert group.samples == Lognormal(median=400, sigma=0.8)
    assert group.strategy == "truth"


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"ownres": 5}, "unknown key 'ownres'"),
        ({"owners": 1}, "'owners' must be 2 …"),
        ({"owners": True}, "'owners' must be a whole number"),
        ({"owners": 2.0}, "'owners' must be a whole number"),
        ({"rounds": 0}, "'rounds' must be 1 …"),
        ({"seeds": []}, "at least one"),
        ({"seeds": [1, 1]}, "names something twice"),
        ({"seeds": [-1]}, "'seeds' must be 0 …"),
        ({"designs": ["lottery"]}, "no design 'lottery'"),
        ({"terms": {"fee": "1"}}, "[terms] lacks 'reveal_bond'"),
        ({"terms": {"fee": 0.5, "reveal_bond": "1"}}, "'fee' must be tokens in quotes"),
        ({"terms": {"fee": "x", "reveal_bond": "1"}}, "is not an amount"),
        ({"terms": {"fee": "1", "reveal_bond": "0"}}, "no deposit covers a bid"),
        ({"terms": {"fee": "1", "reveal_bond": "1", "bond": "15"}}, "16 reveal bonds"),
        ({"terms": {"fee": "1", "reveal_bond": "1", "max_sellers": 33}}, "'max_sellers' must be 1 … 32"),
        ({"terms": {"fee": "1", "reveal_bond": "1", "max_sellers": 9}}, "must be 8192 at most"),
        ({"terms": {"fee": "1", "reveal_bond": "1", "max_participants": 1_025}}, "'max_participants' must be 2 …"),
        ({"terms": {"fee": "1", "reveal_bond": "1", "floor": 1}}, "below 1"),
        ({"terms": 5}, "[terms] is a table"),
        ({"sketches": {"within": 0.1, "across": 0.2}}, "'across' is above 'within'"),
        ({"sketches": {"within": float("nan")}}, "'within' must be 0 … 1"),
        ({"sketches": {"recorded": "nowhere.npz"}}, "nowhere.npz"),
        ({"entry": {"choice": "nearest"}}, "'choice' is one of random, cluster"),
        ({"entry": {"patience": 0}}, "'patience' must be 1 …"),
        ({"groups": []}, "lacks [[groups]]"),
        ({"groups": [HOSPITALS, HOSPITALS]}, "the same 'name'"),
        ({"groups": [{**HOSPITALS, "begins": 0}]}, "nobody 'begins'"),
        ({"groups": [{**HOSPITALS, "share": 0}]}, "'share' above 0"),
        ({"groups": [{**HOSPITALS, "colour": 1}]}, "unknown key 'colour'"),
        ({"groups": [{**HOSPITALS, "clusters": [1]}]}, "cluster 1 is not one of 1"),
        ({"groups": [{**HOSPITALS, "buys": False, "sells": False}]}, "neither buys nor sells"),
        ({"groups": [{**HOSPITALS, "strategy": "luck"}]}, "no strategy 'luck'"),
        ({"groups": [{**HOSPITALS, "value": "5"}]}, "'value' is a number, or a table"),
        ({"groups": [{**HOSPITALS, "value": {"kind": "normal"}}]}, "'kind' is one of"),
        ({"groups": [{**HOSPITALS, "value": {"kind": "uniform", "least": 1}}]}, "lacks 'most'"),
        ({"groups": [{**HOSPITALS, "value": {"kind": "uniform", "least": 2, "most": 1}}]}, "'least' is above 'most'"),
        ({"groups": [{**HOSPITALS, "value": {"kind": "fixed", "value": 1, "sigma": 1}}]}, "unknown key 'sigma'"),
        ({"groups": [{**HOSPITALS, "value": -1}]}, "must be 0 …"),
    ],
)
def test_what_cannot_be_used_is_refused(changes: dict[str, object], complaint: str):
    with pytest.raises(ConfigError, match=re.escape(complaint)) as refused:
        read_scenario(tables(**changes))
    assert "\n" not in str(refused.value)


def test_a_refusal_names_the_file(tmp_path: Path):
    (tmp_path / "mine.toml").write_text("owners = 1")
    with pytest.raises(ConfigError, match=r"mine\.toml"):
        load_scenario(tmp_path / "mine.toml")


def test_more_rounds_seeds_and_designs_are_the_same_scenario():
    assert scenario(rounds=9, seeds=[1, 2], designs=["free"]).stamp == scenario().stamp
    assert scenario(owners=17).stamp != scenario().stamp


def test_of_a_recorded_run_the_bytes_count_and_not_the_place(tmp_path: Path):
    def stamp(folder: str, fill: int) -> object:
        (tmp_path / folder).mkdir(exist_ok=True)
        np.savez(tmp_path / folder / "run.npz", sketches=np.full((1, 1, 1024), fill, np.int8))
        return read_scenario(tables(sketches={"recorded": "run.npz"}), tmp_path / folder).stamp

    assert stamp("a", 1) == stamp("b", 1)
    assert stamp("c", 2) != stamp("a", 1)
