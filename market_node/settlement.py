"""What a round comes to: its rows, who is paid what, and what is left of everyone's reputation.

Pure functions of what is on the chain. Amounts are base units of the market's token, conserved to the unit:
credits + burnt + what the aggregator and the challengers get = deposits + bond.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from market_node.codec import NO_REVEALS, bid_record, next_reveals_hash
from market_node.errors import WrongPhase
from market_node.mechanism import Offer, effective_samples, row
from market_node.records import (
    LEAST_REPUTATION,
    NOT_SELLING,
    ONE,
    SKETCH_SIZE,
    Participant,
    Reveal,
    Round,
    Row,
    Settlement,
    Terms,
)
from market_node.shortlist import Shortlist
from market_node.sketch import similarity_matrix

CHALLENGE_PART = 32
"""What a challenger locks is this part of the round's bond."""

MOST_REWARD = 8
"""What all challengers that stand get, in reveal bonds: as much, for what they risk, as under the least bond."""


@dataclass(frozen=True, slots=True)
class Payout:
    """Where the money of a settled round goes."""

    credits: tuple[int, ...]
    """Per participant, in index order."""
    burnt: int
    aggregator: int
    """Its bond, the fees that were not burnt and what does not divide of the lost reveal bonds."""


@dataclass(frozen=True, slots=True)
class Refund:
    """Where the money of a void round goes."""

    credits: tuple[int, ...]
    """Per participant, in index order."""
    burnt: int
    aggregator: int
    challenger: int
    """What each standing challenger is paid on top of its own challenge bond, which is not counted here."""


# --- the rows ---


def sellers(round: Round, excluded: Collection[int]) -> list[int]:
    """Who sells at all, in index order: revealed, not excluded, at a cost."""
    return [
        index
        for index, participant in enumerate(round.participants)
        if participant.reveal is not None and participant.reveal.bid.cost != NOT_SELLING and index not in excluded
    ]


def offers_to(
    buyer: int,
    round: Round,
    excluded: Collection[int],
    similarity_row: Sequence[int],
    among: Sequence[int] | None = None,
) -> list[Offer]:
    """What the sellers of a round offer to one buyer that revealed, in index order.

    Args:
        similarity_row: the buyer's similarity to each participant, length n, 2**16 = 1.
        among: the sellers to look at, if not all of `sellers`: a part of them, in order.

    Returns:
        An offer for each participant that revealed, sells, is not excluded, is not the buyer, has the
        reputation that the buyer asks for, and brings it at least one effective sample.
    """
    least = revealed(round, buyer).bid.min_reputation
    max_samples = round.terms.max_samples
    offers = []
    for seller in sellers(round, excluded) if among is None else among:
        reveal = revealed(round, seller)
        if seller == buyer or reveal.reputation < least:
            continue
        size = effective_samples(reveal.bid.samples, reveal.reputation, max_samples, similarity_row[seller])
        if size > 0:
            offers.append(Offer(seller, reveal.bid.cost, size))
    return offers


def sketches(round: Round) -> list[bytes]:
    """Everybody's, in index order. Who did not reveal has one of zeros, which is similar to nothing."""
    return [
        bytes(SKETCH_SIZE) if participant.reveal is None else participant.reveal.sketch
        for participant in round.participants
    ]


def trades(round: Round, excluded: Collection[int], index: int) -> bool:
    """Whether a participant revealed and is not excluded: only then its row counts."""
    return round.participants[index].reveal is not None and index not in excluded


def settle(round: Round, excluded: frozenset[int]) -> Settlement:
    """The one right settlement of a round, given who is excluded."""
    similarities = _similarities(round)
    shortlist = Shortlist(round, sellers(round, excluded))

    def bought(buyer: int) -> Row:
        bid = revealed(round, buyer).bid
        if bid.value == 0:  # as `candidates` has it; here it saves the look at every seller
            return ()
        among = shortlist.of(buyer, bid, similarities[buyer])
        offers = offers_to(buyer, round, excluded, similarities[buyer].tolist(), among)
        return row(bid.value, bid.samples, offers, round.terms.max_sellers)

    return Settlement(
        excluded,
        tuple(bought(buyer) if trades else () for buyer, trades in enumerate(_trading(round, excluded))),
    )


def reveals_hash(round: Round) -> bytes:
    """The chain's running hash over the reveals that `round` holds, 30 bytes.

    A settlement names it: after a reorganisation the chain has another one and refuses.
    """
    running = NO_REVEALS
    for index in round.reveal_order:
        reveal = revealed(round, index)
        record = bid_record(index, reveal.bid, reveal.reputation, reveal.sketch, reveal.model)
        running = next_reveals_hash(running, index, record)
    return running


def weights(sizes: Sequence[tuple[int, int]]) -> dict[int, int]:
    """The share of each seller in a personal model.

    Args:
        sizes: (seller, effective samples) of each seller bought; at least one, sizes > 0.

    Returns:
        Seller to weight, 2**16 = 1; they add up to exactly 1, what rounding left over at the lowest index.
    """
    total = sum(size for _, size in sizes)
    shares = {seller: (size << 16) // total for seller, size in sizes}  # w_j = ⌊2¹⁶ · s_j / X⌋
    shares[min(shares)] += ONE - sum(shares.values())
    return shares


def row_weights(round: Round, settlement: Settlement) -> dict[int, dict[int, int]]:
    """The weights of every personal model: buyer to seller to weight, for each row that is not empty."""
    similarities = _similarities(round)
    selling = set(sellers(round, ()))

    def shares(buyer: int, purchases: Row) -> dict[int, int]:
        among = sorted({purchase.seller for purchase in purchases} & selling)
        offers = offers_to(buyer, round, (), similarities[buyer].tolist(), among)
        sizes = {offer.seller: offer.size for offer in offers}
        return weights([(purchase.seller, sizes[purchase.seller]) for purchase in purchases])

    return {buyer: shares(buyer, purchases) for buyer, purchases in enumerate(settlement.rows) if purchases}


# --- the money ---


def counted_rows(round: Round, settlement: Settlement) -> tuple[Row, ...]:
    """The rows as the payout counts them, whatever was posted.

    A row is empty if its buyer is excluded or did not reveal, if it names a seller past the n, or if its
    prices exceed what the buyer can pay. No right row does; it keeps a wrong one from touching other money.
    """
    n = len(round.participants)
    kept = round.terms.fee + round.terms.reveal_bond

    def counts(buyer: int) -> bool:
        purchases = settlement.rows[buyer]
        return all(purchase.seller < n for purchase in purchases) and (
            _paid(purchases) <= round.participants[buyer].deposit - kept
        )

    return tuple(
        settlement.rows[buyer] if trades and counts(buyer) else ()
        for buyer, trades in enumerate(_trading(round, settlement.excluded))
    )


def rejects(participant: Participant, row: Row) -> bool:
    """Whether a participant's rejection counts. `row`: its own, as `counted_rows` has it: one who bought nothing was
    delivered nothing."""
    return participant.rejected and bool(row)


def payout(round: Round, settlement: Settlement) -> Payout:
    """Who is credited what when a settlement stands, the same right or wrong.

    Raises:
        WrongPhase: fewer than two revealed, so that the round is void.
    """
    terms = round.terms
    rows = counted_rows(round, settlement)
    m = sum(participant.reveal is not None for participant in round.participants)
    if m < 2:
        raise WrongPhase(f"round {round.number} is void: {m} revealed, a payout needs 2")
    lost = terms.reveal_bond * (len(rows) - m)  # L = revealBond · (n - m)

    credits = [participant.deposit for participant in round.participants]
    burnt, fees = 0, 0
    for buyer, participant in enumerate(round.participants):
        price = _paid(rows[buyer])
        credits[buyer] -= price
        if participant.reveal is None:
            credits[buyer] -= terms.reveal_bond
            continue
        credits[buyer] += lost // m
        if buyer in settlement.excluded:
            credits[buyer] -= terms.reveal_bond
            burnt += terms.reveal_bond
            continue
        credits[buyer] -= terms.fee
        if rejects(participant, rows[buyer]):
            credits[buyer] -= terms.reveal_bond
            burnt += price + terms.fee + terms.reveal_bond
            continue
        fees += terms.fee
        for purchase in rows[buyer]:
            credits[purchase.seller] += purchase.price
    return Payout(tuple(credits), burnt, terms.bond + fees + lost % m)


def challenge_bond(terms: Terms) -> int:
    """What a challenger locks: its own again if its challenge stands, else the refuter's."""
    return min(terms.bond // CHALLENGE_PART, terms.reveal_bond)


def standing(round: Round) -> tuple[int, ...]:
    """The numbers of the challenges that nobody refuted."""
    return tuple(number for number, challenge in enumerate(round.challenges) if challenge.refuter is None)


def refunds(round: Round, *, with_fault: bool, challengers: Sequence[str] = ()) -> Refund:
    """Who is credited what when a round is void.

    Args:
        with_fault: no settlement in time, or a challenge that nobody refuted. Without fault: no seed in
            time, or fewer than two revealed.
        challengers: whose challenges stand, one entry each.
    """
    terms = round.terms
    deposits = [participant.deposit for participant in round.participants]
    has_revealed = [participant.reveal is not None for participant in round.participants]
    m = sum(has_revealed)
    if not with_fault and m != 1:
        return Refund(tuple(deposits), burnt=0, aggregator=terms.bond, challenger=0)

    lost = terms.reveal_bond * (len(deposits) - m)
    at_stake = terms.bond if with_fault else 0
    quarter = at_stake // 4
    share = (quarter + lost) // m if m else 0
    reward = min(quarter, MOST_REWARD * terms.reveal_bond) // len(challengers) if challengers else 0
    return Refund(
        tuple(
            deposit + share if kept else deposit - terms.reveal_bond
            for deposit, kept in zip(deposits, has_revealed, strict=True)
        ),
        burnt=at_stake + lost - share * m - reward * len(challengers),
        aggregator=terms.bond - at_stake,
        challenger=reward,
    )


# --- the reputations ---


def reputation_after(reputation: int, *, missing: bool, ratings: Sequence[int]) -> int:
    """A reputation after one more round, 2**16 = 1.

    Args:
        missing: the account did not reveal or was excluded; then ratings play no part.
        ratings: hundredths, of those that bought from it, rated and did not reject.
    """
    k = len(ratings)
    if missing:
        reputation = reputation // 2
    elif k >= 3:
        reputation = reputation * (50 * k + sum(ratings)) // (100 * k)
    elif k >= 1:  # so few could be accounts of its own
        reputation = reputation * (150 * k + sum(ratings)) // (200 * k)
    return max(LEAST_REPUTATION, min(ONE, reputation))


def reputations(round: Round, settlement: Settlement, now: Sequence[int]) -> tuple[int, ...]:
    """Every participant's reputation after the payout.

    Args:
        now: their reputations with the round's aggregator just before it, in index order. Not those of the
            reveals: another round may have been paid out since.
    """
    ratings: list[list[int]] = [[] for _ in round.participants]
    for participant, purchases in zip(round.participants, counted_rows(round, settlement), strict=True):
        if participant.rating is not None and not participant.rejected:
            for purchase in purchases:
                ratings[purchase.seller].append(participant.rating)
    return tuple(
        reputation_after(reputation, missing=not trades, ratings=given)
        for reputation, trades, given in zip(now, _trading(round, settlement.excluded), ratings, strict=True)
    )


def _trading(round: Round, excluded: Collection[int]) -> Iterator[bool]:
    """Whether each participant's row counts."""
    return (trades(round, excluded, index) for index in range(len(round.participants)))


def revealed(round: Round, index: int) -> Reveal:
    """What a participant revealed. Raises WrongPhase where it did not."""
    reveal = round.participants[index].reveal
    if reveal is None:
        raise WrongPhase(f"participant {index} of round {round.number} did not reveal")
    return reveal


def _similarities(round: Round) -> NDArray[np.int64]:
    """`n x n`, 2**16 = 1."""
    return similarity_matrix(sketches(round), round.terms.similarity_floor)


def _paid(purchases: Row) -> int:
    return sum(purchase.price for purchase in purchases)
