"""What a person reads about the clock. That the phases are the contract's is shown on a chain, in test_chain.py."""

import pytest

from market_node.phases import Phase, RoundState, explain, length, moment, phase_of, span
from tests.unit.rounds import terms

NOW = 1_700_000_000


def state(**changes) -> RoundState:
    """A round of three whose commits are closed."""
    fields = {
        "aggregator": "0x" + "11" * 20,
        "terms": terms(commit_deadline=NOW),
        "participants": 3,
        "revealed": 0,
        "seed_block": 0,
        "seed_time": 0,
        "settle_time": 0,
        "open_challenges": 0,
        "seed": bytes(32),
        "reveals_hash": bytes(30),
        "settlement": bytes(32),
    }
    return RoundState(**{**fields, **changes})


SETTLED = {"revealed": 3, "seed_time": NOW + 10, "settle_time": NOW + 5000}
CHALLENGED = NOW + 5000 + state().terms.challenge_time
REFUTED = CHALLENGED + state().terms.refute_time


@pytest.mark.parametrize(
    ("changes", "now", "phase"),
    [
        ({}, NOW - 1, Phase.COMMIT),
        ({}, NOW, Phase.DRAW),
        ({"participants": 1}, NOW, Phase.VOID),
        ({"seed_time": NOW + 10}, NOW + 3609, Phase.REVEAL),
        ({"seed_time": NOW + 10, "revealed": 1}, NOW + 3610, Phase.VOID),
        ({"seed_time": NOW + 10, "revealed": 2}, NOW + 3610, Phase.SETTLE),
        (SETTLED, CHALLENGED - 1, Phase.CHALLENGE),
        (SETTLED, CHALLENGED, Phase.PAYOUT),
        ({**SETTLED, "open_challenges": 1}, CHALLENGED, Phase.REFUTE),
        ({**SETTLED, "open_challenges": 1}, REFUTED - 1, Phase.REFUTE),
        ({**SETTLED, "open_challenges": 1}, REFUTED, Phase.VOID),
    ],
)
def test_the_clock_and_the_fields_give_the_phase(changes, now, phase):
    assert phase_of(state(**changes), now) == phase


def test_an_early_seed_ends_the_draw_and_an_early_settlement_the_settle_phase():
    early = state(**SETTLED)
    assert span(early, Phase.DRAW) == (NOW, NOW + 10)
    assert span(early, Phase.SETTLE) == (NOW + 10 + early.terms.reveal_time, NOW + 5000)
    assert span(early, Phase.CHALLENGE)[0] == NOW + 5000


@pytest.mark.parametrize(
    ("changes", "now", "needed", "text"),
    [
        ({}, NOW - 90, Phase.DRAW, "is in Commit until {start} (in 90 s); Draw starts {start} (in 90 s)"),
        ({}, NOW - 90, Phase.PAYOUT, "Payout starts when the challenge phase ends without an open challenge"),
        ({}, NOW + 300, Phase.COMMIT, "Commit ended {start} (5 min ago)"),
        ({}, NOW + 10**6, Phase.REVEAL, "is in Void; Reveal is over"),
        (SETTLED, CHALLENGED + 5, Phase.VOID, "is in Payout; Void will not come"),
        (SETTLED, CHALLENGED - 5, Phase.REFUTE, "Refute starts when a challenge is open at the end"),
    ],
)
def test_why_a_step_must_wait_or_comes_too_late(changes, now, needed, text):
    said = explain(7, state(**changes), now, needed)
    assert said.startswith("round 7 is in ") and "\n" not in said
    assert text.format(start="2023-11-14 22:13:20 UTC") in said


def test_times_are_written_for_people():
    assert [length(seconds) for seconds in (0, 119, 120, 7199, 7200, 172_799, 172_800)] == [
        "0 s",
        "119 s",
        "2 min",
        "119 min",
        "2 h",
        "47 h",
        "2 days",
    ]
    assert moment(NOW + 60, NOW) == "2023-11-14 22:14:20 UTC (in 60 s)"
    assert moment(NOW, NOW) == "2023-11-14 22:13:20 UTC (0 s ago)"
