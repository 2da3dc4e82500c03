"""What is due for an account in a round follows from the chain and its own files alone."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_node.audit import Trail
from market_node.daemon.steps import AFTERMATH, FIRST, MOST_SPREAD, Me, Seen, Step, due, is_over
from market_node.phases import RoundState, phase_of
from market_node.records import SKETCH_SIZE, Bid, Model, Participant, Purchase, Reveal, Round, Settlement
from market_node.terms import last_second
from tests.unit.rounds import account, terms

AGGREGATOR, ALICE, BOB, CAROL = (account(index) for index in range(4))
TERMS = terms()
OPENED = TERMS.commit_deadline - 600
DRAWING = TERMS.commit_deadline + 10
SEED_TIME = TERMS.commit_deadline + 20
REVEALING, SETTLING = SEED_TIME + 10, SEED_TIME + TERMS.reveal_time + 10
SETTLED = SEED_TIME + TERMS.reveal_time + 100
CHALLENGING, PAYING = SETTLED + 10, SETTLED + TERMS.challenge_time + MOST_SPREAD
LATE = last_second(TERMS) + 3_600
"""So late that whatever is not settled is void, and everybody has had time for a turn."""

REVEAL = Reveal(Bid(1 << 20, 0, 100, 0), 2048, Model(bytes(32), bytes(32)), bytes(SKETCH_SIZE))
PEOPLE = tuple(Participant(each, 1 << 26) for each in (ALICE, BOB, CAROL))
ROUND = Round(1, AGGREGATOR, TERMS, participants=PEOPLE)
DRAWN = replace(ROUND, seed=bytes(32))
REVEALED = replace(DRAWN, participants=tuple(replace(each, reveal=REVEAL) for each in PEOPLE), reveal_order=(0, 1, 2))
BOUGHT = replace(REVEALED, settlement=Settlement(frozenset(), ((Purchase(1, 5),), (), ())))
"""Alice has bought from Bob."""

UNPAID = Trail()


def seen(round_: Round, trail: Trail = UNPAID, **changes: object) -> Seen:
    """The round with the contract's word on it, as far as the round has come."""
    state = RoundState(
        round_.aggregator,
        round_.terms,
        participants=len(round_.participants),
        revealed=len(round_.reveal_order),
        seed_block=0,
        seed_time=SEED_TIME if round_.seed is not None else 0,
        settle_time=SETTLED if round_.settlement is not None else 0,
        open_challenges=0,
        seed=round_.seed or bytes(32),
        reveals_hash=bytes(30),
        settlement=bytes(32),
    )
    return Seen(round_, replace(state, **changes), trail)


def participant(name: str = ALICE, **more: object) -> Me:
    return Me(name, ("participant",), **more)


def kinds(each: Seen, me: Me, now: int) -> list[str]:
    return [step.kind for step in due([each], me, now)]


# --- a participant ---


def test_a_round_that_the_policy_joins_is_trained_for_then_committed_to():
    open_ = seen(replace(ROUND, participants=()))
    assert kinds(open_, participant(), OPENED) == []
    assert kinds(open_, participant(joining={1}), OPENED) == ["train"]
    assert kinds(open_, participant(joining={1}, offers={1}), OPENED) == ["commit"]


def test_one_model_is_trained_at_a_time():
    assert kinds(seen(replace(ROUND, participants=())), participant(joining={1}, lesson=("train", 7)), OPENED) == []


def test_who_has_committed_does_not_commit_again():
    assert kinds(seen(ROUND), participant(joining={1}, offers={1}), OPENED) == []


def test_a_bid_is_revealed_once():
    assert kinds(seen(DRAWN), participant(), REVEALING) == ["reveal"]
    assert kinds(seen(REVEALED), participant(), REVEALING) == []


def test_a_seed_that_the_logs_do_not_show_yet_is_waited_for():
    assert kinds(seen(ROUND, seed_time=SEED_TIME), participant(), REVEALING) == []


def test_who_did_not_commit_has_nothing_to_do():
    for each, now in ((DRAWN, REVEALING), (REVEALED, SETTLING), (BOUGHT, CHALLENGING), (BOUGHT, PAYING)):
        assert kinds(seen(each), participant(account(7)), now) == []


def test_a_delivery_is_fetched_then_judged_then_rated():
    bought = seen(BOUGHT)
    assert kinds(bought, participant(), CHALLENGING) == ["fetch"]
    assert kinds(bought, participant(fetched={1}), CHALLENGING) == ["evaluate"]
    assert kinds(bought, participant(fetched={1}, lesson=("evaluate", 1)), CHALLENGING) == []
    assert kinds(bought, participant(fetched={1}, judged={1: 100}), CHALLENGING) == ["rate"]
    assert kinds(bought, participant(fetched={1}, judged={1: None}), CHALLENGING) == []


def test_a_delivery_that_cannot_be_used_is_rejected_once():
    assert kinds(seen(BOUGHT), participant(hopeless={1}), CHALLENGING) == ["reject"]
    rejected = replace(BOUGHT, participants=(replace(BOUGHT.participants[0], rejected=True), *BOUGHT.participants[1:]))
    assert kinds(seen(rejected), participant(hopeless={1}), CHALLENGING) == []


def test_a_delivery_is_rated_once():
    rated = replace(BOUGHT, participants=(replace(BOUGHT.participants[0], rating=100), *BOUGHT.participants[1:]))
    assert kinds(seen(rated), participant(fetched={1}, judged={1: 100}), CHALLENGING) == []


def test_who_bought_nothing_fetches_nothing():
    assert kinds(seen(BOUGHT), participant(BOB), CHALLENGING) == []


def test_a_model_that_was_paid_for_is_fetched_after_the_payout_too_but_not_for_ever():
    paid = seen(BOUGHT, Trail(paid=frozenset(range(3)), aggregator=1))
    assert kinds(paid, participant(), PAYING) == ["fetch"]
    assert not is_over(paid, participant(), PAYING)
    assert is_over(paid, participant(judged={1: None}), PAYING)
    assert is_over(paid, participant(), last_second(TERMS) + AFTERMATH + 1)


# --- the aggregator ---


def aggregator(**more: object) -> Me:
    return Me(AGGREGATOR, ("aggregator",), **more)


def test_the_aggregator_settles_its_own_round_and_no_other():
    assert kinds(seen(REVEALED), aggregator(), SETTLING) == ["settle"]
    assert kinds(seen(replace(REVEALED, aggregator=BOB)), aggregator(), SETTLING) == []


def test_a_round_is_opened_when_the_schedule_says_so():
    assert due([], aggregator(opens=True), OPENED) == (Step("open"),)


# --- anyone ---


def test_without_a_published_key_nothing_else_is_tried():
    me = participant(joining={1}, offers={1}, key_is_published=False)
    assert kinds(seen(replace(ROUND, participants=())), me, OPENED) == ["publish"]


def test_an_auditor_alone_publishes_no_key():
    assert due([], Me(CAROL, ("auditor",), key_is_published=False), OPENED) == ()


def test_the_aggregator_draws_and_pays_first_and_the_others_follow_one_by_one():
    deadline = TERMS.commit_deadline
    assert kinds(seen(ROUND), aggregator(), deadline) == ["draw"]
    turns = [
        next(later for later in range(MOST_SPREAD + 1) if kinds(seen(ROUND), participant(name), deadline + later))
        for name in (ALICE, BOB, CAROL)
    ]
    assert len(set(turns)) == 3
    paying = SETTLED + TERMS.challenge_time
    assert kinds(seen(BOUGHT), aggregator(), paying) == ["pay out"]
    assert "pay out" in kinds(seen(BOUGHT), participant(), paying + MOST_SPREAD)


def test_a_void_round_is_refunded_once():
    assert kinds(seen(ROUND), participant(), LATE) == ["refund"]
    gone = seen(ROUND, Trail(paid=frozenset(range(3)), aggregator=0, refunded=True))
    assert kinds(gone, participant(), LATE) == []
    assert is_over(gone, participant(), LATE)


def test_a_round_that_is_paid_is_not_paid_again():
    paid = Trail(paid=frozenset(range(3)), aggregator=1)
    assert kinds(seen(BOUGHT, paid), participant(BOB), PAYING) == []
    assert kinds(seen(BOUGHT, replace(paid, paid=frozenset((0, 1)))), participant(BOB), PAYING) == ["pay out"]


def test_others_rounds_are_let_go_once_commits_are_closed():
    stranger = participant(account(7))
    assert not is_over(seen(ROUND), stranger, OPENED)
    assert is_over(seen(ROUND), stranger, DRAWING)


def test_several_roles_in_one_account_do_the_steps_of_each():
    both = Me(AGGREGATOR, ("participant", "aggregator"))
    alices = replace(DRAWN, participants=(replace(PEOPLE[0], account=AGGREGATOR), *PEOPLE[1:]))
    assert kinds(seen(alices), both, REVEALING) == ["reveal"]


# --- the order ---


def test_what_is_too_late_first_is_done_first():
    urgent = seen(replace(DRAWN, number=2))
    patient = seen(replace(REVEALED, number=1, aggregator=ALICE))
    me = Me(ALICE, ("participant", "aggregator"), withdraws=True, opens=True)
    assert [step.kind for step in due([patient, urgent], me, REVEALING)] == ["reveal", "open", "withdraw"]


def test_every_kind_of_step_has_its_place_in_the_order():
    from market_node.daemon.deeds import _DO

    assert set(_DO) == set(FIRST)


ROUNDS = st.sampled_from([replace(ROUND, participants=()), ROUND, DRAWN, REVEALED, BOUGHT])
NUMBERS = st.sets(st.just(1))


@given(
    round_=ROUNDS,
    now=st.integers(OPENED, LATE + AFTERMATH),
    name=st.sampled_from([AGGREGATOR, ALICE, BOB, CAROL]),
    roles=st.sets(st.sampled_from(["participant", "aggregator", "auditor"])),
    joining=NUMBERS,
    offers=NUMBERS,
    fetched=NUMBERS,
    hopeless=NUMBERS,
    judged=st.dictionaries(st.just(1), st.sampled_from([None, 0, 100])),
)
def test_whatever_is_due_is_due_once_in_its_own_phase(
    round_, now, name, roles, joining, offers, fetched, hopeless, judged
):
    each = seen(round_)
    me = Me(name, roles, joining=joining, offers=offers, fetched=fetched, hopeless=hopeless, judged=judged)
    steps = due([each], me, now)
    assert len({step.key for step in steps}) == len(steps)
    phase = phase_of(each.state, now).name
    allowed = {
        "COMMIT": {"train", "commit"},
        "DRAW": {"draw"},
        "REVEAL": {"reveal"},
        "SETTLE": {"settle"},
        "CHALLENGE": {"defend", "fetch", "evaluate", "rate", "reject"},
        "REFUTE": {"defend", "fetch", "evaluate"},
        "PAYOUT": {"fetch", "evaluate", "pay out"},
        "VOID": {"refund"},
    }[phase]
    assert {step.kind for step in steps} <= allowed
    assert all(step.until is None or step.until > now for step in steps)
    assert steps == due([each], me, now)


@pytest.mark.parametrize("name", [AGGREGATOR, ALICE])
def test_once_a_round_is_over_nothing_is_due_in_it(name):
    paid = seen(BOUGHT, Trail(paid=frozenset(range(3)), aggregator=1))
    me = Me(name, ("participant", "aggregator"), judged={1: 100})
    assert is_over(paid, me, PAYING)
    assert due([paid], me, PAYING) == ()
