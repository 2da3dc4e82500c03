"""Participants that learn: the best lie against others who tell the truth, and what all say in the end who learn.

Everybody lies on one side of the bid, on a grid. Learning is regret matching (Hart and Mas-Colell, 2000): who would
have earned more by another action plays it more often, in proportion. Where nobody regrets anything on average, play is
a coarse correlated equilibrium.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..records import Round, Row
from ..sketch import similarity_to
from .designs import DESIGNS
from .draws import keyed
from .play import Clearing, Seat, real_gains, seated
from .strategies import SIDES, TRUTH
from .trial import MEDIAN_VALUE, Town, mixed_standing

WHOLE = frozenset({"posted"})
"""Designs in which a row depends on more than its buyer's bid and the sellers': on all bids together."""


@dataclass(frozen=True)
class Game:
    """A market in which everybody chooses what to say on one side of the bid; all else is true."""

    town: Town
    design: str
    side: str

    @cached_property
    def options(self) -> tuple[tuple[Seat, ...], ...]:
        """By owner and action: the seat."""
        truthful = self.town.truthful(1)
        return tuple(tuple(lie.tell(seat, truthful) for lie in SIDES[self.side]) for seat in truthful)

    @cached_property
    def standing(self) -> dict[str, int]:
        return mixed_standing(self.town)

    @property
    def actions(self) -> int:
        return len(SIDES[self.side])

    def seats(self, played: Sequence[int]) -> list[Seat]:
        """Who says what where each owner plays this action."""
        return [options[action] for options, action in zip(self.options, played, strict=True)]

    def profits(self, played: Sequence[int], learner: int) -> NDArray[np.float64]:
        """What each of the learner's actions brings it where the others play theirs, as shares of the median value,
        without the fee."""
        table = Table(self, self.seats(played), learner)
        return np.array([table.profit(option) for option in self.options[learner]], np.float64) / MEDIAN_VALUE

    def welfare(self, played: Sequence[int]) -> float:
        """As a share of the median value."""
        seats = self.seats(played)
        round_ = self.round(seats)
        clearing = self.clear(round_)
        harm = sum(seats[purchase.seller].owner.cost for row in clearing.rows for purchase in row)
        return (sum(real_gains(seats, round_, clearing.rows)) - harm) / MEDIAN_VALUE

    def round(self, seats: Sequence[Seat]) -> Round:
        return seated(seats, self.town.terms, self.standing)

    def clear(self, round_: Round) -> Clearing:
        return DESIGNS[self.design](round_, frozenset())


class Table:
    """What one learner's choices bring it while the others' are fixed.

    Only rows that it can touch are computed: its own, and those of who could buy from it. What depends on a part of its
    bid alone is computed once for all choices that share the part.
    """

    def __init__(self, game: Game, seats: Sequence[Seat], learner: int) -> None:
        self._game, self._seats, self._learner = game, list(seats), learner
        self._whole = game.design in WHOLE
        self._bought: dict[object, int] = {}
        self._sold: dict[object, int] = {}
        self._cleared: dict[object, tuple[list[Seat], Round, Clearing]] = {}

    def profit(self, seat: Seat) -> int:
        """Base units."""
        bid = seat.bid
        buys = (bid, seat.sketch) if self._whole else (bid.value, bid.samples, bid.min_reputation, seat.sketch)
        sells = (bid, seat.sketch) if self._whole else (bid.cost, bid.samples, seat.sketch)
        if buys not in self._bought:
            self._bought[buys] = self._buys(seat)
        if sells not in self._sold:
            self._sold[sells] = self._sells(seat)
        return self._bought[buys] + self._sold[sells]

    def _buys(self, seat: Seat) -> int:
        me = self._learner
        seats, round_, clearing = self._clear(seat, {me})
        rows: list[Row] = [() for _ in seats]
        rows[me] = clearing.rows[me]
        paid = sum(purchase.price for purchase in rows[me]) - clearing.subsidies.get(me, 0)
        return real_gains(seats, round_, rows)[me] - paid

    def _sells(self, seat: Seat) -> int:
        me = self._learner
        alike = similarity_to(
            seat.sketch, [each.sketch for each in self._seats], self._game.town.terms.similarity_floor
        )
        buyers = {index for index, similarity in enumerate(alike) if similarity and index != me}
        _, _, clearing = self._clear(seat, buyers)
        prices = [each.price for buyer in buyers for each in clearing.rows[buyer] if each.seller == me]
        return sum(prices) - len(prices) * seat.owner.cost

    def _clear(self, seat: Seat, buyers: set[int]) -> tuple[list[Seat], Round, Clearing]:
        """The round in which only these buy; under a design that looks at all bids together, everybody does."""
        key = (seat.bid, seat.sketch)
        if self._whole and key in self._cleared:
            return self._cleared[key]
        seats = list(self._seats)
        seats[self._learner] = seat
        bidding = seats if self._whole else [_only(each, index in buyers) for index, each in enumerate(seats)]
        round_ = self._game.round(bidding)
        self._cleared[key] = seats, round_, self._game.clear(round_)
        return self._cleared[key]


def _only(seat: Seat, buys: bool) -> Seat:
    if buys:
        return seat
    bid = type(seat.bid)(0, seat.bid.cost, seat.bid.samples, seat.bid.min_reputation)
    return Seat(seat.owner, seat.account, bid, seat.sketch, seat.real)


@dataclass(frozen=True, slots=True)
class Answer:
    """The best of an owner's lies where all others tell the truth."""

    action: int
    gain: float
    """Over the truth, as a share of the median value."""


def best_responses(game: Game) -> list[Answer]:
    """By owner."""
    truth = [TRUTH] * len(game.options)
    answers = []
    for learner in range(len(truth)):
        profits = game.profits(truth, learner)
        action = int(profits.argmax())  # the truth where it is as good
        answers.append(Answer(action, float(profits[action] - profits[TRUTH])))
    return answers


@dataclass(frozen=True, slots=True)
class Learned:
    """What play came to."""

    strategies: NDArray[np.float64]
    """`owners x actions`: how often each was played in the second half."""
    regret: float
    """The largest average regret of an owner, as a share of the median value: how far play is from equilibrium."""
    said: float
    """The mean of what was said in the second half, in terms of the truth (see `Lie.said`)."""
    truthful: float
    """How much of play was the truth."""
    welfare: float
    """Of learned play, as a share of the truth's."""


def learn(game: Game, rounds: int, each_round: int = 3) -> Learned:
    """Lets everybody learn at once.

    Args:
        each_round: how many owners, drawn anew, look back at what each of their actions would have brought.
    """
    n, actions = len(game.options), game.actions
    rng = keyed(game.town.seed, f"learn {game.design} {game.side}")
    regrets = np.zeros((n, actions))
    looked = np.zeros(n)
    played = np.zeros((n, actions))
    welfares = []
    for number in range(rounds):
        chosen = [int(rng.choice(actions, p=_matched(regret))) for regret in regrets]
        if number >= rounds // 2:
            played[range(n), chosen] += 1
            if number % 10 == 0 or number == rounds - 1:
                welfares.append(game.welfare(chosen))
        for learner in rng.permutation(n)[:each_round].tolist():
            profits = game.profits(chosen, learner)
            regrets[learner] += profits - profits[chosen[learner]]
            looked[learner] += 1
    strategies = played / played.sum(axis=1, keepdims=True)
    said = np.array([lie.said for lie in SIDES[game.side]])
    return Learned(
        strategies,
        float((regrets.max(axis=1) / np.maximum(looked, 1)).max()),
        float((strategies @ said).mean()),
        float(strategies[:, TRUTH].mean()),
        float(np.mean(welfares)) / game.welfare([TRUTH] * n),
    )


def _matched(regrets: NDArray[np.float64]) -> NDArray[np.float64]:
    """Play in proportion to regret; who regrets nothing says anything as often."""
    positive = np.maximum(regrets, 0)
    total = positive.sum()
    return positive / total if total > 0 else np.full(len(regrets), 1 / len(regrets))
