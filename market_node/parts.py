"""What a participant's credit is made of, part by part. Pure: the parts add up to what `settlement` credits."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

from .records import Round, Settlement
from .settlement import counted_rows, refunds, rejects


class Why(Enum):
    """What a part is for."""

    DEPOSIT = auto()
    HIDDEN = auto()
    """The reveal bond: the bid was not revealed."""
    EXCLUDED = auto()
    """The reveal bond: the model was excluded."""
    FEE = auto()
    REJECTION = auto()
    """The reveal bond: it rejected its delivery."""
    SHARE = auto()
    """Of the reveal bonds that others lost."""
    BOUGHT = auto()
    SOLD = auto()
    UNPAID = auto()
    """A sale to a buyer that rejected its delivery, whose price is burnt: 0."""
    FAULT = auto()
    """Of the bond, and of lost reveal bonds, in a round that is void by its aggregator."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a credit, base units, negative where the participant pays."""

    why: Why
    amount: int
    other: int | None = None
    """The index of the participant at the other side of a trade."""


def payout_parts(round_: Round, settlement: Settlement, index: int) -> list[Part]:
    """Of a participant's credit where the round is paid out."""
    return list(_payout_parts(round_, settlement, index))


def refund_parts(round_: Round, index: int, *, with_fault: bool) -> list[Part]:
    """Of a participant's credit where the round is void."""
    mine = round_.participants[index]
    rest = refunds(round_, with_fault=with_fault).credits[index] - mine.deposit
    why = Why.HIDDEN if mine.reveal is None else Why.FAULT if with_fault else Why.SHARE
    return [Part(Why.DEPOSIT, mine.deposit), *([Part(why, rest)] if rest else [])]


def _payout_parts(round_: Round, settlement: Settlement, index: int) -> Iterator[Part]:
    terms, participants = round_.terms, round_.participants
    mine, rows = participants[index], counted_rows(round_, settlement)
    missing = sum(each.reveal is None for each in participants)
    yield Part(Why.DEPOSIT, mine.deposit)
    if mine.reveal is None:
        yield Part(Why.HIDDEN, -terms.reveal_bond)
    elif index in settlement.excluded:
        yield Part(Why.EXCLUDED, -terms.reveal_bond)
    else:
        yield Part(Why.FEE, -terms.fee)
        if rejects(mine, rows[index]):
            yield Part(Why.REJECTION, -terms.reveal_bond)
    if mine.reveal is not None and missing:
        yield Part(Why.SHARE, terms.reveal_bond * missing // (len(participants) - missing))
    for purchase in rows[index]:
        yield Part(Why.BOUGHT, -purchase.price, purchase.seller)
    for buyer, row in enumerate(rows):
        for purchase in row:
            if purchase.seller == index:
                unpaid = rejects(participants[buyer], row)
                yield Part(Why.UNPAID if unpaid else Why.SOLD, 0 if unpaid else purchase.price, buyer)
