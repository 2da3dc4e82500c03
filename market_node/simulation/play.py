"""One round of owners: who sits where, what each design makes of it, and what came of it for whom.

An owner is a person or a company with a truth; a seat is an account of its own in a round, whose bid and sketch may
be anything. Prices come from what was bid, worth comes from what is true, so that a lie shows in what it earned.
Amounts are base units, fractions have 2**16 = 1.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..mechanism import effective_samples, gain
from ..records import LEAST_REPUTATION, Bid, Model, Participant, Purchase, Reveal, Round, Row, Settlement, Terms
from ..settlement import Payout, counted_rows, payout, rejects, reputations
from ..sketch import similarity_to
from ..terms import BOND_FACTOR, deposit_needed, deposit_range

AGGREGATOR = "0x" + "aa" * 20
_NO_MODEL = Model(bytes(32), bytes(32))


@dataclass(frozen=True, slots=True)
class Owner:
    """What is true of somebody with data, whatever it bids."""

    number: int
    value: int
    """What a perfect model is worth to it, base units; 0, it has no use for one."""
    cost: int
    """What it loses by each copy of its model that is sold, base units; `NOT_SELLING`, it may not sell at all."""
    samples: int
    cluster: int = 0
    """Whose data are like its own."""
    group: str = ""
    """For reports: to which part of the population it belongs."""
    budget: int | None = None
    """What it will spend in all, base units; None, whatever it takes."""

    @property
    def truth(self) -> Bid:
        """What it bids where it says what is true."""
        return Bid(self.value, self.cost, self.samples, min_reputation=0)


@dataclass(frozen=True, slots=True)
class Seat:
    """One account in one round."""

    owner: Owner
    account: str
    bid: Bid
    sketch: bytes
    """Revealed."""
    real: bytes | None = None
    """Of the update that a buyer would get; None, it is what was revealed. Zeros: a model that is worth nothing."""
    reveals: bool = True
    rates: int | None = None
    """The rating that it gives whatever it got, hundredths; None, what it found."""
    rejects: bool = False
    """Whether it rejects whatever it got."""

    @property
    def update(self) -> bytes:
        """The sketch of what its model really is."""
        return self.sketch if self.real is None else self.real


@dataclass(frozen=True, slots=True)
class Clearing:
    """What a design makes of a round."""

    rows: tuple[Row, ...]
    """In index order; what stands in a row goes to that seller."""
    subsidies: Mapping[int, int] = field(default_factory=dict)
    """Buyer → what somebody from outside pays of its row, for designs that are not balanced."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a round came to for one owner, over all its accounts. Base units."""

    money: int = 0
    """Credits less deposits: prices, fees and lost bonds."""
    worth: int = 0
    """What the models that it bought really added."""
    harm: int = 0
    """What the copies of its models that were sold cost it."""
    spent: int = 0
    """Prices paid, subsidies not counted."""
    earned: int = 0
    """Prices got."""
    bought: int = 0
    sold: int = 0

    @property
    def profit(self) -> int:
        return self.money + self.worth - self.harm

    def __add__(self, other: "Result") -> "Result":
        return Result(*(getattr(self, name) + getattr(other, name) for name in Result.__slots__))


@dataclass(frozen=True, slots=True)
class Outcome:
    """A round that was paid out."""

    round: Round
    payout: Payout
    results: Mapping[int, Result]
    """By owner's number."""
    subsidy: int
    """What somebody from outside paid."""
    real_gains: tuple[int, ...]
    """By index: what each row really added for its buyer."""
    seats: tuple[Result, ...] = ()
    """By index: what it came to for each account."""

    @property
    def welfare(self) -> int:
        """What was gained by all trades, less what they cost; fees and bonds only change hands."""
        return sum(each.worth - each.harm for each in self.results.values())

    @property
    def volume(self) -> int:
        """Prices paid."""
        return sum(each.earned for each in self.results.values())


def seated(
    seats: Sequence[Seat],
    terms: Terms,
    standing: Mapping[str, int] | None = None,
    *,
    number: int = 1,
    aggregator: str = AGGREGATOR,
    seed: bytes = bytes(32),
) -> Round:
    """A round in which these accounts sit, in this order, and whose reveal phase is over.

    Args:
        standing: account → reputation with the aggregator; who is not in it is new.
    """
    standing = standing or {}
    participants = tuple(
        Participant(
            seat.account,
            max(deposit_needed(terms, seat.bid), min(BOND_FACTOR * terms.reveal_bond, deposit_range(terms)[1])),
            reveal=Reveal(seat.bid, standing.get(seat.account, LEAST_REPUTATION), _NO_MODEL, seat.sketch)
            if seat.reveals
            else None,
        )
        for seat in seats
    )
    revealed = tuple(index for index, seat in enumerate(seats) if seat.reveals)
    return Round(number, aggregator, terms, b"", participants, seed, revealed)


def played(
    seats: Sequence[Seat],
    round_: Round,
    clearing: Clearing,
    excluded: Collection[int] = (),
    gains: tuple[int, ...] | None = None,
) -> Outcome:
    """What a cleared round comes to: its payout by the contract's rule, and its real worth for each owner.

    Ratings and rejections are those that `round_` holds: see `ratings.answered`.

    Args:
        gains: `real_gains` of the clearing's rows, where the caller has them already.
    """
    settled = replace(round_, settlement=Settlement(frozenset(excluded), clearing.rows))
    assert settled.settlement is not None
    paid = payout(settled, settled.settlement)
    rows = counted_rows(settled, settled.settlement)
    if gains is None or rows != clearing.rows:
        gains = real_gains(seats, round_, rows)
    subsidies = [clearing.subsidies.get(buyer, 0) if row else 0 for buyer, row in enumerate(rows)]
    sold, earned = [0] * len(seats), [0] * len(seats)
    leaked, given = [0] * len(seats), set[tuple[int, int]]()
    for buyer, row in enumerate(rows):
        is_paid = not rejects(round_.participants[buyer], row)
        for purchase in row:
            sold[purchase.seller] += 1
            pair = seats[purchase.seller].owner.number, seats[buyer].owner.number
            if pair[0] != pair[1] and pair not in given:  # what is its own or was given already is not given away
                given.add(pair)
                leaked[purchase.seller] += 1
            earned[purchase.seller] += purchase.price if is_paid else 0
    results = tuple(
        Result(
            money=paid.credits[index] - round_.participants[index].deposit + subsidies[index],
            worth=gains[index],
            # Who may not sell and does loses the largest amount there is: no price makes up for that.
            harm=seat.owner.cost * leaked[index],
            spent=sum(purchase.price for purchase in rows[index]) - subsidies[index],
            earned=earned[index],
            bought=len(rows[index]),
            sold=sold[index],
        )
        for index, seat in enumerate(seats)
    )
    by_owner: dict[int, Result] = {}
    for seat, result in zip(seats, results, strict=True):
        number = seat.owner.number
        by_owner[number] = by_owner[number] + result if number in by_owner else result
    return Outcome(settled, paid, by_owner, sum(subsidies), gains, results)


def real_gains(seats: Sequence[Seat], round_: Round, rows: Sequence[Row]) -> tuple[int, ...]:
    """What each row really adds for its buyer, by its true value and samples and the sellers' true models.

    A seller brings what it truly has, as far as it is believed: its part of the delivery follows what it claims. All
    accounts of an owner together bring no more than it has.
    """
    gains = []
    for buyer, row in enumerate(rows):
        owner = seats[buyer].owner
        gains.append(gain(owner.value, owner.samples, _imported(seats, round_, buyer, row)))
    return tuple(gains)


def _imported(seats: Sequence[Seat], round_: Round, buyer: int, row: Sequence[Purchase]) -> int:
    """Effective samples that a row really brings: who buys from an account of its own has them already."""
    terms, own = round_.terms, seats[buyer].owner.number
    brought: dict[int, int] = {}
    most: dict[int, int] = {}
    for purchase, alike in zip(row, _likeness(seats, buyer, row, terms.similarity_floor), strict=True):
        seller, reveal = seats[purchase.seller].owner, round_.participants[purchase.seller].reveal
        assert reveal is not None
        true = min(seller.samples, reveal.bid.samples)
        size = effective_samples(true, reveal.reputation, terms.max_samples, alike)
        brought[seller.number] = brought.get(seller.number, 0) + size
        most[seller.number] = max(most.get(seller.number, 0), (seller.samples * alike) >> 16)
    return sum(min(size, most[number]) for number, size in brought.items() if number != own)


def standing_after(outcome: Outcome, standing: Mapping[str, int]) -> dict[str, int]:
    """Everybody's reputation with the round's aggregator after its payout."""
    round_ = outcome.round
    assert round_.settlement is not None
    accounts = [participant.account for participant in round_.participants]
    now = [standing.get(account, LEAST_REPUTATION) for account in accounts]
    return {**standing, **dict(zip(accounts, reputations(round_, round_.settlement, now), strict=True))}


def _likeness(seats: Sequence[Seat], buyer: int, row: Sequence[Purchase], floor: int) -> list[int]:
    """The real similarity of a buyer to the sellers in its row."""
    return similarity_to(seats[buyer].update, [seats[each.seller].update for each in row], floor) if row else []
