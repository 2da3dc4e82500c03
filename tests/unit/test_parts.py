"""What a credit is made of adds up to the credit, whatever came to pass in the round."""

from dataclasses import replace
from random import Random

import pytest
from rounds import random_exclusions, random_round

from market_node.parts import Why, payout_parts, refund_parts
from market_node.settlement import payout, refunds, settle

SEEN = set(Why) - {Why.FAULT}


def test_the_parts_of_a_payout_add_up_to_its_credits():
    rng, seen = Random(1), set()
    for _ in range(200):
        round_ = random_round(rng)
        if sum(each.reveal is not None for each in round_.participants) < 2:
            continue
        settlement = settle(round_, random_exclusions(rng, round_))
        round_ = replace(round_, settlement=settlement)
        for index, credit in enumerate(payout(round_, settlement).credits):
            parts = payout_parts(round_, settlement, index)
            assert sum(part.amount for part in parts) == credit
            seen |= {part.why for part in parts}
    assert seen == SEEN


@pytest.mark.parametrize("with_fault", [False, True])
def test_the_parts_of_a_refund_add_up_to_its_credits(with_fault):
    rng, seen = Random(2), set()
    for _ in range(200):
        round_ = random_round(rng)
        for index, credit in enumerate(refunds(round_, with_fault=with_fault).credits):
            parts = refund_parts(round_, index, with_fault=with_fault)
            assert sum(part.amount for part in parts) == credit
            seen |= {part.why for part in parts}
    assert (Why.FAULT if with_fault else Why.DEPOSIT) in seen
