"""Challenges of right settlements with one thing changed."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random

from market_node.judge import BidRecord, Proof, proof, record
from market_node.records import Round


@dataclass(frozen=True)
class Case:
    """The true proof of a right row, which is to become a false one."""

    rng: Random
    round: Round
    true: Proof
    elsewhere: Round
    """Another round, with records of its own."""

    def listing(self, listed: list[BidRecord]) -> Proof:
        return replace(self.true, listed=tuple(listed))

    def strangers(self) -> list[BidRecord]:
        """Who revealed and is not listed."""
        known = {each.index for each in self.true.listed}
        return [
            record(self.round, index)
            for index, participant in enumerate(self.round.participants)
            if participant.reveal is not None and index not in known
        ]


def omission(case: Case) -> Proof | None:
    listed = list(case.true.listed)
    if not listed:
        return None
    del listed[case.rng.randrange(len(listed))]
    return case.listing(listed)


def replaced_by_the_next(case: Case) -> Proof | None:
    """As if one or two of the listed had not revealed: whoever comes next takes their places."""
    listed = [each.index for each in case.true.listed]
    if not listed:
        return None
    gone = case.rng.sample(listed, min(len(listed), case.rng.choice([1, 1, 2])))
    others = revealed_only(case.round, lambda index: index not in gone)
    return case.listing(list(proof(others, case.true.buyer.index).listed))


def addition(case: Case) -> Proof | None:
    """Somebody more, anywhere; a full list loses its last for that."""
    strangers, listed = case.strangers(), list(case.true.listed)
    if not strangers:
        return None
    listed.insert(case.rng.randint(0, len(listed)), case.rng.choice(strangers))
    return case.listing(listed[: case.round.terms.max_sellers + 1])


def reordering(case: Case) -> Proof | None:
    listed = list(case.true.listed)
    case.rng.shuffle(listed)
    return None if listed == list(case.true.listed) else case.listing(listed)


def too_short(case: Case) -> Proof | None:
    listed = list(case.true.listed)
    return case.listing(listed[: case.rng.randrange(len(listed))]) if listed else None


def too_long(case: Case) -> Proof | None:
    listed = [*case.true.listed, *case.strangers(), case.true.buyer]
    missing = case.round.terms.max_sellers + 2 - len(listed)
    return case.listing([*listed, *[case.true.buyer] * missing])


def somebody_twice(case: Case) -> Proof | None:
    listed = list(case.true.listed)
    if not listed:
        return None
    at = case.rng.randrange(len(listed))
    return case.listing([*listed[: at + 1], listed[at], *listed[at + 1 :]][: case.round.terms.max_sellers + 1])


def of_another_round(case: Case) -> Proof | None:
    """One record is what its participant revealed elsewhere."""
    listed = list(case.true.listed)
    known = [each.reveal is not None for each in case.elsewhere.participants]
    places = [at for at, each in enumerate(listed) if each.index < len(known) and known[each.index]]
    if not places:
        return None
    at = case.rng.choice(places)
    listed[at] = record(case.elsewhere, listed[at].index)
    return case.listing(listed)


def altered_record(case: Case) -> Proof | None:
    """One number of one record is not what was revealed."""
    listed = list(case.true.listed)
    if not listed:
        return None
    at = case.rng.randrange(len(listed))
    old = listed[at]
    sketch = bytes([old.sketch[0] ^ 1]) + old.sketch[1:]
    listed[at] = case.rng.choice(
        [
            replace(old, bid=replace(old.bid, cost=old.bid.cost // 2)),
            replace(old, bid=replace(old.bid, samples=old.bid.samples + 1)) if old.bid.samples < 1 << 63 else old,
            replace(old, reputation=old.reputation + 1),
            replace(old, sketch=sketch),
            replace(old, index=old.index ^ 1),
            replace(old, model=replace(old.model, root=bytes(32))),
        ]
    )
    return None if listed[at] == old else case.listing(listed)


def altered_buyer(case: Case) -> Proof | None:
    bid = case.true.buyer.bid
    return replace(case.true, buyer=replace(case.true.buyer, bid=replace(bid, value=bid.value + 1)))


def other_rows(case: Case) -> Proof | None:
    """The hash of a row that was not settled."""
    hashes = list(case.true.row_hashes)
    hashes[case.true.buyer.index] = case.rng.randbytes(32)
    return replace(case.true, row_hashes=tuple(hashes))


def other_exclusions(case: Case) -> Proof | None:
    words = list(case.true.excluded)
    words[0] ^= 1 << case.rng.randrange(len(case.round.participants))
    return replace(case.true, excluded=tuple(words))


FALSEHOODS: tuple[Callable[[Case], Proof | None], ...] = (
    omission,
    replaced_by_the_next,
    addition,
    reordering,
    too_short,
    too_long,
    somebody_twice,
    of_another_round,
    altered_record,
    altered_buyer,
    other_rows,
    other_exclusions,
)


def revealed_only(round_: Round, kept: Callable[[int], bool]) -> Round:
    """The round as if only some had revealed."""
    pairs = enumerate(round_.participants)
    return replace(round_, participants=tuple(p if kept(i) else replace(p, reveal=None) for i, p in pairs))
