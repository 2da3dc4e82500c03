"""Who is in the market, and with which aggregator: what is left of all rounds before, and what follows from it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from .bidding import account
from .draws import keyed
from .lines import Line
from .play import Owner
from .population import Group, beginners, population
from .scenario import Scenario


@dataclass(frozen=True, slots=True)
class World:
    """One market: a design and a seed under a scenario."""

    scenario: Scenario
    design: str
    seed: int

    @property
    def owners(self) -> tuple[Owner, ...]:
        """All who could take part, by number."""
        scenario = self.scenario
        return population(scenario.groups, scenario.owners, scenario.sketches.clusters, self.seed)

    @property
    def groups(self) -> dict[str, Group]:
        return {group.name: group for group in self.scenario.groups}


@dataclass(slots=True)
class State:
    """What the rounds so far leave for the next one. It follows from their lines alone."""

    round: int = 0
    """The last one that was played."""
    members: dict[int, int] = field(default_factory=dict)
    """Owner → its aggregator, of all who are in."""
    gone: set[int] = field(default_factory=set)
    losses: dict[int, int] = field(default_factory=dict)
    """Owner → rounds in a row in which it lost."""
    spent: dict[int, int] = field(default_factory=dict)
    """Owner → prices paid in all."""
    standing: dict[tuple[int, str], int] = field(default_factory=dict)
    """(aggregator, account) → reputation."""
    mood: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Group → the sum of its profits in the last round, and how many of it were there."""
    past: dict[int, list[Line]] = field(default_factory=dict)
    """Owner → its lines so far; of those who do not simply tell the truth."""


def advance(world: World, state: State, lines: Sequence[Line]) -> None:
    """Takes a round's lines, in order of owners, into the state."""
    state.round += 1
    profits: dict[int, int] = {}
    learns = {name for name, group in world.groups.items() if group.strategy != "truth"}
    for line in lines:
        if not line.joined:
            continue
        state.members[line.owner] = line.aggregator
        state.spent[line.owner] = state.spent.get(line.owner, 0) + line.spent
        state.standing[line.aggregator, account(line.owner, line.account)] = line.reputation
        profits[line.owner] = profits.get(line.owner, 0) + line.profit
        if line.group in learns:
            state.past.setdefault(line.owner, []).append(line)
    people = world.owners
    state.mood = {}
    for owner, profit in profits.items():
        total, count = state.mood.get(people[owner].group, (0, 0))
        state.mood[people[owner].group] = (total + profit, count + 1)
        state.losses[owner] = state.losses.get(owner, 0) + 1 if profit < 0 else 0
        if state.losses[owner] >= world.scenario.entry.patience:
            state.gone.add(owner)
            del state.members[owner]


def seating(world: World, state: State) -> list[list[int]]:
    """Who sits with each aggregator in the next round, in order of commit.

    Members stay where they are. Newcomers come in an order that is drawn, each to the aggregator of its choice or,
    where that is full, to the next one that is not; where all are, it stays out for now.
    """
    scenario, number = world.scenario, state.round + 1
    rooms: list[list[int]] = [[] for _ in range(scenario.aggregators)]
    for owner, aggregator in state.members.items():
        rooms[aggregator].append(owner)
    newcomers = _newcomers(world, state)
    draws = keyed(world.seed, "choice", 0).random(scenario.owners)
    order = keyed(world.seed, "arrival", number).random(scenario.owners)
    for owner in sorted(newcomers, key=lambda each: (order[each], each)):
        wanted = _wanted(world, owner, float(draws[owner]))
        free = (
            place % scenario.aggregators
            for place in range(wanted, wanted + scenario.aggregators)
            if len(rooms[place % scenario.aggregators]) < scenario.terms.max_participants
        )
        room = next(free, None)
        if room is None:
            break
        rooms[room].append(owner)
    commits = keyed(world.seed, "commits", number).random(scenario.owners)
    return [sorted(room, key=lambda each: (commits[each], each)) for room in rooms]


def _newcomers(world: World, state: State) -> list[int]:
    """Who wants to join the next round."""
    scenario = world.scenario
    if state.round == 0:
        return sorted(beginners(scenario.groups, scenario.owners, world.seed))
    outside = [each for each in world.owners if each.number not in state.members and each.number not in state.gone]
    inviting = {group: _inviting(state, group) for group in {each.group for each in outside}}
    draws = keyed(world.seed, "entry", state.round + 1).random(scenario.owners)
    return [each.number for each in outside if inviting[each.group] and draws[each.number] < scenario.entry.rate]


def _inviting(state: State, group: str) -> bool:
    """Whether a group's owners did not lose on average in the last round; where none was there, whether all did not."""
    profit, count = state.mood.get(group, (0, 0))
    if count:
        return profit >= 0
    return bool(state.mood) and sum(profit for profit, _ in state.mood.values()) >= 0


def _wanted(world: World, owner: int, draw: float) -> int:
    """The aggregator that a newcomer would rather have."""
    many = world.scenario.aggregators
    if world.scenario.entry.choice == "cluster":
        return world.owners[owner].cluster % many
    return int(draw * many)
