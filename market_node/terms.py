"""What a round's terms allow: the same limits as the contract's, so that a node says no before it costs gas."""

from dataclasses import dataclass

from .errors import BadInput
from .records import LEAST_VALUE, NOT_SELLING, ONE, Bid, Terms

MOST_SELLERS = 32
MOST_PARTICIPANTS = 1024
MOST_PURCHASES = 8192
"""maxParticipants · maxSellers at most, so that a settlement is one transaction."""

BOND_FACTOR = 16
"""A bond is at least, a deposit at most, so many reveal bonds."""


@dataclass(frozen=True, slots=True)
class Exposure:
    """What a commit puts at stake. Amounts in base units, times in seconds since the epoch."""

    deposit: int
    """Locked by the commit."""
    until: int
    """When the round has ended whatever anybody does, and `payout` or `refund` gives back what is left."""
    without_reveal: int
    """Lost by not revealing."""
    honest: int
    """Lost at most when an auditor watches: the fee, and the value of what is bought in return."""
    worst: int
    """Lost at most when nobody audits a wrong settlement: all of the deposit."""


def deposit_range(terms: Terms) -> tuple[int, int]:
    """The least and the most that a commit may lock, base units."""
    return terms.fee + terms.reveal_bond + terms.max_sellers, BOND_FACTOR * terms.reveal_bond


def deposit_needed(terms: Terms, bid: Bid) -> int:
    """What the deposit must cover at reveal, base units: one unit per seller is room for rounding."""
    return bid.value + deposit_range(terms)[0]


def last_second(terms: Terms) -> int:
    """When a round of these terms has ended, whatever anybody does. Seconds since the epoch."""
    return terms.commit_deadline + sum(
        (terms.draw_time, terms.reveal_time, terms.settle_time, terms.challenge_time, terms.refute_time)
    )


def exposure(terms: Terms, bid: Bid, deposit: int) -> Exposure:
    """What committing `bid` with `deposit` puts at stake."""
    spent = bid.value + terms.max_sellers if bid.value else 0
    return Exposure(deposit, last_second(terms), terms.reveal_bond, terms.fee + spent, deposit)


def check_bid(bid: Bid) -> None:
    """Raises BadInput where the contract would refuse the bid at reveal, when it is too late."""
    if bid.value != 0 and not LEAST_VALUE <= bid.value < 1 << 96:
        raise BadInput(f"a value of {bid.value} does not fit: 0 (sell only), or {LEAST_VALUE} … 2**96 - 1 base units")
    if not 0 <= bid.cost <= NOT_SELLING:
        raise BadInput(f"a cost of {bid.cost} does not fit: 0 … 2**96 - 1 base units")
    if not 1 <= bid.samples < 1 << 64:
        raise BadInput(f"{bid.samples} samples do not fit: 1 … 2**64 - 1")
    if not 0 <= bid.min_reputation <= ONE:
        raise BadInput(f"a minReputation of {bid.min_reputation} does not fit: 0 … {ONE}")


def choose_deposit(terms: Terms, bid: Bid, available: int, asked: int | None = None) -> int:
    """The deposit to lock with `bid`, base units.

    Args:
        available: what the account's balance covers.
        asked: by default the most that the terms allow and the balance covers, which says least about the value.

    Raises:
        BadInput: no deposit fits, or the one asked for does not.
    """
    check_bid(bid)
    least, most = deposit_needed(terms, bid), deposit_range(terms)[1]
    if least > most:
        raise BadInput(
            f"a value of {bid.value} needs a deposit of {least}; this round allows {most}: bid a lower value"
        )
    deposit = min(most, max(available, least)) if asked is None else asked
    if deposit < least:
        raise BadInput(f"a deposit of {deposit} is too small: this bid in this round needs {least} … {most}")
    if deposit > most:
        raise BadInput(f"a deposit of {deposit} is too large: this bid in this round needs {least} … {most}")
    if deposit > available:
        raise BadInput(f"a deposit of {deposit} is more than the {available} available: fund the account first")
    return deposit
