"""How a wrong row is proven wrong, and a false proof contradicted: pure functions of a round, as Judge.sol checks them.

Whoever says that a buyer's row is wrong lists the buyer's candidates and the first seller left out. From a true list
follows the true row. A false one leaves out somebody who belongs there, and that one is enough to refute it.
"""

from dataclasses import dataclass

from .codec import encode_excluded, row_hash, rows_hash
from .errors import BadInput
from .mechanism import Offer, candidates, merit
from .records import Bid, Claim, Model, Round, Row, Settlement
from .settlement import offers_to, revealed, settle, sketches, standing, trades
from .sketch import similarity_to


@dataclass(frozen=True, slots=True)
class BidRecord:
    """What a reveal left on chain, as hash: this makes it known again."""

    index: int
    bid: Bid
    reputation: int
    model: Model
    sketch: bytes


@dataclass(frozen=True, slots=True)
class Proof:
    """All that `Market.challenge` is told about a row."""

    buyer: BidRecord
    row_hashes: tuple[bytes, ...]
    """Of every row as it was settled, in index order."""
    excluded: tuple[int, ...]
    """Bitmap, as it was settled."""
    listed: tuple[BidRecord, ...]
    """The buyer's candidates and the first seller left out, in order of merit."""


@dataclass(frozen=True, slots=True)
class Refutation:
    """All that `Market.refute` is told about a claim."""

    claim: Claim
    buyer: BidRecord
    seller: BidRecord
    """Belongs into the claim's list and is not there."""
    excluded: tuple[int, ...]
    rows_hash: bytes


def claim(round: Round, buyer: int) -> Claim:
    """What is true of a buyer that trades in a settled round: whoever claims something else can be refuted."""
    bid, ranked = revealed(round, buyer).bid, _ranked(round, buyer)
    last = merit(bid.value, bid.samples, ranked[-1]) if ranked else 0
    return Claim(buyer, tuple(offer.seller for offer in ranked), last)


def corrections(round: Round) -> dict[int, Row]:
    """Buyer → what its row must be, of each whose posted row is another one.

    A row of who does not trade is none: it counts as empty, whatever was posted.
    """
    settlement = _settled(round)
    true = settle(round, settlement.excluded).rows
    differing = (buyer for buyer, posted in enumerate(settlement.rows) if posted != true[buyer])
    return {buyer: true[buyer] for buyer in differing if trades(round, settlement.excluded, buyer)}


def wrong_rows(round: Round) -> tuple[int, ...]:
    """The buyers whose posted row is not theirs."""
    return tuple(corrections(round))


def proof(round: Round, buyer: int) -> Proof:
    """What `Market.challenge` computes a buyer's row from. Nobody can refute it.

    Raises:
        BadInput: the round is not settled, or the buyer is excluded.
        WrongPhase: the buyer did not reveal.
    """
    settlement = _settled(round)
    if not trades(round, settlement.excluded, buyer):
        raise BadInput(f"participant {buyer} of round {round.number} does not trade: its row counts as empty")
    return Proof(
        record(round, buyer),
        tuple(map(row_hash, settlement.rows)),
        encode_excluded(settlement.excluded, len(round.participants)),
        tuple(record(round, offer.seller) for offer in _ranked(round, buyer)),
    )


def refutation(round: Round, said: Claim) -> Refutation | None:
    """What shows that a claim, which the contract let pass, is false; None where it is true."""
    return _refutation(round, said, claim(round, said.buyer))


def verdicts(round: Round) -> dict[int, Refutation | None]:
    """What refutes each challenge that nobody has refuted; None where it is true, and the settlement wrong."""
    still_open = {number: round.challenges[number].claim for number in standing(round)}
    true = {buyer: claim(round, buyer) for buyer in {said.buyer for said in still_open.values()}}
    return {number: _refutation(round, said, true[said.buyer]) for number, said in still_open.items()}


def record(round: Round, index: int) -> BidRecord:
    """The bid record of a participant that revealed. Raises WrongPhase where it did not."""
    reveal = revealed(round, index)
    return BidRecord(index, reveal.bid, reveal.reputation, reveal.model, reveal.sketch)


def _refutation(round: Round, said: Claim, true: Claim) -> Refutation | None:
    settlement = _settled(round)
    missing = next((seller for seller in true.listed if seller not in said.listed), None)
    if missing is None:
        return None
    return Refutation(
        said,
        record(round, said.buyer),
        record(round, missing),
        encode_excluded(settlement.excluded, len(round.participants)),
        rows_hash(settlement.rows),
    )


def _ranked(round: Round, buyer: int) -> list[Offer]:
    """The buyer's candidates and the first one left out, in order of merit."""
    bid = revealed(round, buyer).bid
    everybodys = sketches(round)
    similarities = similarity_to(everybodys[buyer], everybodys, round.terms.similarity_floor)
    offers = offers_to(buyer, round, _settled(round).excluded, similarities)
    looked_at, left_out = candidates(bid.value, bid.samples, offers, round.terms.max_sellers)
    return looked_at if left_out is None else [*looked_at, left_out]


def _settled(round: Round) -> Settlement:
    if round.settlement is None:
        raise BadInput(f"round {round.number} is not settled")
    return round.settlement
