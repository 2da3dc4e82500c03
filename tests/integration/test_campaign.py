"""A tenth of `make campaign`: every wrong settlement is voided by one challenge, and no right one can be hurt."""

import pytest

pytest.importorskip("pyrevm", reason="the EVM that the campaign runs in; pip install pyrevm")

from tests.campaign import FALSEHOODS, MUTATIONS, Campaign, Tally

TRIED = 200


@pytest.fixture(scope="module")
def tally() -> Tally:
    return Campaign("ci").run(TRIED, TRIED)


def test_every_mutant_is_voided_by_one_challenge(tally):
    assert tally.survived.total() == 0
    assert tally.voided.total() >= TRIED


def test_no_false_challenge_hurts_a_right_settlement(tally):
    assert tally.hurt.total() == 0
    assert tally.reverted.total() + tally.refuted.total() >= TRIED


def test_every_kind_was_tried(tally):
    assert {each.__name__ for each in MUTATIONS} == set(tally.voided)
    assert {each.__name__ for each in FALSEHOODS} == set(tally.reverted) | set(tally.refuted)


def test_false_challenges_fail_in_both_ways(tally):
    """Most do not even open; those that do must need a refuter, else refuting was not tried."""
    assert tally.refuted.total() >= TRIED // 10
    assert len(tally.reasons) >= 5
