"""Rounds over time. A world's next round is a job for each of its aggregators; what they return is the round's lines.

Everything is a pure function of the scenario, the design, the seed and the rounds before, wherever a job runs.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..records import LEAST_REPUTATION, Round, Row, Settlement
from ..settlement import counted_rows, refunds
from .bidding import View, strategy, whose
from .designs import DESIGNS
from .draws import keyed
from .entry import State, World, seating
from .lines import OUT, Line, Totals
from .play import Owner, Result, Seat, played, real_gains, seated, standing_after
from .ratings import answered
from .scenario import Scenario
from .sketches import drawn, recorded


@dataclass(frozen=True, slots=True)
class Job:
    """One aggregator's next round."""

    world: World
    round: int
    aggregator: int
    owners: tuple[int, ...]
    """In order of commit."""
    spent: tuple[int, ...]
    """By each so far."""
    standing: Mapping[str, int]
    """Account → reputation, of the accounts of those owners."""
    past: Mapping[int, Sequence[Line]]


@dataclass(frozen=True, slots=True)
class Played:
    """What came of a job."""

    lines: tuple[Line, ...]
    totals: Totals


def jobs(world: World, state: State) -> list[Job]:
    """The next round of a world, one job per aggregator that anybody joins."""
    rooms = seating(world, state)
    places = {owner: place for place, room in enumerate(rooms) for owner in room}
    standing: list[dict[str, int]] = [{} for _ in rooms]
    for (aggregator, address), reputation in state.standing.items():
        if places.get(whose(address)[0]) == aggregator:
            standing[aggregator][address] = reputation
    return [
        Job(
            world,
            state.round + 1,
            place,
            tuple(room),
            tuple(state.spent.get(owner, 0) for owner in room),
            standing[place],
            {owner: tuple(state.past[owner]) for owner in room if owner in state.past},
        )
        for place, room in enumerate(rooms)
        if room
    ]


def play(job: Job) -> Played:
    """One aggregator's round, from its bids to its reputations."""
    world, scenario = job.world, job.world.scenario
    terms = scenario.terms.terms
    seats = seats_of(job)
    standing = {seat.account: job.standing.get(seat.account, LEAST_REPUTATION) for seat in seats}
    seed = keyed(world.seed, "round", job.aggregator, job.round).bytes(32)
    round_ = seated(seats, terms, standing, number=job.round, seed=seed)
    if len(round_.reveal_order) < 2:
        return _void(job, seats, round_, standing)
    clearing = DESIGNS[world.design](round_, frozenset())
    rows = _counted(round_, clearing.rows)
    gains = real_gains(seats, round_, rows)
    noise = keyed(world.seed, "rating", job.round).standard_normal(scenario.owners)
    willing = keyed(world.seed, "willing", job.round).random(scenario.owners)
    round_ = answered(seats, round_, rows, gains, scenario.ratings, noise, willing)
    outcome = played(seats, round_, replace(clearing, rows=rows), gains=gains)
    after = standing_after(outcome, standing)
    lines = tuple(
        _line(job, seat, result, after[seat.account]) for seat, result in zip(seats, outcome.seats, strict=True)
    )
    return Played(lines, Totals(outcome.payout.aggregator - terms.bond, outcome.payout.burnt, outcome.subsidy))


def seats_of(job: Job) -> list[Seat]:
    """The accounts of a job's owners, in order of commit, as their strategies choose them."""
    world = job.world
    people, groups, terms = world.owners, world.groups, world.scenario.terms.terms
    owners = [people[number] for number in job.owners]
    sketches, reals = sketches_of(world.scenario, world.seed, job.round, owners)
    seats: list[Seat] = []
    for owner, sketch, real, spent in zip(owners, sketches, reals, job.spent, strict=True):
        view = View(
            job.round,
            job.aggregator,
            terms,
            sketch,
            real,
            None if owner.budget is None else owner.budget - spent,
            job.standing,
            job.past.get(owner.number, ()),
        )
        name = groups[owner.group].strategy
        rng = keyed(world.seed, f"strategy {name}", owner.number, job.round)
        chosen = strategy(name)(owner, view, rng)
        # Worth is measured between sketches of one seed: who does not say otherwise delivers its own update.
        seats += [replace(seat, real=real) if seat.real is None else seat for seat in chosen]
    return seats[: terms.max_participants]


def sketches_of(
    scenario: Scenario, seed: int, round_: int, owners: Sequence[Owner]
) -> tuple[Sequence[bytes], Sequence[bytes | None]]:
    """What these owners' true updates look like in a round, and by what their worth is measured.

    A recorded run has one sketch of each update: there what is bought by an error of the sketch seems to be worth it.
    """
    places = [(owner.number, owner.cluster) for owner in owners]
    if scenario.sketches.recorded is not None:
        return recorded(Path(scenario.sketches.recorded), round_, places), [None] * len(places)
    likeness = scenario.sketches.likeness
    return drawn(likeness, seed, round_, places), drawn(likeness, seed, round_, places, again=True)


def lines_of(world: World, results: Sequence[Played]) -> list[Line]:
    """All lines of a round of a world, in order of owners and their accounts; who was in no round has one too."""
    lines = [line for each in results for line in each.lines]
    inside = {line.owner for line in lines}
    lines += [
        Line(owner.number, owner.group, owner.cluster, owner.samples, OUT)
        for owner in world.owners
        if owner.number not in inside
    ]
    return sorted(lines, key=lambda line: (line.owner, line.account))


def worlds(scenario: Scenario) -> Iterator[World]:
    """Every design under every seed: the same markets for all designs."""
    return (World(scenario, design, seed) for design in scenario.designs for seed in scenario.seeds)


def _counted(round_: Round, rows: tuple[Row, ...]) -> tuple[Row, ...]:
    """The rows as a payout counts them."""
    settlement = Settlement(frozenset(), rows)
    return counted_rows(replace(round_, settlement=settlement), settlement)


def _line(job: Job, seat: Seat, result: Result, reputation: int) -> Line:
    owner, bid = seat.owner, seat.bid
    return Line(
        owner.number,
        owner.group,
        owner.cluster,
        owner.samples,
        job.aggregator,
        whose(seat.account)[1],
        bid.value,
        bid.cost,
        bid.samples,
        result.bought,
        result.sold,
        result.spent,
        result.earned,
        result.earned - result.spent - result.money,
        result.worth,
        result.harm,
        reputation,
    )


def _void(job: Job, seats: Sequence[Seat], round_: Round, standing: Mapping[str, int]) -> Played:
    """A round in which fewer than two revealed: the deposits come back, and nothing is bought."""
    refund = refunds(round_, with_fault=False)
    money = [credit - each.deposit for credit, each in zip(refund.credits, round_.participants, strict=True)]
    lines = (
        _line(job, seat, Result(money=moved), standing[seat.account]) for seat, moved in zip(seats, money, strict=True)
    )
    return Played(tuple(lines), Totals(refund.aggregator - round_.terms.bond, refund.burnt))
