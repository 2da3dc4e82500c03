"""An auditor by itself: what is wrong is challenged once, and what is false is refuted."""

from dataclasses import replace

import pytest

from market_node.auditor import Auditor
from market_node.chain import Chain, Phase
from market_node.errors import BadInput, WrongPhase
from market_node.judge import proof
from market_node.records import Purchase
from market_node.settlement import settle
from tests.integration.desk import BOND, CHALLENGE_BOND, dearer, money_findings
from tests.integration.stage import BID

# --- a wrong settlement ---


def test_a_wrong_settlement_is_found_challenged_voided_and_refunded(stage, desk, actors):
    stage.settle_as(dearer)
    before = actors.erin.available(actors.erin.account)
    said = desk.step()
    assert said[0] == f"round {stage.number}: 1 wrong rows, of participants 1"
    assert said[1].startswith(f"round {stage.number}: challenging the row of participant 1: transaction 0x")
    assert actors.erin.available(actors.erin.account) == before - CHALLENGE_BOND
    assert desk.step() == []

    stage.end()
    assert actors.erin.phase(stage.number) == Phase.REFUTE
    assert desk.step() == []
    stage.end()
    assert actors.erin.phase(stage.number) == Phase.VOID
    assert len(desk.step()) == 2
    assert actors.erin.available(actors.erin.account) == before + BOND // 4
    assert money_findings(stage) == []
    actors.dave.refund(stage.number, 0, 3)
    assert money_findings(stage) == []
    assert actors.dave.pot(stage.number) == 0
    assert desk.step() == []
    assert desk.actions(stage.number) == [("challenging", 1, "done"), ("refunding", 0, "done")]


def test_a_round_whose_bond_is_not_worth_the_gas_is_left_alone(stage, desk, actors):
    stage.settle_as(dearer)
    picky = Auditor(actors.erin, desk.folder, least_bond=BOND + 1)
    assert picky.step().said == ()
    assert Auditor(actors.erin, desk.folder, least_bond=BOND).step().said != ()


def test_the_report_says_what_is_wrong_and_what_was_done(stage, desk, actors):
    stage.settle_as(dearer)
    desk.step()
    report = desk.report(stage.number)
    right, wrong = settle(stage.seen(), frozenset()).rows[1][0], stage.seen().settlement.rows[1][0]
    assert wrong.price == right.price + 1
    assert (report["round"], report["verdict"], report["phase"]) == (stage.number, "wrong", "Challenge")
    assert (report["chain_id"], report["market"]) == (actors.erin.chain_id, actors.erin.market)
    assert report["settlement"] == actors.erin.state(stage.number).settlement.hex()
    (row,) = report["wrong"]
    assert (row["buyer"], row["account"]) == (1, actors.bob.account)
    assert row["expected"][0] == {"seller": right.seller, "price": str(right.price)}
    assert row["posted"][0] == {"seller": wrong.seller, "price": str(wrong.price)}
    (challenge,) = report["challenges"]
    assert (challenge["challenger"], challenge["buyer"], challenge["refuter"]) == (actors.erin.account, 1, None)
    (action,) = report["actions"]
    assert actors.erin.gas(action["transaction"]) > 0


def test_a_right_settlement_is_left_alone(stage, desk, actors):
    stage.settle()
    before = actors.erin.available(actors.erin.account)
    assert desk.step() == [f"round {stage.number}: every row is right"]
    assert desk.step() == []
    assert actors.erin.available(actors.erin.account) == before
    assert desk.report(stage.number)["verdict"] == "right"


def test_where_a_true_challenge_stands_another_is_not_needed(stage, desk, actors):
    stage.settle_as(dearer)
    actors.dave.challenge(stage.number, proof(stage.seen(), 1))
    desk.step()
    assert desk.actions(stage.number) == []
    assert len(stage.seen().challenges) == 1


def test_a_false_challenge_does_not_keep_a_wrong_row_from_being_challenged(stage, desk, actors):
    """Else an aggregator would cover its own wrong row with a challenge that it can refute."""
    stage.settle_as(dearer)
    stage.lie(actors.dave, buyer=1)
    desk.step()
    assert desk.actions(stage.number) == [("challenging", 1, "done"), ("refuting", 0, "done")]


def test_a_row_for_somebody_who_buys_nothing_is_challenged(opened, desk):
    """All are pure sellers, and the aggregator lets the third pay all the same."""
    opened.bid = replace(BID, value=0)
    stage = opened.commit().draw().reveal()
    stage.settle_as(lambda rows: (*rows[:2], (Purchase(0, 1),)))
    desk.step()
    assert desk.actions(stage.number) == [("challenging", 2, "done")]
    assert stage.seen().challenges[0].claim.listed == ()


def test_a_row_for_somebody_who_is_excluded_is_left_alone(stage, desk):
    """It counts as empty, and the contract takes no challenge of it."""
    stage.settle_as(lambda rows: (rows[0], (Purchase(0, 1),), rows[2]), excluded=frozenset({1}))
    desk.step()
    assert desk.report(stage.number)["verdict"] == "right"
    assert desk.actions(stage.number) == []


def test_who_cannot_cover_the_bond_is_told_so_once_and_challenges_when_it_can(stage, desk, actors):
    stage.settle_as(dearer)
    everything = actors.erin.available(actors.erin.account)
    actors.erin.withdraw(everything - CHALLENGE_BOND + 1)
    try:
        (line,) = desk.auditor.step().failed
        assert (
            f"a challenge locks {CHALLENGE_BOND} base units and {CHALLENGE_BOND - 1} base units are available" in line
        )
        assert desk.step() == []
        assert desk.actions(stage.number) == []
        actors.erin.fund(1)
        desk.step()
        assert desk.actions(stage.number) == [("challenging", 1, "done")]
    finally:
        actors.erin.fund(everything - CHALLENGE_BOND)


def test_a_wrong_row_is_seen_too_late_to_challenge_and_still_reported(stage, desk, actors):
    stage.settle_as(dearer)
    stage.lie(actors.dave)
    stage.end()
    desk.step()
    assert desk.report(stage.number)["verdict"] == "wrong"
    assert desk.actions(stage.number) == [("refuting", 0, "done")]


# --- false challenges ---


@pytest.mark.parametrize("late", [False, True], ids=["in Challenge", "in Refute"])
def test_a_false_challenge_is_refuted_for_its_bond(stage, desk, actors, late):
    stage.settle()
    stage.lie(actors.dave)
    if late:
        stage.end()
    before = actors.erin.available(actors.erin.account)
    desk.step()
    assert actors.erin.available(actors.erin.account) == before + CHALLENGE_BOND
    assert desk.actions(stage.number) == [("refuting", 0, "done")]
    assert desk.report(stage.number)["challenges"][0]["refuter"] == actors.erin.account
    if not late:
        stage.end()
    assert actors.erin.phase(stage.number) == Phase.PAYOUT
    actors.operator.pay_out(stage.number, *stage.posted, 0, 3)
    assert money_findings(stage) == []


def test_many_false_challenges_are_all_refuted(stage, desk, actors):
    stage.settle()
    for buyer in (0, 1, 2, 0):
        stage.lie(actors.dave, buyer)
    desk.step()
    assert {each.refuter for each in stage.seen().challenges} == {actors.erin.account}


def test_somebody_faster_is_no_error(stage, desk, actors, monkeypatch):
    stage.settle()
    stage.lie(actors.dave)
    mine = desk.chain.refute

    def overtaken(number, challenge, refutation):
        actors.bob.refute(number, challenge, refutation)
        return mine(number, challenge, refutation)

    monkeypatch.setattr(desk.chain, "refute", overtaken)
    assert desk.step()[-1] == f"round {stage.number}: refuting challenge 0: somebody was faster"
    assert desk.actions(stage.number) == [("refuting", 0, "somebody was faster")]
    assert desk.report(stage.number)["challenges"][0]["refuter"] == actors.bob.account
    assert desk.step() == []


def test_a_refund_that_somebody_else_fetched_is_no_error(stage, desk, actors, monkeypatch):
    stage.settle_as(dearer)
    desk.step()
    stage.end().end()
    mine = desk.chain.refund_challenge

    def overtaken(number, challenge):
        actors.bob.refund_challenge(number, challenge)
        return mine(number, challenge)

    monkeypatch.setattr(desk.chain, "refund_challenge", overtaken)
    desk.step()
    assert desk.actions(stage.number)[-1] == ("refunding", 0, "somebody was faster")
    assert money_findings(stage) == []


# --- one challenge, asked for ---


def test_a_challenge_that_is_asked_for_needs_a_wrong_row_and_the_right_phase(stage, desk, actors):
    with pytest.raises(WrongPhase, match="Challenge starts"):
        desk.auditor.challenge(stage.number)
    stage.settle()
    with pytest.raises(BadInput, match="every row is right"):
        desk.auditor.challenge(stage.number)


def test_a_challenge_that_is_asked_for_is_made_once(stage, desk):
    stage.settle_as(dearer)
    assert desk.auditor.challenge(stage.number).outcome == "done"
    with pytest.raises(BadInput, match="a true challenge stands already"):
        desk.auditor.challenge(stage.number)


def test_an_auditor_needs_an_account(actors, tmp_path):
    with pytest.raises(BadInput, match="needs an account"):
        Auditor(Chain(actors.devnet.provider, actors.deployment.market), tmp_path)
