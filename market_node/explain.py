"""How a payment, a price or an exclusion came about, recomputed from the round alone. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from .mechanism import candidates, choose, effective_samples, gain, row, surplus
from .parts import Why, payout_parts
from .records import NOT_SELLING, ONE, Round, Settlement
from .settlement import offers_to, payout, revealed, sketches
from .sketch import similarity_to


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an account's statement; the lines add up to its credit. Base units, negative where it pays."""

    text: str
    amount: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one buyer's row says of one seller, and why."""

    seller: int
    similarity: int
    """To the buyer, above the floor, 2**16 = 1."""
    believed: int
    """Samples that its claim counts for: no more than its reputation has earned."""
    size: int
    """Effective samples for this buyer."""
    worth: int
    """What it would bring alone, base units."""
    cost: int
    price: int | None
    """What it is paid; None where it is not bought."""
    reason: str


TEXTS = {
    Why.DEPOSIT: "deposit",
    Why.HIDDEN: "reveal bond, lost: the bid was not revealed",
    Why.EXCLUDED: "reveal bond, burnt: its model was excluded",
    Why.FEE: "fee to the aggregator",
    Why.REJECTION: "reveal bond, burnt: it rejected its delivery",
    Why.SHARE: "share of the reveal bonds that {missing} lost",
    Why.BOUGHT: "paid to {other}",
    Why.SOLD: "paid by {other}",
    Why.UNPAID: "burnt: {other} rejected its delivery",
}


def statement(round_: Round, settlement: Settlement, index: int) -> list[Line]:
    """The lines of a participant's account at payout; their sum is its credit."""
    missing = sum(each.reveal is None for each in round_.participants)
    parts = payout_parts(round_, settlement, index)
    assert sum(part.amount for part in parts) == payout(round_, settlement).credits[index]
    return [Line(TEXTS[part.why].format(missing=missing, other=part.other), part.amount) for part in parts]


def verdicts(round_: Round, settlement: Settlement, buyer: int) -> list[Verdict]:
    """What the buyer's true row says of every other participant, in index order.

    Empty where the buyer did not reveal, is excluded or does not buy.
    """
    reveal = round_.participants[buyer].reveal
    if reveal is None or buyer in settlement.excluded or reveal.bid.value == 0:
        return []
    return list(_verdicts(round_, settlement, buyer))


def _verdicts(round_: Round, settlement: Settlement, buyer: int) -> Iterator[Verdict]:
    reveal = revealed(round_, buyer)
    value, samples = reveal.bid.value, reveal.bid.samples
    alike = similarity_to(reveal.sketch, sketches(round_), round_.terms.similarity_floor)
    offers = {offer.seller: offer for offer in offers_to(buyer, round_, settlement.excluded, alike)}
    looked_at, _ = candidates(value, samples, list(offers.values()), round_.terms.max_sellers)
    places = {offer.seller: place for place, offer in enumerate(choose(value, samples, looked_at), 1)}
    prices = {
        purchase.seller: purchase.price
        for purchase in row(value, samples, list(offers.values()), round_.terms.max_sellers)
    }
    for seller, participant in enumerate(round_.participants):
        if seller == buyer:
            continue
        offer = offers.get(seller)
        if offer is None:
            reason = _not_eligible(round_, settlement, buyer, seller)
        elif seller in places:
            reason = f"bought, number {places[seller]} by cost per sample"
        elif surplus(value, samples, offer) < 0:
            reason = "not worth its cost"
        elif offer in looked_at:
            reason = "adds less than it costs to what was taken before it"
        else:
            reason = f"left out: {round_.terms.max_sellers} others bring more for what they cost"
        yield Verdict(
            seller=seller,
            similarity=alike[seller],
            believed=_believed(round_, seller),
            size=offer.size if offer else 0,
            worth=gain(value, samples, offer.size) if offer else 0,
            cost=participant.reveal.bid.cost if participant.reveal else 0,
            price=prices.get(seller),
            reason=reason,
        )


def _not_eligible(round_: Round, settlement: Settlement, buyer: int, seller: int) -> str:
    reveal = round_.participants[seller].reveal
    if reveal is None:
        return "did not reveal"
    if seller in settlement.excluded:
        return "excluded"
    if reveal.bid.cost == NOT_SELLING:
        return "does not sell"
    if reveal.reputation < revealed(round_, buyer).bid.min_reputation:
        return "its reputation is below what the buyer asks for"
    return "not similar enough"


def _believed(round_: Round, seller: int) -> int:
    reveal = round_.participants[seller].reveal
    return (
        0 if reveal is None else effective_samples(reveal.bid.samples, reveal.reputation, round_.terms.max_samples, ONE)
    )
