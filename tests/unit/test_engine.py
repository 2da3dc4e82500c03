"""Rounds over time: who comes and who goes, what it may spend, and that no money appears or gets lost."""

from dataclasses import replace

import pytest

from market_node.records import LEAST_REPUTATION, NOT_SELLING, Purchase
from market_node.simulation.bidding import STRATEGIES, account, truth, whose
from market_node.simulation.designs import DESIGNS
from market_node.simulation.engine import jobs, lines_of, play, seats_of
from market_node.simulation.entry import State, advance, seating
from market_node.simulation.lines import OUT, Line
from market_node.simulation.play import Clearing, real_gains, seated
from tests.unit.rounds import ZERO_SKETCH
from tests.unit.simulations import HOSPITALS, TOKEN, courses, world


def lines(market, losers=(), out=()):
    """A round in which these owners lost one token each and all others gained one."""
    return [
        Line(owner.number, owner.group, 0, owner.samples, OUT if owner.number in out else 0, fee=0, worth=TOKEN)
        if owner.number not in losers
        else Line(owner.number, owner.group, 0, owner.samples, 0, fee=TOKEN)
        for owner in market.owners
    ]


# --- the same again ---


def test_a_world_is_the_same_whenever_it_is_played():
    assert courses(world()) == courses(world())


def test_a_job_depends_on_nothing_that_was_played_before():
    market, state = world(), State()
    first, second = jobs(market, state)
    assert (play(first), play(second)) == tuple(reversed([play(second), play(first)]))


def test_all_designs_meet_the_same_market():
    one, other = (replace(world(), design=design) for design in ("market", "free"))
    seats = [[seats_of(job) for job in jobs(each, State())] for each in (one, other)]
    assert seats[0] == seats[1]


def test_the_most_similar_of_many_is_worth_less_than_it_looks():
    """Where nobody is more alike than the floor, what is bought is bought by errors of the sketches."""
    floor = {"within": 0.1, "across": 0.1}
    market = world(owners=200, sketches=floor, rounds=1, groups=[{**HOSPITALS, "begins": 1.0}], aggregators=1)
    (job,) = jobs(market, State())
    seats = seats_of(job)
    round_ = seated(seats, market.scenario.terms.terms)
    rows = DESIGNS["market"](round_, frozenset()).rows
    promised = sum(real_gains([replace(seat, real=None) for seat in seats], round_, rows))
    assert 0 < sum(real_gains(seats, round_, rows)) < promised / 2


def test_seeds_differ():
    assert courses(world(rounds=1)) != courses(world(rounds=1, seeds=[8]))


# --- money ---


@pytest.mark.parametrize("design", DESIGNS)
def test_no_money_appears_or_is_lost(design: str):
    for each, totals in courses(world(designs=[design], rounds=2)):
        money = sum(line.money for line in each)
        assert money + totals.aggregator + totals.burnt == totals.subsidy


@pytest.mark.parametrize("design", DESIGNS)
def test_no_budget_is_overspent(design: str):
    market, spent = spending(design)
    assert all(spent[owner.number] <= owner.budget for owner in market.owners)


def test_budgets_do_run_out():
    market, spent = spending("market")
    assert any(2 * spent[owner.number] > owner.budget for owner in market.owners)


def spending(design: str):
    """A world of the poor, and what each spent."""
    poor = {**HOSPITALS, "budget": {"kind": "uniform", "least": 1, "most": 30}, "begins": 1.0}
    market = world(designs=[design], groups=[poor], entry={"patience": 100})
    spent = dict.fromkeys(range(16), 0)
    for each, _ in courses(market):
        for line in each:
            spent[line.owner] += line.spent
    return market, spent


def test_who_has_spent_its_budget_still_sells():
    market = world(groups=[{**HOSPITALS, "budget": 40, "begins": 1.0}], rounds=2)
    state = State(round=1, members=dict.fromkeys(range(16), 0), spent=dict.fromkeys(range(15), 40 * TOKEN))
    (job,) = jobs(market, state)
    result = {line.owner: line for line in play(job).lines}
    assert [line.value > 0 for _, line in sorted(result.items())] == [False] * 15 + [True]
    assert sum(line.sold for owner, line in result.items() if owner < 15) == result[15].bought > 0


def test_a_bid_is_never_more_than_a_deposit_may_cover():
    market = world(groups=[{**HOSPITALS, "value": 10_000}])
    (seat, *_) = seats_of(jobs(market, State())[0])
    assert seat.bid.value == market.scenario.terms.most_value == 16 * 25 * TOKEN - 25 * TOKEN - TOKEN // 2 - 4


# --- who comes and who goes ---


def test_who_begins_is_there_in_the_first_round():
    assert sum(map(len, seating(world(), State()))) == 8


def test_nobody_joins_a_group_that_lost_on_average():
    market = world(entry={"rate": 1.0})
    state = State()
    advance(market, state, lines(market, losers=range(6), out=range(11, 16)))  # 6 lost and 5 gained
    assert sum(map(len, seating(market, state))) == 11


def test_all_join_a_group_that_gained_where_the_rate_is_one():
    market = world(entry={"rate": 1.0})
    state = State()
    advance(market, state, lines(market, losers=range(5), out=range(11, 16)))
    assert sum(map(len, seating(market, state))) == 16


def test_a_group_that_is_not_there_looks_at_all_others():
    groups = [HOSPITALS, {**HOSPITALS, "name": "firms", "begins": 0}]
    market = world(groups=groups, entry={"rate": 1.0})
    state = State()
    advance(market, state, lines(market, losers=range(4), out=range(8, 16)))
    assert sum(map(len, seating(market, state))) == 16
    state = State()
    advance(market, state, lines(market, losers=range(5), out=range(8, 16)))
    assert sum(map(len, seating(market, state))) == 8


def test_newcomers_join_at_the_stated_rate():
    market = world(owners=2_000, entry={"rate": 0.25}, aggregators=50)
    state = State()
    advance(market, state, lines(market, out=range(1_000, 2_000)))
    state.members = dict.fromkeys(range(30), 0)
    assert sum(map(len, seating(market, state))) - 30 == pytest.approx(0.25 * 1_970, rel=0.1)


def test_who_loses_for_as_long_as_it_has_patience_leaves_for_good():
    market = world(entry={"rate": 1.0, "patience": 2})
    state = State()
    advance(market, state, lines(market, losers=[3]))
    advance(market, state, lines(market, losers=[3]))
    assert state.gone == {3}
    assert all(3 not in room for room in seating(market, state))


def test_a_round_without_a_loss_renews_the_patience():
    market = world(entry={"patience": 2})
    state = State()
    for losers in ([3], [], [3]):
        advance(market, state, lines(market, losers=losers))
    assert not state.gone


def test_the_fee_is_part_of_the_loss():
    market = world(groups=[{**HOSPITALS, "value": 0, "buys": False, "begins": 1.0}], entry={"patience": 1})
    state = State()
    for job in jobs(market, state):  # nobody buys
        advance(market, state, lines_of(market, [play(job)]))
    assert state.gone


def test_an_owner_stays_with_its_aggregator():
    market = world(rounds=3, entry={"patience": 100})
    chosen: dict[int, set[int]] = {}
    for each, _ in courses(market):
        for line in each:
            if line.joined:
                chosen.setdefault(line.owner, set()).add(line.aggregator)
    assert all(len(each) == 1 for each in chosen.values())
    assert {place for each in chosen.values() for place in each} == {0, 1}


def test_a_full_round_takes_nobody_else():
    terms = {"fee": "0.5", "reveal_bond": "25", "max_sellers": 4, "max_participants": 3}
    rooms = seating(world(terms=terms), State())
    assert [len(room) for room in rooms] == [3, 3]


def test_newcomers_can_choose_by_cluster():
    market = world(sketches={"clusters": 2}, entry={"choice": "cluster"})
    for place, room in enumerate(seating(market, State())):
        assert {market.owners[owner].cluster for owner in room} == {place}


# --- seats, ratings, reputations ---


def test_reputations_move_with_ratings_and_stay_with_the_account():
    first, second, *_ = (each for each, _ in courses(world(groups=[{**HOSPITALS, "begins": 1.0}])))
    risen = {line.owner: line.reputation for line in first if line.sold >= 3}
    assert max(risen.values()) > LEAST_REPUTATION
    assert any(line.reputation > risen.get(line.owner, 1 << 16) for line in second)


def test_a_round_of_one_gives_the_deposit_back():
    market = world(aggregators=1)
    (job,) = jobs(market, State())
    ((line,), totals) = (played := play(replace(job, owners=job.owners[:1], spent=(0,)))).lines, played.totals
    assert (line.profit, line.reputation) == (0, LEAST_REPUTATION)
    assert (totals.aggregator, totals.burnt) == (0, 0)


def test_owners_can_bid_otherwise(monkeypatch: pytest.MonkeyPatch):
    seen = []

    def twice(owner, view, rng):
        """Two accounts, the second a new one each round."""
        seen.append((owner.number, view.round, tuple(line.account for line in view.past)))
        (seat,) = truth(owner, view, rng)
        again = replace(seat, account=account(owner.number, view.round), real=ZERO_SKETCH)
        return seat, again

    monkeypatch.setitem(STRATEGIES, "twice", twice)
    market = world(groups=[{**HOSPITALS, "strategy": "twice", "begins": 1.0}], rounds=2, aggregators=1)
    first, second = (each for each, _ in courses(market))
    assert [line.account for line in first[:4]] == [0, 1, 0, 1]
    assert (0, 2, (0, 1)) in seen
    assert {line.account for line in second} <= {0, 2}


def test_a_seat_that_names_no_other_delivers_its_owners_update():
    for seat in seats_of(jobs(world(), State())[0]):
        assert seat.real is not None
        assert seat.real != seat.sketch


def test_an_account_says_whose_it_is():
    assert whose(account(123_456, 7)) == (123_456, 7)


def test_nobody_bids_what_it_may_not_sell():
    market = world(groups=[{**HOSPITALS, "sells": False, "begins": 1.0}])
    assert {line.cost for line in courses(market)[0][0]} == {NOT_SELLING}
    assert not any(line.sold for line in courses(market)[0][0])


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_prices_that_a_deposit_does_not_cover_are_not_paid(monkeypatch: pytest.MonkeyPatch, share: float):
    """As at payout: such a row counts as empty, whichever design made it."""
    most = 10**24 if share else 1

    def dear(round_, excluded):
        rows = tuple(
            (Purchase((index + 1) % len(round_.participants), most),) for index in range(len(round_.participants))
        )
        return Clearing(rows)

    monkeypatch.setitem(DESIGNS, "free", dear)
    each, totals = courses(world(designs=["free"], rounds=1))[0]
    assert (sum(line.bought for line in each) == 0) == bool(share)
    assert sum(line.money for line in each) + totals.aggregator == 0
