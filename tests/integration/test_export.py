"""An account's rows add up to its balance, to the unit, whatever became of its rounds."""

import csv
import io
from random import Random

import pytest

from market_node.export import Gas, Moment, payments, to_csv
from market_node.history import History
from market_node.judge import proof
from tests.integration.desk import BOND, CHALLENGE_BOND, dearer
from tests.integration.test_money import pay_everybody, play, world

CASES = [("right", 0), ("right", 5), ("wrong", 7), ("no settlement", 3), ("one reveals", 3), ("no seed", 2)]
"""How a round goes, and how many commit."""

__all__ = ["world"]  # a fixture


class Times(dict):
    def __missing__(self, block):
        return 1_700_000_000 + block


def rows_of(chain, history):
    events = chain.events(0, history.block)
    return payments(chain.account, events, history.ledger, Times())


@pytest.fixture(scope="module")
def played(world):
    """Rounds with every ending, each of which was checked."""
    for ending, n in CASES:
        round_, *_ = play(Random(f"{n} {ending}"), world, n, ending)
        pay_everybody(Random(n), world, round_)
    world.history.refresh()
    return world


def test_every_accounts_rows_add_up_to_its_balance(played):
    for chain in (played.operator, *played.accounts):
        assert sum(row.available for row in rows_of(chain, played.history)) == chain.available(chain.account)


def test_all_accounts_rows_add_up_to_what_the_escrow_holds(played):
    chains = (played.operator, *played.accounts)
    total = sum(row.available for chain in chains for row in rows_of(chain, played.history))
    assert total + played.operator.burnt() == played.operator.token.balance(played.operator.escrow)


def test_no_row_is_worth_nothing_and_each_names_its_transaction(played):
    for row in rows_of(played.operator, played.history):
        assert row.available and row.moment.transaction.startswith("0x") and row.moment.time > 1_700_000_000


def test_a_file_reads_back_with_every_digit(played):
    chain = played.accounts[0]
    rows = rows_of(chain, played.history)
    gas = Gas(Moment("0x12", 5, 1_700_000_005), 3, 21_000 * 10**9)
    text = to_csv([*rows, *payments(chain.account, (), played.history.ledger, {}, [gas])], 'T"S,T', 18)
    assert text.count("\r\n") == len(rows) + 2 and "\n" not in text.replace("\r\n", "")
    read = list(csv.DictReader(io.StringIO(text)))
    assert [int(each["amount_base_units"]) for each in read] == [*(row.available for row in rows), 0]
    for each in read:
        whole, _, fraction = each["amount"].partition(".")
        assert len(fraction) == 18 and int(whole + fraction) == int(each["amount_base_units"])
    assert (read[-1]["kind"], read[-1]["wei"], read[-1]["token"]) == ("gas", str(-21_000 * 10**9), 'T"S,T')


# --- a round of three that buy from each other ---


def kinds(rows):
    return {row.kind: sum(each.available for each in rows if each.kind == row.kind) for row in rows}


def finished(stage, actors):
    """Everybody's rows of the round, by name."""
    history = History(actors.operator)
    history.refresh()
    names = ("operator", "alice", "bob", "carol")
    every = {name: rows_of(getattr(actors, name), history) for name in names}
    for name, rows in every.items():
        assert sum(row.available for row in rows) == getattr(actors, name).available(getattr(actors, name).account)
    return {name: [row for row in rows if row.round == stage.number] for name, rows in every.items()}


def test_what_is_bought_is_sold(stage, actors):
    """Each price paid stands in the seller's rows too, with the buyer as its counterparty."""
    stage.settle_as(lambda rows: rows).pay_out()
    paid, earned = [], []
    for name, rows in finished(stage, actors).items():
        account = getattr(actors, name).account
        paid += [(account, row.counterparty, -row.available) for row in rows if row.kind == "price paid"]
        earned += [(row.counterparty, account, row.available) for row in rows if row.kind == "price earned"]
    assert sorted(paid) == sorted(earned)
    assert len(paid) == 6


def test_a_participants_rows_say_what_became_of_its_deposit(stage, actors):
    stage.settle_as(lambda rows: rows).pay_out()
    found = list(kinds(finished(stage, actors)["alice"]))
    assert found == ["deposit", "deposit returned", "fee", "price paid", "price earned"]


def test_an_aggregators_rows_say_whose_fee_it_earned(stage, actors):
    stage.settle_as(lambda rows: rows).pay_out()
    rows = finished(stage, actors)["operator"]
    assert kinds(rows) == {"bond": -BOND, "bond returned": BOND, "fee earned": 3000}
    fees = [row.counterparty for row in rows if row.kind == "fee earned"]
    assert fees == [actors.alice.account, actors.bob.account, actors.carol.account]


def test_what_a_rejection_burns_is_said(stage, actors):
    stage.settle_as(lambda rows: rows)
    actors.bob.reject(stage.number, 1)
    stage.pay_out()
    rows = finished(stage, actors)
    burnt = kinds(rows["bob"])["burnt by rejection"]
    assert "price paid" not in kinds(rows["bob"]) and burnt < -(1 << 20) - 1000
    assert actors.bob.account not in [row.counterparty for row in rows["alice"] if row.kind == "price earned"]


def test_an_excluded_participant_has_lost_its_reveal_bond(stage, actors):
    stage.settle_as(lambda rows: rows, excluded=frozenset({2})).pay_out()
    rows = kinds(finished(stage, actors)["carol"])
    assert rows["reveal bond lost"] == -(1 << 20) and "fee" not in rows


# --- challenges ---


def test_a_challenge_that_stood_is_paid_for(stage, actors):
    stage.settle_as(dearer)
    before = actors.dave.available(actors.dave.account)
    actors.dave.challenge(stage.number, proof(stage.seen(), 1))
    for _ in range(3):
        stage.end()
    actors.carol.refund(stage.number, 0, 3)
    actors.carol.refund_challenge(stage.number, 0)
    history = History(actors.dave)
    history.refresh()
    mine = [row for row in rows_of(actors.dave, history) if row.round == stage.number]
    assert [row.kind for row in mine] == ["challenge bond", "challenge bond returned", "challenge reward"]
    assert mine[0].available == -CHALLENGE_BOND == -mine[1].available and mine[2].available > 0
    assert actors.dave.available(actors.dave.account) - before == sum(row.available for row in mine)
    for chain in (actors.operator, actors.alice, actors.bob, actors.carol):
        assert sum(row.available for row in rows_of(chain, history)) == chain.available(chain.account)


def test_a_false_challenge_is_its_refuters(stage, actors, desk):
    stage.settle_as(lambda rows: rows)
    stage.lie(actors.dave)
    desk.step()
    history = History(actors.erin)
    history.refresh()
    mine = [row for row in rows_of(actors.erin, history) if row.round == stage.number]
    assert [(row.kind, row.available, row.counterparty) for row in mine] == [
        ("challenge reward", CHALLENGE_BOND, actors.dave.account)
    ]
