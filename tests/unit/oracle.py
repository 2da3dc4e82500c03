"""The slow, obvious versions that the fast ones are tested against.

Written from docs/protocol.md alone: fractions where the fast versions cross-multiply, bisection where they
have a formula, one account at a time where they keep a ledger. Of the modules under test, only the shapes of
their values are imported.
"""

from collections.abc import Callable, Collection, Sequence
from fractions import Fraction
from functools import lru_cache
from itertools import combinations

from market_node.mechanism import Offer
from market_node.records import LEAST_REPUTATION, NOT_SELLING, ONE, Purchase, Round, Row, Settlement
from market_node.settlement import Payout, Refund

MOST = (1 << 96) - 1


def highest(holds: Callable[[int], bool], least: int, most: int) -> int:
    """The highest in `least` ... `most` that `holds`; `least` does, and nothing above one that does not."""
    while least < most:
        middle = (least + most + 1) // 2
        least, most = (middle, most) if holds(middle) else (least, middle - 1)
    return least


# --- one buyer's row ---


@lru_cache(maxsize=1 << 18)
def gain(value: int, samples: int, imported: int) -> int:
    """Value less its share floor(√(N / (N + x))), the root in units of 2**-96, found by trying."""
    root = highest(lambda r: r * r * (samples + imported) <= samples << 192, 0, 1 << 96)
    return value - value * root // (1 << 96)


def marginal(value: int, samples: int, imported: int, size: int) -> int:
    return gain(value, samples, imported + size) - gain(value, samples, imported)


def effective_samples(samples: int, reputation: int, max_samples: int, similarity: int) -> int:
    limit = Fraction(reputation, ONE) * max_samples // 1
    return Fraction(similarity, ONE) * min(samples, limit) // 1


@lru_cache(maxsize=1 << 18)
def root(amount: int) -> int:
    """In units of 2**-48, rounded down, by trying."""
    return highest(lambda r: r * r <= amount << 96, 0, 1 << 97)


def merit(value: int, samples: int, offer: Offer) -> int:
    return root(gain(value, samples, offer.size)) - root(offer.cost)


def candidates(value: int, samples: int, offers: Sequence[Offer], most: int) -> tuple[list[Offer], Offer | None]:
    """Takes the best again and again, and then the next one."""
    waiting = [] if value == 0 else [o for o in offers if gain(value, samples, o.size) >= o.cost]
    taken: list[Offer] = []
    while waiting:
        best = waiting[0]
        for offer in waiting[1:]:
            ahead = merit(value, samples, offer) - merit(value, samples, best)
            if ahead > 0 or (ahead == 0 and offer.seller < best.seller):
                best = offer
        if len(taken) == most:
            return taken, best
        taken.append(best)
        waiting.remove(best)
    return taken, None


def choose(value: int, samples: int, offers: Sequence[Offer]) -> list[Offer]:
    chosen: list[Offer] = []
    for offer in sorted(offers, key=lambda o: (Fraction(o.cost, o.size), o.seller)):
        imported = sum(o.size for o in chosen)
        if marginal(value, samples, imported, offer.size) < offer.cost:
            break
        chosen.append(offer)
    return chosen


def with_cost(offers: Sequence[Offer], seller: int, cost: int) -> list[Offer]:
    return [Offer(o.seller, cost, o.size) if o.seller == seller else o for o in offers]


def is_bought(value: int, samples: int, offers: Sequence[Offer], most: int, seller: int, cost: int) -> bool:
    """Whether the buyer would buy from the seller at another cost: candidates, choice and all."""
    looked_at, _ = candidates(value, samples, with_cost(offers, seller, cost), most)
    return any(offer.seller == seller for offer in choose(value, samples, looked_at))


def critical_cost(value: int, samples: int, offers: Sequence[Offer], most: int, seller: int, guess: int) -> int:
    """The highest cost at which the buyer buys from the seller, or -1. The guess only makes it faster."""

    def bought(cost: int) -> bool:
        return cost < 0 or is_bought(value, samples, offers, most, seller, cost)

    step = 1
    if bought(guess):
        while guess + step <= MOST and bought(guess + step):
            step *= 2
        return highest(bought, guess, min(MOST, guess + step) - 1)
    while guess - step >= 0 and not bought(guess - step):
        step *= 2
    return highest(bought, max(-1, guess - step), guess - 1)


def row(value: int, samples: int, offers: Sequence[Offer], most: int) -> Row:
    """The choice, each at the highest cost at which the buyer would still buy, by bisection."""
    looked_at, _ = candidates(value, samples, offers, most)
    chosen = choose(value, samples, looked_at)
    prices = [highest(lambda c, o=o: is_bought(value, samples, offers, most, o.seller, c), 0, MOST) for o in chosen]
    return tuple(Purchase(o.seller, price) for o, price in zip(chosen, prices, strict=True))


def welfare(value: int, samples: int, chosen: Collection[Offer]) -> int:
    return gain(value, samples, sum(o.size for o in chosen)) - sum(o.cost for o in chosen)


def greatest_welfare(value: int, samples: int, offers: Sequence[Offer], most: int) -> int:
    """Over every set of at most `most` sellers."""
    sets = (s for k in range(min(most, len(offers)) + 1) for s in combinations(offers, k))
    return max(welfare(value, samples, each) for each in sets)


def marginal_payments(value: int, samples: int, offers: Sequence[Offer]) -> dict[int, int]:
    """The rule in the code of arXiv 2505.02462: what the seller adds to the rest, held fixed."""
    chosen = choose(value, samples, offers)
    total = sum(o.size for o in chosen)
    return {o.seller: marginal(value, samples, total - o.size, o.size) for o in chosen}


# --- a round ---


def similarity(sketches: Sequence[bytes], floor: int) -> list[list[int]]:
    def signed(sketch: bytes) -> list[int]:
        return [byte - 256 if byte > 127 else byte for byte in sketch]

    def dot(a: bytes, b: bytes) -> int:
        return sum(x * y for x, y in zip(signed(a), signed(b), strict=True))

    def similar(a: bytes, b: bytes) -> int:
        norms = dot(a, a) * dot(b, b)
        if norms == 0:
            return 0
        square = max(0, dot(a, b)) ** 2
        cosine = highest(lambda c: c * c * norms <= square << 32, 0, ONE)
        return Fraction(max(0, cosine - floor), ONE - floor) * ONE // 1

    return [[similar(a, b) for b in sketches] for a in sketches]


def settle(round: Round, excluded: frozenset[int]) -> Settlement:
    terms = round.terms
    present = [i for i, p in enumerate(round.participants) if p.reveal is not None and i not in excluded]
    similarities = similarity([round.participants[i].reveal.sketch for i in present], terms.similarity_floor)
    rows: list[Row] = [() for _ in round.participants]
    for i, similar in zip(present, similarities, strict=True):
        buyer = round.participants[i].reveal
        offers = []
        for j, sim in zip(present, similar, strict=True):
            seller = round.participants[j].reveal
            size = effective_samples(seller.bid.samples, seller.reputation, terms.max_samples, sim)
            believed = seller.reputation >= buyer.bid.min_reputation
            if i != j and seller.bid.cost != NOT_SELLING and believed and size > 0:
                offers.append(Offer(j, seller.bid.cost, size))
        rows[i] = row(buyer.bid.value, buyer.bid.samples, offers, terms.max_sellers)
    return Settlement(excluded, tuple(rows))


def payout(round: Round, settlement: Settlement) -> Payout:
    """Each account's credit by the equation of docs/protocol.md; the aggregator gets what is left."""
    terms, n = round.terms, len(round.participants)
    revealed = [i for i in range(n) if round.participants[i].reveal is not None]
    paying = [i for i in revealed if i not in settlement.excluded]
    rows: list[Row] = [() for _ in range(n)]
    for i in paying:
        posted = settlement.rows[i]
        limit = round.participants[i].deposit - terms.fee - terms.reveal_bond
        if not any(p.seller >= n for p in posted) and not sum(p.price for p in posted) > limit:
            rows[i] = posted
    rejecting = [i for i in paying if round.participants[i].rejected and rows[i] != ()]
    lost = terms.reveal_bond * (n - len(revealed))

    burnt = 0
    credits = []
    for i in range(n):
        credit = round.participants[i].deposit
        credit += sum(p.price for b in range(n) if b not in rejecting for p in rows[b] if p.seller == i)
        if i in revealed:
            credit += lost // len(revealed)
        else:
            credit -= terms.reveal_bond
        if i in paying:
            credit -= terms.fee + sum(p.price for p in rows[i])
        if i in revealed and i not in paying:
            credit -= terms.reveal_bond
            burnt += terms.reveal_bond
        if i in rejecting:
            credit -= terms.reveal_bond
            burnt += terms.reveal_bond + terms.fee + sum(p.price for p in rows[i])
        credits.append(credit)
    pot = sum(p.deposit for p in round.participants) + terms.bond
    return Payout(tuple(credits), burnt, pot - burnt - sum(credits))


def refunds(round: Round, with_fault: bool, challengers: int) -> Refund:
    """Each part of the bond into its own purse, and what stays in the purses burnt."""
    terms = round.terms
    revealed = [p.reveal is not None for p in round.participants]
    m, lost = sum(revealed), terms.reveal_bond * (len(revealed) - sum(revealed))
    if not with_fault:
        if m == 1:
            credits = [
                p.deposit + (lost if r else -terms.reveal_bond)
                for p, r in zip(round.participants, revealed, strict=True)
            ]
        else:
            credits = [p.deposit for p in round.participants]
        return Refund(tuple(credits), 0, terms.bond, 0)
    for_challengers, for_revealed = min(terms.bond // 4, 8 * terms.reveal_bond), terms.bond // 4 + lost
    reward = for_challengers // challengers if challengers else 0
    share = for_revealed // m
    credits = [
        p.deposit + (share if r else -terms.reveal_bond) for p, r in zip(round.participants, revealed, strict=True)
    ]
    pot = sum(p.deposit for p in round.participants) + terms.bond
    return Refund(tuple(credits), pot - sum(credits) - reward * challengers, 0, reward)


def reputation_after(reputation: int, missing: bool, ratings: Sequence[int]) -> int:
    if missing:
        factor = Fraction(1, 2)
    elif not ratings:
        factor = Fraction(1)
    elif len(ratings) < 3:
        factor = Fraction(3, 4) + Fraction(sum(ratings), len(ratings)) / 200
    else:
        factor = Fraction(1, 2) + Fraction(sum(ratings), len(ratings)) / 100
    return min(ONE, max(LEAST_REPUTATION, reputation * factor // 1))
