"""What a node joins and opens by itself follows from its policy, and each no has a plain reason."""

import re
import tomllib
from dataclasses import fields, replace
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_node.amounts import Money, parse_fraction
from market_node.decisions import Book, Join, Refuse, Standing, decide, rejections, schedule
from market_node.errors import ConfigError
from market_node.policy import TABLES, Opening, Participation, Policy, read_policy
from market_node.recommended import PARTS, RECOMMENDED, TYPICAL_SAMPLES, TYPICAL_VALUE, recommended, size_for
from market_node.records import LEAST_VALUE, NOT_SELLING, ONE, Participant, Round
from market_node.settlement import settle
from market_node.terms import (
    MOST_PARTICIPANTS,
    MOST_PURCHASES,
    MOST_SELLERS,
    choose_deposit,
    deposit_needed,
    deposit_range,
    exposure,
)
from tests.unit.rounds import account, random_round, terms

MONEY = Money("TEST", 18)
TOKEN = 10**18
TASK = bytes(range(32))
ALICE, MALLORY = account(0), account(9)
LEAST = {"training": "mine:Training", "tasks": [TASK.hex()], "samples": 300, "value": "50"}
NOW = terms().commit_deadline - 600


def participant(**more: object) -> Participation:
    read = read_policy({"participant": {**LEAST, **more}}, MONEY).participant
    assert read is not None
    return read


def policy(**changes: object) -> Participation:
    """A plain subscription to the rounds of `a_round`."""
    plain = Participation(training="mine:Training", tasks=(TASK,), samples=300, value=LEAST_VALUE, cost=5)
    return replace(plain, **changes)


def a_round(**changes: object) -> Round:
    return Round(1, ALICE, terms(**changes))


RICH = Standing(available=1 << 80)


# --- the file ---


def test_the_least_that_a_participant_writes_is_what_it_trains_with_for_which_task_and_what_it_bids():
    read = participant()
    assert (read.tasks, read.samples, read.value, read.cost) == ((TASK,), 300, 50 * TOKEN, NOT_SELLING)
    assert (read.budget, read.aggregators, read.train_time, read.isolate) == (None, (), 60, True)


def test_amounts_are_tokens_times_are_words_and_shares_are_fractions():
    read = participant(cost="0.1", budget=20, train_time="1h30m", least_bond_share=0.5, min_reputation="0.25")
    assert (read.cost, read.budget, read.train_time) == (TOKEN // 10, 20 * TOKEN, 5_400)
    assert (read.least_bond_share, read.min_reputation) == (ONE // 2, ONE // 4)


def test_an_auditor_needs_no_more_than_the_name_of_its_table():
    assert read_policy({"auditor": {}}, MONEY) == Policy(auditor=TABLES["auditor"]())


def test_several_roles_are_taken_at_once():
    opening = {"task": TASK.hex(), "reveal_bond": "10", "commit": "2h"}
    read = read_policy({"participant": LEAST, "aggregator": opening, "auditor": {}, "run": {"interval": 1}}, MONEY)
    assert read.participant and read.aggregator and read.auditor
    assert (read.aggregator.commit, read.aggregator.reveal_bond, read.run.interval) == (7_200, 10 * TOKEN, 1.0)


@pytest.mark.parametrize("table", TABLES)
def test_an_unknown_key_is_refused_in_one_line_that_names_table_and_key(table):
    least = {"participant": LEAST, "aggregator": {"task": TASK.hex(), "reveal_bond": "1"}}.get(table, {})
    with pytest.raises(ConfigError) as refusal:
        read_policy({"auditor": {}, table: {**least, "valeu": "5"}}, MONEY)
    assert str(refusal.value).startswith(f"[{table}] has an unknown key 'valeu'; known are ")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("key", ["training", "tasks", "samples"])
def test_what_a_participant_must_say_is_asked_for_by_name(key):
    with pytest.raises(ConfigError, match=rf"\[participant\] lacks '{key}'"):
        read_policy({"participant": {name: each for name, each in LEAST.items() if name != key}}, MONEY)


@pytest.mark.parametrize(
    ("key", "value", "complaint"),
    [
        ("value", 0.1, "must be tokens in quotes"),
        ("value", "a lot", "is not an amount"),
        ("value", "0.0000000000000000001", "has more decimals than TEST"),
        ("value", True, "must be tokens in quotes"),
        ("value", "0.000000000000000001", "a value of 1 does not fit"),
        ("samples", 0, "'samples' is below 1"),
        ("samples", 2.5, "must be a whole number"),
        ("tasks", TASK.hex(), "must be a list"),
        ("tasks", ["digits"], "is no file, no digest"),
        ("aggregators", ["0x12"], "'0x12' is not an address"),
        ("min_reputation", 1.5, "is not a share"),
        ("train_time", "soon", "is not a duration"),
        ("isolate", "yes", "must be true or false"),
        ("most_rejections", -1, "'most_rejections' is below 0"),
        ("training", 7, "must be text"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_by_key(key, value, complaint):
    with pytest.raises(ConfigError, match=complaint) as refusal:
        participant(**{key: value})
    assert "[participant]" in str(refusal.value)


@pytest.mark.parametrize(
    ("tables", "complaint"),
    [
        ({}, "no role is taken"),
        ({"auditor": 1}, r"\[auditor\] is a table"),
        ({"participant": {**LEAST, "value": "0"}}, "neither buys nor sells"),
        ({"participant": {**LEAST, "withdraw_above": "5", "keep": "6"}}, "'keep' is above"),
        ({"auditor": {}, "run": {"interval": 0}}, "not above 0 seconds"),
        ({"auditor": {}, "run": {"listen": "9464"}}, "is host:port"),
        ({"aggregator": {"task": TASK.hex(), "reveal_bond": "0"}}, "must be above 0"),
        ({"aggregator": {"task": TASK.hex(), "reveal_bond": "1", "bond": "15"}}, "at least 16 reveal bonds"),
        ({"aggregator": {"task": TASK.hex(), "reveal_bond": "1", "floor": 1}}, "must be below 1"),
        ({"aggregator": {"task": TASK.hex(), "reveal_bond": "1", "device": "tpu"}}, "'device' is"),
        ({"aggregator": {"task": TASK.hex(), "reveal_bond": "1", "max_sellers": 300}}, "must be 8192 at most"),
    ],
)
def test_what_cannot_work_together_is_refused(tables, complaint):
    with pytest.raises(ConfigError, match=complaint):
        read_policy(tables, MONEY)


def test_every_field_says_how_it_is_written():
    for table in TABLES.values():
        for each in fields(table):
            assert "kind" in each.metadata, f"{table.__name__}.{each.name}"


def test_no_field_takes_a_secret():
    """A policy is copied, shown and logged; passwords stand in files that the configuration names."""
    names = {each.name for table in TABLES.values() for each in fields(table)}
    assert not {name for name in names if any(word in name for word in ("password", "key", "secret", "seed"))}


# --- the guide ---

GUIDE = (Path(__file__).parent.parent.parent / "docs" / "running.md").read_text(encoding="utf-8")


def test_the_guides_policies_are_policies():
    found = re.findall(r"<!-- policy -->\n```toml\n(.*?)```\n<!-- /policy -->", GUIDE, flags=re.S)
    tables = tomllib.loads("\n".join(found).replace('"TASK"', f'"{TASK.hex()}"'))
    read = read_policy(tables, MONEY)
    assert len(found) == 3
    assert read.participant and read.aggregator and read.auditor


def test_the_guide_names_every_key():
    missing = [each.name for table in TABLES.values() for each in fields(table) if f"`{each.name}`" not in GUIDE]
    shown = re.findall(r"^(\w+) = ", GUIDE, flags=re.M)
    assert set(missing) <= {*shown, "draw", "reveal", "settle", "challenge", "refute", "listen"}


# --- what a participant joins ---


def reason(policy: Participation, round_: Round, standing: Standing = RICH, now: int = NOW) -> str:
    decision = decide(policy, round_, standing, now)
    assert isinstance(decision, Refuse), decision
    return decision.reason


def test_a_round_that_fits_is_joined_with_the_bid_of_the_policy_and_the_highest_deposit():
    decision = decide(policy(), a_round(), RICH, NOW)
    assert isinstance(decision, Join)
    assert (decision.bid.value, decision.bid.cost, decision.bid.samples) == (LEAST_VALUE, 5, 300)
    assert decision.deposit == deposit_range(terms())[1]


def others(count: int) -> tuple[Participant, ...]:
    return tuple(Participant(account(index), 16 << 24) for index in range(count))


@pytest.mark.parametrize(
    ("changes", "round_", "standing", "why"),
    [
        ({"tasks": (bytes(32),)}, a_round(), RICH, "its task is not subscribed to"),
        ({"aggregators": (MALLORY,)}, a_round(), RICH, f"its aggregator {ALICE} is not on the list"),
        ({"refused_aggregators": (ALICE,)}, a_round(), RICH, f"its aggregator {ALICE} is refused"),
        (
            {"most_rejections": 1},
            a_round(),
            replace(RICH, rejections={ALICE: 2}),
            "its aggregator has 2 rejected deliveries, and 1 are tolerated",
        ),
        ({}, replace(a_round(max_participants=2), participants=others(2)), RICH, "it is full"),
        ({"train_time": 601}, a_round(), RICH, "its commits close in 600 s, and fetching and training take 601 s"),
        ({"shortest_phase": 61}, a_round(reveal_time=60), RICH, "one of its phases takes 60 s, less than 61 s"),
        ({"longest_lock": 18_599}, a_round(), RICH, "it may lock money for 18600 s, longer than 18599 s"),
        ({"highest_fee": 9}, a_round(), RICH, "its fee of 10 base units is above 9 base units"),
        ({"highest_deposit": 1 << 24}, a_round(), RICH, "it needs a deposit of"),
        ({"budget_per_round": 1 << 20}, a_round(), RICH, "and the budget of a round is 1048576 base units"),
        ({"budget": 3 << 20}, a_round(), replace(RICH, spent=1 << 20, at_risk=1 << 20), "are spent or at risk"),
        ({"stop_after_rounds": 3}, a_round(), replace(RICH, joined=3), "3 rounds were joined"),
        ({"stop_at_loss": 0.5}, a_round(), replace(RICH, loss=0.4), "loss is 0.4, and the policy stops at 0.5"),
        ({"least_bond_share": ONE}, replace(a_round(bond=1 << 28), participants=others(2)), RICH, "its bond of"),
        ({"value": 1 << 40}, a_round(), RICH, "the value needs a deposit of"),
        ({}, a_round(), Standing(available=1 << 20), "fund the account"),
    ],
)
def test_each_refusal_has_one_plain_reason(changes, round_, standing, why):
    said = reason(policy(**changes), round_, standing)
    assert why in said
    assert "\n" not in said


def test_where_the_model_is_trained_already_a_late_commit_is_no_reason_to_stay_away():
    late = terms().commit_deadline - 5
    assert "commits close in 5 s" in reason(policy(), a_round(), now=late)
    assert isinstance(decide(policy(), a_round(), replace(RICH, trained=True), late), Join)


def test_a_budget_counts_what_rounds_have_earned():
    tight = policy(budget=2 << 20)
    assert isinstance(decide(tight, a_round(), replace(RICH, spent=-(1 << 20), at_risk=1 << 20), NOW), Join)
    assert "the budget is" in reason(tight, a_round(), replace(RICH, at_risk=1 << 20))


amounts = st.integers(0, 1 << 40)


@given(
    value=st.sampled_from([0, LEAST_VALUE, 1 << 26, 1 << 30]),
    fee=st.integers(0, 1 << 26),
    reveal_bond=st.integers(1 << 16, 1 << 28),
    bond=st.integers(0, 1 << 36),
    available=amounts,
    spent=st.integers(-(1 << 34), 1 << 34),
    at_risk=amounts,
    highest_fee=st.none() | amounts,
    highest_deposit=st.none() | amounts,
    budget_per_round=st.none() | amounts,
    budget=st.none() | amounts,
    share=st.integers(0, ONE),
    early=st.integers(0, 7_200),
    train_time=st.integers(0, 7_200),
)
def test_whatever_is_joined_keeps_every_limit_of_the_policy(
    value, fee, reveal_bond, bond, available, spent, at_risk, highest_fee, highest_deposit, budget_per_round, budget,
    share, early, train_time,
):  # fmt: skip
    followed = policy(
        value=value, highest_fee=highest_fee, highest_deposit=highest_deposit, budget_per_round=budget_per_round,
        budget=budget, least_bond_share=share, train_time=train_time,
    )  # fmt: skip
    offered = replace(a_round(fee=fee, reveal_bond=reveal_bond, bond=bond), participants=others(1))
    decision = decide(followed, offered, Standing(available, spent, at_risk), offered.terms.commit_deadline - early)
    if isinstance(decision, Refuse):
        assert decision.reason
        return
    cost = exposure(offered.terms, decision.bid, decision.deposit).honest
    assert decision.deposit == choose_deposit(offered.terms, decision.bid, available, decision.deposit)
    assert highest_fee is None or fee <= highest_fee
    assert highest_deposit is None or decision.deposit <= highest_deposit
    assert budget_per_round is None or cost <= budget_per_round
    assert budget is None or spent + at_risk + cost <= budget
    assert bond * ONE >= share * (decision.deposit + offered.participants[0].deposit)
    assert early >= train_time


@given(available=amounts)
def test_without_limits_a_round_is_joined_exactly_when_the_balance_covers_its_deposit(available):
    decision = decide(policy(), a_round(), Standing(available), NOW)
    needed = deposit_needed(terms(), decide(policy(), a_round(), RICH, NOW).bid)
    assert isinstance(decision, Join) == (available >= needed)


# --- what an aggregator opens ---


def opening(**more: object) -> Opening:
    read = read_policy({"aggregator": {"task": TASK.hex(), **more}}, MONEY).aggregator
    assert read is not None
    return read


def test_what_an_aggregator_leaves_out_is_what_is_recommended():
    small, read = RECOMMENDED["small"], opening()
    assert read.fee == small.fee * TYPICAL_VALUE * TOKEN // PARTS
    assert read.reveal_bond == small.reveal_bond * TYPICAL_VALUE * TOKEN // PARTS
    assert read.max_samples == small.believed * TYPICAL_SAMPLES
    assert (read.max_sellers, read.max_participants) == (small.max_sellers, small.max_participants)
    assert read.floor == parse_fraction("0.2", "floor")


def test_amounts_follow_the_typical_value_and_the_limit_the_typical_samples():
    plain, large = opening(), opening(typical_value="0.003", typical_samples=5 * TYPICAL_SAMPLES)
    assert large.fee * 100_000 == plain.fee * 3
    assert large.max_samples == 5 * plain.max_samples


def test_what_an_aggregator_says_wins():
    read = opening(fee="7", max_samples=3, max_participants=300)
    assert (read.fee, read.max_samples, read.max_participants) == (7 * TOKEN, 3, 300)


def test_so_many_participants_make_a_market_of_their_size():
    assert size_for(2) == "small"
    assert size_for(33) == "middle"
    assert size_for(1_024) == "large"
    assert recommended(None, 300) is RECOMMENDED["large"]
    assert recommended("small", 300) is RECOMMENDED["small"]


def test_a_size_that_there_is_not_is_refused():
    with pytest.raises(ConfigError, match=r"\[aggregator\] 'size'.*small, middle, large"):
        opening(size="huge")
    with pytest.raises(ConfigError, match="'size'"):
        opening(size=["small"])


def test_every_recommended_set_is_one_that_the_contract_takes():
    for name, each in RECOMMENDED.items():
        assert 0 < each.max_participants * each.max_sellers <= MOST_PURCHASES
        assert each.max_sellers <= MOST_SELLERS and each.max_participants <= MOST_PARTICIPANTS
        assert opening(size=name).reveal_bond > opening(size=name).fee
        least, most = deposit_range(terms(fee=each.fee, reveal_bond=each.reveal_bond))
        assert most - least > 2 * PARTS, "a deposit covers twice the typical value"


OPENING = Opening(task=TASK, reveal_bond=10, max_sellers=2, commit=600)
FREE = Book(opened=0, running=0, last_deadline=None, available=1 << 40)


def test_a_round_is_opened_with_the_terms_of_the_policy():
    opened = schedule(OPENING, FREE, 1_000)
    assert (opened.task, opened.reveal_bond, opened.bond, opened.commit_deadline) == (TASK, 10, 160, 1_600)
    assert (opened.fee, opened.max_sellers, opened.challenge_time) == (0, 2, 86_400)


@pytest.mark.parametrize(
    ("changes", "book", "why"),
    [
        ({"rounds": 2}, replace(FREE, opened=2), "2 rounds were opened, and the policy stops after 2"),
        ({}, replace(FREE, running=1), "1 rounds are running"),
        ({"every": 900}, replace(FREE, last_deadline=1_000), "the last one was opened not long ago"),
        ({}, replace(FREE, available=159), "the bond is 160 base units and 159 base units are available"),
    ],
)
def test_no_round_is_opened_against_the_policy(changes, book, why):
    decision = schedule(replace(OPENING, **changes), book, 1_000)
    assert isinstance(decision, Refuse)
    assert why in decision.reason


def test_the_time_between_two_openings_is_counted_from_the_opening():
    """Commits closed at 1,000, so the last round was opened at 400 and the next may be at 1,300."""
    policy = replace(OPENING, every=900)
    book = replace(FREE, last_deadline=1_000)
    assert isinstance(schedule(policy, book, 1_299), Refuse)
    assert not isinstance(schedule(policy, book, 1_300), Refuse)


def test_a_rejection_counts_against_an_aggregator_only_from_who_bought_something():
    counted, free = 0, 0
    rng = Random("rejections")
    for _ in range(40):
        round_ = random_round(rng)
        settled = replace(round_, settlement=settle(round_, frozenset()))
        rows = settled.settlement.rows
        rejecting = [index for index, each in enumerate(settled.participants) if each.rejected]
        bought = [index for index in rejecting if rows[index]]
        assert rejections([round_, settled, settled]) == {round_.aggregator: 2 * len(bought)}
        counted, free = counted + len(bought), free + len(rejecting) - len(bought)
    assert counted > 5, "too few rejections of deliveries to mean anything"
    assert free > 5, "too few rejections of nothing to mean anything"
