"""The values that every module shares. Amounts are base units of the market's token, fractions have 2**16 = 1."""

from dataclasses import dataclass

ONE = 1 << 16
"""A reputation, similarity or weight of 1."""

LEAST_VALUE = 1 << 20
"""The smallest value a buyer can bid: below it, rounding would matter."""

NOT_SELLING = (1 << 96) - 1
"""The cost that means "I do not sell"."""

LEAST_REPUTATION = ONE // 32
"""Where every reputation starts, and below which none falls."""

SKETCH_SIZE = 1024
"""Buckets of a sketch, one signed byte each."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What an aggregator promises when it opens a round, and what it asks. Times are in seconds."""

    task: bytes
    fee: int
    reveal_bond: int
    bond: int
    max_samples: int
    similarity_floor: int
    max_sellers: int
    max_participants: int
    commit_deadline: int
    draw_time: int
    reveal_time: int
    settle_time: int
    challenge_time: int
    refute_time: int


@dataclass(frozen=True, slots=True)
class Bid:
    """What a participant says in secret at commit and in public at reveal."""

    value: int
    cost: int
    samples: int
    min_reputation: int


@dataclass(frozen=True, slots=True)
class Model:
    """The model behind a bid."""

    cid: bytes
    """sha2-256 digest of the sealed file's root block, 32 bytes."""
    root: bytes
    """Merkle root over the blocks of fixed-point weights inside it, 32 bytes."""


@dataclass(frozen=True, slots=True)
class Reveal:
    """What a reveal makes public."""

    bid: Bid
    reputation: int
    model: Model
    sketch: bytes
    """`SKETCH_SIZE` signed bytes."""
    sealed_key: bytes = b""


@dataclass(frozen=True, slots=True)
class Participant:
    """One account in one round. Its index is its place in `Round.participants`."""

    account: str
    deposit: int
    sealed_bid: bytes = b""
    model: Model | None = None
    encryption_key: bytes = b""
    reveal: Reveal | None = None
    rating: int | None = None
    """Hundredths; None where it did not rate."""
    rejected: bool = False


@dataclass(frozen=True, slots=True)
class Purchase:
    """One edge of the graph: the buyer whose row it stands in imports the seller's model."""

    seller: int
    price: int


Row = tuple[Purchase, ...]


@dataclass(frozen=True, slots=True)
class Settlement:
    """All rows, in index order, and who was excluded. Everything else is derived from it."""

    excluded: frozenset[int]
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Claim:
    """What a challenger says: that these are the buyer's candidates, with the first seller left out."""

    buyer: int
    listed: tuple[int, ...]
    """Indices, in order of merit: `max_sellers` + 1 of them unless fewer are eligible."""
    last_merit: int
    """Of the last one listed, as `mechanism.merit` has it; 0 where none is."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """Somebody's word that a row is wrong. Its number is its place in `Round.challenges`."""

    challenger: str
    claim: Claim
    refuter: str | None = None
    """Who showed that the claim is false; None while it stands."""
    refunded: int | None = None
    """What the challenger got, its bond included, when the round was void; None before."""


@dataclass(frozen=True, slots=True)
class Round:
    """A round as its logs tell it."""

    number: int
    aggregator: str
    terms: Terms
    encryption_key: bytes = b""
    """The aggregator's."""
    participants: tuple[Participant, ...] = ()
    seed: bytes | None = None
    reveal_order: tuple[int, ...] = ()
    settlement: Settlement | None = None
    deliveries: bytes | None = None
    challenges: tuple[Challenge, ...] = ()
