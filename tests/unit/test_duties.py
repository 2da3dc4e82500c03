"""What an honest auditor does follows from the chain alone."""

from dataclasses import replace
from random import Random

import pytest
from rounds import account, random_round

from market_node.codec import settlement_word
from market_node.duties import duties, outcome
from market_node.errors import BadInput, ConfigError
from market_node.judge import claim
from market_node.phases import Phase
from market_node.records import Challenge, Claim, Purchase, Round
from market_node.reports import DONE, OVERTAKEN, Action, Report, Reports, WrongRow
from market_node.settlement import settle

ERIN, DAVE, MALLORY = (account(60 + index) for index in range(3))
"""Erin audits, Dave does too, Mallory lies."""


@pytest.fixture(scope="module")
def settled() -> Round:
    """A round in which participant 0 has somebody to buy from."""
    rng = Random(0)
    while True:
        round_ = random_round(rng, 6)
        round_ = replace(round_, settlement=settle(round_, frozenset()))
        if round_.participants[0].reveal and round_.settlement.rows[0]:
            return round_


def lie(by: str = MALLORY, **changes) -> Challenge:
    return Challenge(by, Claim(0, (), 0), **changes)


def truth(round_: Round, by: str = DAVE, **changes) -> Challenge:
    return Challenge(by, claim(round_, 0), **changes)


def due(round_: Round, phase: Phase, *challenges: Challenge, wrong: tuple[int, ...] = ()) -> list[tuple[str, int]]:
    found = duties(replace(round_, challenges=challenges), phase, wrong, ERIN)
    return [(duty.doing, duty.of) for duty in found]


def test_a_right_round_without_challenges_leaves_nothing_to_do(settled):
    assert not any(due(settled, phase) for phase in Phase)


def test_the_first_wrong_row_is_challenged_in_its_phase_alone(settled):
    assert due(settled, Phase.CHALLENGE, wrong=(0, 3)) == [("challenging", 0)]
    assert not any(due(settled, phase, wrong=(0, 3)) for phase in Phase if phase != Phase.CHALLENGE)


def test_one_true_challenge_is_enough_and_a_false_or_refuted_one_is_none(settled):
    assert due(settled, Phase.CHALLENGE, truth(settled), wrong=(0,)) == []
    assert due(settled, Phase.CHALLENGE, lie(), wrong=(0,)) == [("challenging", 0), ("refuting", 0)]
    assert due(settled, Phase.CHALLENGE, lie(refuter=DAVE), wrong=(0,)) == [("challenging", 0)]


@pytest.mark.parametrize("phase", [Phase.CHALLENGE, Phase.REFUTE])
def test_every_open_false_challenge_is_refuted(settled, phase):
    seen = due(settled, phase, lie(), lie(refuter=DAVE), truth(settled), lie())
    assert seen == [("refuting", 0), ("refuting", 3)]


@pytest.mark.parametrize("phase", [Phase.SETTLE, Phase.PAYOUT, Phase.VOID])
def test_nothing_is_refuted_when_it_is_too_late(settled, phase):
    assert due(settled, phase, lie()) == []


def test_only_what_is_one_s_own_is_fetched_and_once(settled):
    challenges = (truth(settled), truth(settled, ERIN), truth(settled, ERIN, refunded=1), lie(ERIN, refuter=DAVE))
    assert due(settled, Phase.VOID, *challenges) == [("refunding", 1)]


# --- what came of it ---


@pytest.mark.parametrize(
    ("doing", "of", "challenge", "expected"),
    [
        ("challenging", 0, lie(ERIN), DONE),
        ("challenging", 0, lie(DAVE), None),
        ("challenging", 1, lie(ERIN), None),
        ("refuting", 0, lie(refuter=ERIN), DONE),
        ("refuting", 0, lie(refuter=DAVE), OVERTAKEN),
        ("refuting", 0, lie(), None),
        ("refuting", 5, lie(), None),
        ("refunding", 0, lie(ERIN, refunded=1), DONE),
        ("refunding", 0, lie(ERIN), None),
    ],
)
def test_an_action_of_unknown_outcome_gets_the_chain_s(settled, doing, of, challenge, expected):
    round_ = replace(settled, challenges=(challenge,))
    assert outcome(round_, Action(doing, of, nonce=7), ERIN).outcome == expected
    assert outcome(round_, Action(doing, of, nonce=7, outcome="refused"), ERIN).outcome == "refused"


# --- reports ---


def report(*actions: Action) -> Report:
    wrong = WrongRow(2, ERIN, (Purchase(1, 2**90),), ())
    return Report(7, settlement_word((0,), bytes(32)), "Challenge", (wrong,), actions=actions)


def reports(folder, market: str = "0xmarket") -> Reports:
    return Reports(folder, 31337, b"\1" * 32, market)


def test_actions_are_read_back_as_they_were_written(tmp_path):
    done = (Action("challenging", 2, 5, DONE, "0x1"), Action("refuting", 0, 6), Action("refuting", 1, 7, "refused"))
    reports(tmp_path).write(report(*done))
    assert reports(tmp_path).actions(7) == done
    assert reports(tmp_path).actions(8) == ()


def test_a_report_keeps_amounts_that_no_json_reader_rounds(tmp_path):
    assert report().document()["wrong"][0]["expected"] == [{"seller": 1, "price": str(2**90)}]


def test_a_new_attempt_replaces_one_that_came_to_nothing_and_no_other():
    tried = report(Action("refuting", 0, 5, "refused"), Action("refuting", 1, 6, DONE))
    again = Action("refuting", 0, 7)
    assert tried.with_action(again).actions == (again, tried.actions[1])
    assert tried.with_action(Action("refuting", 1, 8)).actions == (*tried.actions, Action("refuting", 1, 8))


def test_another_market_s_report_is_refused_and_a_damaged_one_too(tmp_path):
    reports(tmp_path).write(report())
    with pytest.raises(ConfigError, match="another market"):
        reports(tmp_path, "0xother").actions(7)
    path = reports(tmp_path).path(7)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(BadInput, match="is damaged"):
        reports(tmp_path).actions(7)


@pytest.mark.parametrize("bad", [{"doing": 1}, {"of": "0"}, {"nonce": None}, {"outcome": 3}, {"more": 1}])
def test_a_report_with_an_action_that_is_none_is_damaged(tmp_path, bad):
    from market_node.canonical import canonical, read_canonical

    reports(tmp_path).write(report(Action("refuting", 0, 6)))
    path = reports(tmp_path).path(7)
    content = read_canonical(path.read_bytes())
    content["actions"][0] |= bad
    path.write_bytes(canonical(content))
    with pytest.raises(BadInput, match="is damaged"):
        reports(tmp_path).actions(7)
