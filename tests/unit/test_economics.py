"""The markets that the page of economics is measured on, and how a lie's gain is counted there."""

from dataclasses import replace
from statistics import median

import pytest

from benchmarks.economics.markets import FAMILIES, TOKEN, market, with_seats
from benchmarks.economics.truthfulness import OWNERS, RULES, SAMPLE_FACTORS, Table, lies, profit
from benchmarks.economics.welfare import SMALL, Size, totals
from market_node.mechanism import candidates
from market_node.records import NOT_SELLING
from market_node.settlement import sketches
from market_node.simulation.designs import DESIGNS
from market_node.simulation.designs.buyer import buyers
from market_node.simulation.play import played
from market_node.sketch import similarity_matrix


def known_table(round):
    return Table(round, similarity_matrix(sketches(round), round.terms.similarity_floor))


@pytest.mark.parametrize("name", FAMILIES)
def test_a_market_is_the_same_whenever_it_is_drawn(name):
    assert market(name, 1, 0, 8) == market(name, 1, 0, 8)
    assert market(name, 1, 0, 8) != market(name, 2, 0, 8)


def test_dear_costs_are_30_to_100_percent_of_what_the_first_sample_is_worth():
    parts = []
    for seat in with_seats("dear", 1, 0, 100)[0]:
        if seat.owner.cost != NOT_SELLING:
            brought = (
                min(seat.owner.samples, 4_000) * 4 / 9
            )  # to somebody alike, at a cosine of 0.5 over a floor of 0.1
            parts.append(seat.owner.cost / TOKEN / brought / 0.05)
    assert min(parts) > 0.29 and max(parts) < 1.01 and 0.5 < median(parts) < 0.8


def test_the_cap_binds_in_the_family_that_is_named_for_it_and_in_no_other_small_one():
    for name in FAMILIES:
        binding = [
            candidates(buyer.value, buyer.samples, buyer.offers, buyer.max_sellers)[1] is not None
            for buyer in buyers(market(name, 1, 0, SMALL.owners), frozenset())
        ]
        assert any(binding) == (name == "capped")


def test_kinds_of_data_are_of_no_use_to_each_other():
    seats, round = with_seats("clusters", 1, 0, 30)
    clusters = [seat.owner.cluster for seat in seats]
    assert set(clusters) == {0, 1, 2}
    sizes = [
        (offer.size, clusters[offer.seller] == clusters[buyer.index])
        for buyer in buyers(round, frozenset())
        for offer in buyer.offers
    ]
    alike, unlike = ([size for size, same in sizes if same == kind] for kind in (True, False))
    assert sum(unlike) < 0.02 * sum(alike)


@pytest.mark.parametrize("name", ["everyday", "capped"])
@pytest.mark.parametrize("design", ["market", "paper", "posted", "shapley", "free"])
def test_an_owners_profit_is_what_the_payout_leaves_it_but_for_the_fee(name, design):
    seats, round = with_seats(name, 3, 0, OWNERS)
    results = played(seats, round, DESIGNS[design](round, frozenset())).results
    everybody = known_table(round).buyers()
    rule = RULES[design](everybody)
    for index, seat in enumerate(seats):
        counted = profit(seat.owner.truth, index, everybody, rule)
        assert counted == results[seat.owner.number].profit + round.terms.fee


def test_every_lie_changes_what_it_says_and_nothing_else():
    table = known_table(market("everyday", 4, 0, OWNERS))
    everybody = table.buyers()
    truth = table.bid(2)
    named = dict.fromkeys(SAMPLE_FACTORS, "samples") | {"cost": "cost", "value": "value"}
    named["minReputation"] = "min_reputation"
    tried = list(lies(table, 2, everybody, RULES["market"](everybody)))
    assert {about for about, _ in tried} == set(named)
    for about, bid in tried:
        assert replace(bid, **{named[about]: getattr(truth, named[about])}) == truth
        assert table.lying(2, bid).bid(2) == bid


def test_no_lie_about_a_cost_pays_under_ours_and_one_does_under_the_papers():
    found = {"market": 0, "paper": 0}
    for name in ("everyday", "dear"):
        for seed in range(3):
            table = known_table(market(name, seed, 1, 8))
            everybody = table.buyers()
            for design in found:
                rule = RULES[design](everybody)
                for liar in range(3):
                    truth = table.bid(liar)
                    honest = profit(truth, liar, everybody, rule)
                    for about, bid in lies(table, liar, everybody, rule):
                        if about == "cost":
                            made = profit(truth, liar, table.lying(liar, bid).buyers(), rule)
                            found[design] = max(found[design], made - honest)
    assert found["market"] == 0 < TOKEN // 10 < found["paper"]


def test_welfare_is_counted_against_a_best_that_no_design_passes():
    for size in (replace(SMALL, rounds=1), Size("20 owners", 20, 1, 4, False)):
        for total in totals("everyday", size, 0).values():
            assert total.welfare <= total.known * (1 if size.exact else 1.05)
            assert total.welfare <= total.best * (1 + 1e-9) and total.known <= total.best * (1 + 1e-9)
