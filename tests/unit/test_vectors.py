"""The vectors that the contracts are tested against too: what this package gives, and what the slow versions give."""

import json
from pathlib import Path

import oracle
import pytest

from market_node import codec
from market_node.errors import BadInput
from market_node.mechanism import Offer
from tests.vectors import make

FOLDER = Path(make.__file__).parent
WRITTEN = make.vectors()


def committed(name: str) -> dict:
    return json.loads((FOLDER / name).read_text())


def offers(case: dict) -> list[Offer]:
    return [Offer(int(offer["seller"]), int(offer["cost"]), int(offer["size"])) for offer in case["offers"]]


@pytest.mark.parametrize("name", WRITTEN)
def test_the_committed_file_is_what_the_maker_writes(name):
    assert (FOLDER / name).read_text() == WRITTEN[name], "run python -m tests.vectors.make"


def test_together_they_stay_small():
    assert sum(map(len, WRITTEN.values())) <= 1_000_000


def test_gains_are_the_slow_ones():
    for case in committed("mechanism.json")["gain"]:
        value, samples, imported, expected = map(int, case.values())
        assert oracle.gain(value, samples, imported) == expected


def test_effective_samples_are_the_slow_ones():
    for case in committed("mechanism.json")["effectiveSamples"]:
        samples, reputation, limit, similarity, expected = map(int, case.values())
        assert oracle.effective_samples(samples, reputation, limit, similarity) == expected


def test_rows_are_the_slow_ones():
    for case in committed("mechanism.json")["rows"]:
        market = int(case["value"]), int(case["samples"]), offers(case), int(case["maxSellers"])
        looked_at, left_out = oracle.candidates(*market)
        assert [str(o.seller) for o in looked_at] == case["candidates"]
        assert (left_out and str(left_out.seller)) == case["leftOut"]
        chosen = oracle.choose(*market[:2], looked_at)
        assert [str(o.seller) for o in chosen] == [purchase["seller"] for purchase in case["purchases"]]
        for purchase in case["purchases"]:
            price = int(purchase["price"])
            assert oracle.critical_cost(*market, int(purchase["seller"]), guess=price) == price, case["name"]


def test_money_is_conserved_in_every_round():
    for round in committed("settlement.json")["rounds"]:
        money = int(round["terms"]["bond"]) + sum(int(p["deposit"]) for p in round["participants"])
        for case in round["settlements"]:
            assert sum(map(int, case["credits"])) + int(case["burnt"]) + int(case["aggregator"]) == money
        for case in round["void"]:
            rewards = int(case["challengers"]) * int(case["challenger"])
            assert sum(map(int, case["credits"])) + int(case["burnt"]) + int(case["aggregator"]) + rewards == money


def test_malformed_rows_are_refused():
    for case in committed("codec.json")["malformedRows"]:
        with pytest.raises(BadInput):
            codec.decode_rows(bytes.fromhex(case["rowsBytes"][2:]), int(case["n"]), int(case["maxSellers"]))
