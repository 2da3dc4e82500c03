"""Explanations: they add up to what is paid, and tell the same story as the settlement."""

from random import Random

import pytest

from market_node.explain import statement, verdicts
from market_node.settlement import payout, settle
from tests.unit.rounds import random_exclusions, random_round, spoilt

SEEDS = range(60)


def a_round(seed: int):
    rng = Random(seed)
    round_ = random_round(rng)
    excluded = random_exclusions(rng, round_)
    return rng, round_, settle(round_, excluded)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_lines_of_a_statement_add_up_to_the_credit(seed):
    _, round_, settlement = a_round(seed)
    credits = payout(round_, settlement).credits
    for index in range(len(credits)):
        assert sum(line.amount for line in statement(round_, settlement, index)) == credits[index]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_statement_adds_up_for_a_wrong_settlement_too(seed):
    rng, round_, settlement = a_round(seed)
    wrong = spoilt(rng, round_, settlement)
    credits = payout(round_, wrong).credits
    for index in range(len(credits)):
        assert sum(line.amount for line in statement(round_, wrong, index)) == credits[index]


@pytest.mark.parametrize("seed", SEEDS)
def test_who_has_a_price_in_the_story_is_who_stands_in_the_row(seed):
    _, round_, settlement = a_round(seed)
    for buyer, row in enumerate(settlement.rows):
        story = verdicts(round_, settlement, buyer)
        prices = {verdict.seller: verdict.price for verdict in story if verdict.price is not None}
        assert prices == {purchase.seller: purchase.price for purchase in row}
        order = {verdict.seller: verdict.reason for verdict in story if verdict.price is not None}
        for place, purchase in enumerate(row, 1):
            assert order[purchase.seller] == f"bought, number {place} by cost per sample"


@pytest.mark.parametrize("seed", SEEDS)
def test_everybody_who_is_not_bought_is_told_why(seed):
    _, round_, settlement = a_round(seed)
    for buyer in range(len(round_.participants)):
        for verdict in verdicts(round_, settlement, buyer):
            reveal = round_.participants[verdict.seller].reveal
            assert (verdict.reason == "did not reveal") == (reveal is None)
            assert (verdict.reason == "excluded") == (reveal is not None and verdict.seller in settlement.excluded)
            assert verdict.reason
