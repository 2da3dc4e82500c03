"""Rounds to try things on: random ones that a market would accept, and settlements wrong on purpose."""

from dataclasses import replace
from random import Random

from market_node.records import (
    LEAST_REPUTATION,
    LEAST_VALUE,
    NOT_SELLING,
    ONE,
    SKETCH_SIZE,
    Bid,
    Model,
    Participant,
    Purchase,
    Reveal,
    Round,
    Row,
    Settlement,
    Terms,
)

MOST = (1 << 96) - 1
ZERO_SKETCH = bytes(SKETCH_SIZE)


def terms(**changes: object) -> Terms:
    """Plain terms: fee 10, reveal bond 2**24, every claim up to 6,400 samples believed of a newcomer."""
    plain = Terms(
        task=bytes(range(32)),
        fee=10,
        reveal_bond=1 << 24,
        bond=1 << 30,
        max_samples=6_400 * 32,
        similarity_floor=ONE // 10,
        max_sellers=8,
        max_participants=32,
        commit_deadline=1_700_000_000,
        draw_time=3_600,
        reveal_time=3_600,
        settle_time=3_600,
        challenge_time=3_600,
        refute_time=3_600,
    )
    return replace(plain, **changes)


def account(index: int) -> str:
    return f"0x{index + 1:040x}"


def sketch(rng: Random, base: list[int], noise: int) -> bytes:
    """1,024 signed bytes: the base, -60 ... 60, with noise of up to `noise` <= 60 on each."""
    return bytes((x + rng.randint(-noise, noise)) & 0xFF for x in base)


def family(rng: Random) -> list[int]:
    """What the sketches of one kind of data have in common."""
    return [rng.randint(-60, 60) for _ in range(SKETCH_SIZE)]


def random_sketch(rng: Random, families: list[list[int]]) -> bytes:
    base = rng.choice(families)
    kind = rng.random()
    if kind < 0.03:
        return ZERO_SKETCH
    if kind < 0.06:
        return bytes(-x & 0xFF for x in base)  # a sign flip: similar to nobody
    if kind < 0.12:
        return bytes(x & 0xFF for x in base)  # the same as another such one
    return sketch(rng, base, rng.choice([5, 20, 60]))


def random_round(rng: Random, n: int | None = None, *, fresh: bool = False) -> Round:
    """A round that a market would accept, with ties, missing reveals, ratings and rejections.

    Args:
        fresh: every reputation is where it starts.
    """
    n = rng.randint(2, 9) if n is None else n
    scale = rng.choice([LEAST_VALUE, LEAST_VALUE, 10**12, 10**18, 1 << 88])
    max_sellers = rng.choice([1, 2, 3, 8])
    reveal_bond = scale // rng.choice([1, 1, 2]) + rng.randrange(100)
    families = [family(rng) for _ in range(rng.choice([1, 1, 2]))]
    chosen_terms = terms(
        fee=rng.choice([0, 10, reveal_bond // 20]),
        reveal_bond=reveal_bond,
        bond=16 * reveal_bond + rng.randrange(1000),
        max_samples=rng.choice([320, 6_400, 64_000]) * (32 if fresh else 1),
        similarity_floor=rng.choice([0, ONE // 10, ONE // 2, ONE - 1]) if rng.random() < 0.3 else ONE // 10,
        max_sellers=max_sellers,
    )

    def participant(index: int) -> Participant:
        committed = Participant(
            account(index),
            0,
            rng.randbytes(32),
            Model(rng.randbytes(32), rng.randbytes(32)),
            rng.randbytes(32),
        )
        least = chosen_terms.fee + reveal_bond + max_sellers
        if rng.random() < 0.12:
            return replace(committed, deposit=rng.randint(least, 16 * reveal_bond))
        value = rng.choice([0, scale, rng.randint(scale, 6 * scale), rng.randint(scale, 6 * scale)])
        cost = rng.choice([0, scale // 10, scale // 5, rng.randrange(scale), rng.randrange(scale // 4), NOT_SELLING])
        bid = Bid(
            value,
            cost,
            samples=rng.choice([1, 100, 3_000, rng.randint(1, 10_000), (1 << 64) - 1]),
            min_reputation=rng.choice([0, 0, LEAST_REPUTATION, 3_000]),
        )
        reveal = Reveal(
            bid,
            LEAST_REPUTATION
            if fresh
            else rng.choice([LEAST_REPUTATION, 3_000, ONE, rng.randint(LEAST_REPUTATION, ONE)]),
            committed.model,
            random_sketch(rng, families),
        )
        opinion = rng.random()
        return replace(
            committed,
            deposit=rng.randint(value + least, 16 * reveal_bond) if rng.random() < 0.7 else value + least,
            reveal=reveal,
            rating=rng.choice([0, 75, 100, rng.randint(0, 100)]) if opinion < 0.7 else None,
            rejected=opinion >= 0.8,
        )

    participants = tuple(participant(index) for index in range(n))
    order = [index for index in range(n) if participants[index].reveal is not None]
    rng.shuffle(order)
    if len(order) < 2:
        return random_round(rng, n, fresh=fresh)
    return Round(1, account(10**6), chosen_terms, rng.randbytes(32), participants, rng.randbytes(32), tuple(order))


def random_exclusions(rng: Random, round: Round) -> frozenset[int]:
    """Nobody more often than not; also some that did not reveal, whom it does not touch."""
    share = rng.choice([0, 0, 0.2])
    return frozenset(index for index in range(len(round.participants)) if rng.random() < share)


def spoilt(rng: Random, round: Round, settlement: Settlement) -> Settlement:
    """A settlement with some rows that are wrong in every way that `settle` on chain lets pass."""
    n, terms = len(round.participants), round.terms

    def wrong(buyer: int, row: Row) -> Row:
        room = max(0, round.participants[buyer].deposit - terms.fee - terms.reveal_bond)
        price = rng.choice([0, room // 3, room, room + 1, MOST])
        seller = rng.choice([rng.randrange(n), buyer, n, 65_535])
        added = Purchase(seller, price)
        return rng.choice([(), row[:-1], (added,), (*row[1:], added), (added, *row), (added, added)])[
            : terms.max_sellers
        ]

    rows = (wrong(b, row) if rng.random() < 0.5 else row for b, row in enumerate(settlement.rows))
    return replace(settlement, rows=tuple(rows))
