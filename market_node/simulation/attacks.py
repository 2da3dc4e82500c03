"""Attackers that are economic: which accounts they take in a round, what these bid and offer, and whom they exclude.

They know every bid before they make theirs, which sealed bids prevent: what is measured is the most that they get.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from ..records import LEAST_VALUE, NOT_SELLING, SKETCH_SIZE, Bid
from .bidding import account, whose
from .draws import keyed
from .play import Outcome, Owner, Seat
from .sketches import quantised
from .trial import MEDIAN_VALUE, Town, play_round

NOTHING = bytes(SKETCH_SIZE)
"""The update of a model that is worth nothing."""

MANY = 10
"""How many times its samples an account claims that only wants to be believed all that it can be."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What attackers have before them in a round."""

    town: Town
    round: int
    standing: Mapping[str, int]
    others: tuple[Seat, ...]
    """Who says the truth."""
    own: tuple[Seat, ...]
    """The attackers' accounts, as they would sit if they were honest."""
    has_fees: bool = False
    """Whether the aggregator is one of them."""

    def draws(self, what: str) -> np.random.Generator:
        return keyed(self.town.seed, what, self.round)

    def play(self, move: "Move") -> Outcome:
        seats = [*self.others, *move.seats]
        excluded = [index for index, seat in enumerate(seats) if seat.account in move.excludes]
        return play_round(self.town, self.round, seats, self.standing, excluded)

    def gain(self, outcome: Outcome) -> int:
        """What the attackers make of a round, base units."""
        members = {seat.owner.number for seat in self.own}
        profit = sum(outcome.results[number].profit for number in members)
        return profit + (outcome.payout.aggregator - self.town.terms.bond if self.has_fees else 0)


@dataclass(frozen=True, slots=True)
class Move:
    """What attackers do in a round."""

    seats: Sequence[Seat]
    excludes: frozenset[str] = field(default_factory=frozenset)
    """Accounts, where the aggregator is one of them."""


Play = Callable[[Scene], Move]


@dataclass(frozen=True, slots=True)
class Attack:
    """One attack."""

    says: str
    """What it does, for a reader."""
    play: Play
    members: int = 1
    """How many owners it takes. Against the same owners, with one honest account each, it is measured."""
    aggregates: bool = False
    """Whether the aggregator takes part: then its fees count, with and without the attack."""
    cheap: bool = True
    """Whether anybody can do it, with an account and money."""


def honest(scene: Scene) -> Move:
    """The truth, one account each."""
    return Move(scene.own)


def overstates(scene: Scene, times: int) -> Move:
    """Claims so many times the samples, where it pays by an account that only sells: who claims more buys less."""
    return best(scene, _claims(scene.own, times))


def renews(scene: Scene, times: int) -> Move:
    """A new account each round, which claims so many times the samples."""
    fresh = [replace(seat, account=account(seat.owner.number, 2 * scene.round)) for seat in scene.own]
    return best(scene, _claims(fresh, times))


def clones(scene: Scene, accounts: int, noise: float) -> Move:
    """The same model under several accounts, at the part or multiple of its cost that pays best: they take the price
    from each other, but who buys two of them gets the model once.

    Args:
        noise: of a copy, as a share of the model's length; 0, copies are identical.
    """
    seat = scene.own[0]
    copies = [_copy(scene, seat, which, noise) for which in range(1, accounts)]

    def at(percent: int) -> Move:
        asked = min(seat.bid.cost * percent // 100, NOT_SELLING - 1)
        every = [replace(copy, bid=replace(copy.bid, cost=asked)) for copy in copies]
        return Move([replace(seat, bid=replace(seat.bid, cost=asked)), *every, *scene.own[1:]])

    return best(scene, map(at, (25, 100, 200, 400)))


def bad_mouths(scene: Scene, raters: int) -> Move:
    """Rates 0 what was good, also with accounts that buy for nothing else."""
    seats = [replace(seat, rates=0) for seat in scene.own]
    bid = Bid(MEDIAN_VALUE // 5, NOT_SELLING, scene.own[0].bid.samples, 0)
    more = [replace(_copy(scene, scene.own[0], which, 0.3), bid=bid, rates=0) for which in range(1, raters + 1)]
    return Move([*seats, *more])


def praises(scene: Scene) -> Move:
    """Accomplices rate 100 whatever they got."""
    return Move([replace(seat, rates=100) for seat in scene.own])


def washes(scene: Scene, raters: int, rounds: int, times: int) -> Move:
    """Buys from itself at no value and no cost and praises itself for some rounds; then claims what it likes."""
    seat = scene.own[0]
    if scene.round > rounds:
        return overstates(scene, times)
    free = replace(seat, bid=replace(seat.bid, cost=0))
    bid = Bid(LEAST_VALUE, NOT_SELLING, 1, 0)
    own = [replace(_copy(scene, seat, which, 0.3), bid=bid, rates=100) for which in range(1, raters + 1)]
    return Move([free, *own, *scene.own[1:]])


def garbles(scene: Scene, accounts: int) -> Move:
    """Commits noise under several accounts and reveals those that, all bids seen, are better revealed than lost."""
    seat = scene.own[0]
    draws = scene.draws("garbled")
    noise = quantised(draws.integers(-(1 << 20), 1 << 20, (accounts, SKETCH_SIZE)))
    bid = Bid(0, 0, MANY * seat.bid.samples, 0)
    lots = [
        replace(_copy(scene, seat, which + 1, 0), bid=bid, sketch=noise[which].tobytes(), real=NOTHING)
        for which in range(accounts)
    ]
    revealed = list(scene.own)
    outcome = scene.play(Move([*revealed, *lots]))
    results = outcome.seats[len(scene.others) + len(scene.own) :]
    lost = -scene.town.terms.reveal_bond
    return Move(
        [*revealed, *(replace(lot, reveals=result.profit > lost) for lot, result in zip(lots, results, strict=True))]
    )


def withholds(scene: Scene) -> Move:
    """Commits a file that does not open under its own name, and reveals only where that is better than not to."""
    options = (Move([replace(seat, reveals=False) for seat in scene.own]), Move(scene.own, _accounts(scene.own)))
    return best(scene, options)


def shills(scene: Scene, accounts: int) -> Move:
    """Accounts that fill the candidates and are never chosen, at the cost that serves their owner best."""
    seat = scene.own[0]
    crowd = [_claiming(_copy(scene, seat, which, 0.3), MANY) for which in range(1, accounts + 1)]

    def at(percent: int) -> Move:
        cost = MEDIAN_VALUE * percent // 100
        return Move([*scene.own, *(replace(each, bid=replace(each.bid, cost=cost)) for each in crowd)])

    def sells(move: Move) -> bool:
        return any(result.sold for result in scene.play(move).seats[-accounts:])

    moves = [move for move in map(at, (3, 6, 12, 24)) if not sells(move)]
    return best(scene, moves or [at(100)])


def best_of_bids(scene: Scene, bids: int) -> Move:
    """Sells under one account, and seals several values under others, of which the best is revealed."""
    seat = scene.own[0]
    seller = replace(seat, owner=_shadow(seat.owner), bid=replace(seat.bid, value=0))
    factors = (100, 60, 35, 80, 20)[:bids]
    copies = [replace(_copy(scene, seat, which, 0.3), owner=seat.owner) for which in range(1, bids + 1)]
    buyers = [
        replace(copy, bid=replace(seat.bid, value=max(seat.bid.value * factor // 100, LEAST_VALUE), cost=NOT_SELLING))
        for copy, factor in zip(copies, factors, strict=True)
    ]

    def revealing(chosen: int) -> Move:
        return Move(
            [seller, *(replace(each, reveals=place == chosen) for place, each in enumerate(buyers)), *scene.own[1:]]
        )

    return best(scene, map(revealing, range(bids)))


def excludes(scene: Scene, rivals: int) -> Move:
    """An aggregator with a seller of its own that excludes those who earn most beside it."""
    return Move(scene.own, _rivals(scene, rivals))


def passes_noise(scene: Scene, accounts: int) -> Move:
    """An aggregator that passes sketches with no model behind them: the direction that everybody has in common."""
    return Move([*scene.own, *_empty(scene, accounts)])


def all_of_them(scene: Scene) -> Move:
    """Three owners and the aggregator: they over-state, praise each other, sell copies and sketches with no model
    behind them, and exclude three rivals."""
    own = [replace(_claiming(seat, MANY), rates=100) for seat in scene.own]
    copies = [_claiming(_copy(scene, seat, 100, 0.3), MANY) for seat in scene.own]
    together = [*own, *copies, *_empty(scene, 3)]
    options = (Move(together, _rivals(scene, rivals)) for rivals in (0, 3))
    return best(scene, options)


def best(scene: Scene, moves: Iterable[Move]) -> Move:
    """The one that leaves the attackers most in this round."""
    return max(moves, key=lambda move: scene.gain(scene.play(move)))


ATTACKS: Mapping[str, Attack] = {
    "samples × 2": Attack("claims twice its samples", partial(overstates, times=2)),
    "samples × 10": Attack("claims ten times its samples", partial(overstates, times=10)),
    "new account": Attack("a new account each round, true samples", partial(renews, times=1)),
    "new account, samples × 10": Attack("a new account each round, ten times the samples", partial(renews, times=10)),
    "2 clones": Attack("the same model under 2 accounts", partial(clones, accounts=2, noise=0.0)),
    "5 clones": Attack("the same model under 5 accounts", partial(clones, accounts=5, noise=0.0)),
    "10 clones": Attack("the same model under 10 accounts", partial(clones, accounts=10, noise=0.0)),
    "5 noisy clones": Attack(
        "the same under 5 accounts, each with noise of its own", partial(clones, accounts=5, noise=0.3)
    ),
    "bad-mouthing": Attack("rates 0 all that it buys", partial(bad_mouths, raters=0)),
    "bad-mouthing, 3 raters": Attack("and enters 3 more buyers that do", partial(bad_mouths, raters=3)),
    "collusion": Attack("three owners rate 100 whatever they get", praises, members=3),
    "washing": Attack(
        "buys from itself and praises itself for 5 rounds, then claims ten times its samples",
        partial(washes, raters=3, rounds=5, times=MANY),
    ),
    "garbled models": Attack("noise under 5 accounts, revealed where it pays", partial(garbles, accounts=5)),
    "garbled own model": Attack("a file that does not open, revealed where that loses less", withholds),
    "shills": Attack("8 accounts that raise its price and are never chosen", partial(shills, accounts=8)),
    "best of 3 bids": Attack("3 sealed values, the best is revealed", partial(best_of_bids, bids=3)),
    "excluded rivals": Attack(
        "an aggregator that sells and excludes 3 rivals", partial(excludes, rivals=3), aggregates=True, cheap=False
    ),
    "empty sketches": Attack(
        "an aggregator that passes 3 sketches with no model behind them",
        partial(passes_noise, accounts=3),
        aggregates=True,
        cheap=False,
    ),
    "coalition": Attack(
        "three owners and the aggregator, all of it at once", all_of_them, members=3, aggregates=True, cheap=False
    ),
}


def _claims(seats: Sequence[Seat], times: int) -> tuple[Move, Move]:
    """Claims under each account, or buys by a second one that tells the truth."""
    claiming = [_claiming(seat, times) for seat in seats]
    selling = [replace(each, owner=_shadow(each.owner), bid=replace(each.bid, value=0)) for each in claiming]
    buying = [_buying(seat) for seat in seats]
    return Move(claiming), Move([*selling, *buying])


def _buying(seat: Seat) -> Seat:
    address = account(seat.owner.number, 1 + whose(seat.account)[1])
    return replace(seat, account=address, bid=replace(seat.bid, cost=NOT_SELLING))


def _claiming(seat: Seat, times: int) -> Seat:
    return replace(seat, bid=replace(seat.bid, samples=min(seat.bid.samples * times, (1 << 64) - 1)))


def _copy(scene: Scene, seat: Seat, which: int, noise: float) -> Seat:
    """Another account of the seat's owner, which sells the same model and has no use for one."""
    sketch = seat.sketch
    if noise:
        own = np.frombuffer(sketch, np.int8).astype(np.float64)
        added = scene.draws(f"copy {which} of {seat.owner.number}").standard_normal(SKETCH_SIZE)
        mixed = own + noise * np.sqrt((own**2).mean()) * added
        sketch = quantised((mixed[None] * (1 << 20)).astype(np.int64))[0].tobytes()
    owner = _shadow(seat.owner)
    return Seat(owner, account(owner.number, which), replace(seat.bid, value=0), sketch, seat.update)


def _shadow(owner: Owner) -> Owner:
    """The same, where its account has no use for models: what is bought twice is worth nothing more."""
    return replace(owner, value=0)


def _empty(scene: Scene, accounts: int) -> list[Seat]:
    seat = scene.own[0]
    mean = sum(np.frombuffer(each.sketch, np.int8).astype(np.int64) for each in scene.others)
    common = quantised(np.atleast_2d(mean))[0].tobytes()
    bid = Bid(0, seat.bid.cost, MANY * seat.bid.samples, 0)
    owner = replace(_shadow(seat.owner), cost=0)  # nothing is lost by what is worth nothing
    return [Seat(owner, account(owner.number, 200 + which), bid, common, NOTHING) for which in range(accounts)]


def _rivals(scene: Scene, count: int) -> frozenset[str]:
    """The accounts of the others that earn most where everybody is honest."""
    outcome = scene.play(Move(scene.own))
    earned = [(result.earned, seat.account) for seat, result in zip(scene.others, outcome.seats, strict=False)]
    return frozenset(address for _, address in sorted(earned, reverse=True)[:count])


def _accounts(seats: Iterable[Seat]) -> frozenset[str]:
    return frozenset(seat.account for seat in seats)
