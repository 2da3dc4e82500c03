"""Mutants: right settlements with one thing changed, each to be voided by one challenge; and challenges of right
settlements with one thing changed, each to be reverted or refuted. Against the real contracts, from a seed.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from random import Random

from market_node.codec import rows_hash
from market_node.errors import Reverted
from market_node.judge import BidRecord, Proof, Refutation, claim, proof, record, refutation, wrong_rows
from market_node.phases import Phase
from market_node.records import LEAST_REPUTATION, ONE, Claim, Purchase, Round, Row, Settlement
from market_node.settlement import challenge_bond, refunds, settle, trades
from tests.evm import AUDITOR, FORTUNE, MALLORY, OPERATOR, PHASE, Evm, attempt
from tests.unit.rounds import random_exclusions, random_round

MOST_PARTICIPANTS = 64

Rows = tuple[Row, ...]


# --- settlements with one thing changed ---


def _change(rows: Rows, buyer: int, row: Row) -> Rows:
    return (*rows[:buyer], row, *rows[buyer + 1 :])


@dataclass(frozen=True)
class Subject:
    """A right settlement, and a buyer whose row is to become wrong."""

    rng: Random
    round: Round
    true: Settlement
    buyer: int

    @property
    def row(self) -> Row:
        return self.true.rows[self.buyer]

    def changed(self, row: Row) -> Settlement:
        return replace(self.true, rows=_change(self.true.rows, self.buyer, row))

    def others(self) -> list[int]:
        """Whom the row does not buy from."""
        sellers = {purchase.seller for purchase in self.row}
        return [i for i in range(len(self.round.participants)) if i not in sellers]


def _price(subject: Subject, by: int) -> Settlement | None:
    if not subject.row:
        return None
    at = subject.rng.randrange(len(subject.row))
    purchase = subject.row[at]
    if purchase.price + by < 0:
        return None
    changed = replace(purchase, price=purchase.price + by)
    return subject.changed((*subject.row[:at], changed, *subject.row[at + 1 :]))


def price_above(subject: Subject) -> Settlement | None:
    return _price(subject, 1)


def price_below(subject: Subject) -> Settlement | None:
    return _price(subject, -1)


def swapped_sellers(subject: Subject) -> Settlement | None:
    """Two sellers change places, the prices stay."""
    if len(subject.row) < 2:
        return None
    row = list(subject.row)
    a, b = subject.rng.sample(range(len(row)), 2)
    row[a], row[b] = replace(row[a], seller=row[b].seller), replace(row[b], seller=row[a].seller)
    return subject.changed(tuple(row))


def omitted_seller(subject: Subject) -> Settlement | None:
    if not subject.row:
        return None
    at = subject.rng.randrange(len(subject.row))
    return subject.changed(subject.row[:at] + subject.row[at + 1 :])


def invented_seller(subject: Subject) -> Settlement | None:
    """One whom the buyer does not choose, or who does not even exist."""
    seller = subject.rng.choice([*subject.others(), len(subject.round.participants), 65_535])
    purchase = Purchase(seller, subject.rng.choice([0, 1, 1_000]))
    full = len(subject.row) == subject.round.terms.max_sellers
    return subject.changed((*(subject.row[:-1] if full else subject.row), purchase))


def another_order(subject: Subject) -> Settlement | None:
    if len(subject.row) < 2:
        return None
    row = list(subject.row)
    subject.rng.shuffle(row)
    return subject.changed(tuple(row))


def stale_reputation(subject: Subject) -> Settlement | None:
    """The row as it would be if one seller had another reputation than its reveal found."""
    round_, seller = subject.round, subject.rng.randrange(len(subject.round.participants))
    reveal = round_.participants[seller].reveal
    if reveal is None:
        return None
    before_or_after = subject.rng.choice([reveal.reputation * 2 // 3, reveal.reputation * 3 // 2])
    other = max(LEAST_REPUTATION, min(ONE, before_or_after))
    participants = list(round_.participants)
    participants[seller] = replace(participants[seller], reveal=replace(reveal, reputation=other))
    stale = settle(replace(round_, participants=tuple(participants)), subject.true.excluded)
    return subject.changed(stale.rows[subject.buyer])


def excluded_seller(subject: Subject) -> Settlement | None:
    """The row as it would be if one seller were not excluded, which it is; or the other way round."""
    seller = subject.rng.randrange(len(subject.round.participants))
    other = settle(subject.round, subject.true.excluded ^ {seller})
    return subject.changed(other.rows[subject.buyer])


def row_of_another(subject: Subject) -> Settlement | None:
    return subject.changed(subject.rng.choice(subject.true.rows))


def moved_amount(subject: Subject) -> Settlement | None:
    """One unit less for one buyer, one more for another: the sum stays."""
    others = [buyer for buyer, row in enumerate(subject.true.rows) if row and buyer != subject.buyer]
    cheaper = price_below(subject)
    if cheaper is None or not others:
        return None
    return price_above(replace(subject, true=cheaper, buyer=subject.rng.choice(others)))


def no_row(subject: Subject) -> Settlement | None:
    return subject.changed(())


def twice_the_same(subject: Subject) -> Settlement | None:
    if not subject.row or len(subject.row) == subject.round.terms.max_sellers:
        return None
    return subject.changed((*subject.row, subject.rng.choice(subject.row)))


MUTATIONS: tuple[Callable[[Subject], Settlement | None], ...] = (
    price_above,
    price_below,
    swapped_sellers,
    omitted_seller,
    invented_seller,
    another_order,
    stale_reputation,
    excluded_seller,
    row_of_another,
    moved_amount,
    no_row,
    twice_the_same,
)


# --- challenges with one thing changed ---


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
    others = _revealed_only(case.round, lambda index: index not in gone)
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


def _revealed_only(round_: Round, kept: Callable[[int], bool]) -> Round:
    """The round as if only some had revealed."""
    pairs = enumerate(round_.participants)
    return replace(round_, participants=tuple(p if kept(i) else replace(p, reveal=None) for i, p in pairs))


# --- the campaign ---


@dataclass
class Tally:
    """What a campaign saw, by kind."""

    rounds: int = 0
    voided: Counter[str] = field(default_factory=Counter)
    survived: Counter[str] = field(default_factory=Counter)
    """Mutants that no challenge voided: must stay empty."""
    reverted: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    """Of reverts, by the contract's name for them."""
    refuted: Counter[str] = field(default_factory=Counter)
    hurt: Counter[str] = field(default_factory=Counter)
    """False challenges that voided a right settlement: must stay empty."""


class Campaign:
    """Plays random rounds and tries everything on each."""

    def __init__(self, seed: str) -> None:
        self.rng = Random(f"campaign {seed}")
        self.evm = Evm(MOST_PARTICIPANTS)
        self.tally = Tally()
        self._elsewhere = self._round(8)

    def run(self, mutants: int, falsehoods: int) -> Tally:
        """Until that many were tried of each."""
        tally = self.tally
        while tally.voided.total() < mutants or tally.reverted.total() + tally.refuted.total() < falsehoods:
            if tally.survived or tally.hurt:
                break
            round_ = self._round(self.rng.choice([2, 3, 4, 5, 8, 8, 13, 13, 32, MOST_PARTICIPANTS]))
            settlement = settle(round_, random_exclusions(self.rng, round_))
            buyers = [b for b in range(len(round_.participants)) if trades(round_, settlement.excluded, b)]
            if not buyers:
                continue
            tally.rounds += 1
            self._try_mutants(round_, settlement, buyers)
            self._try_falsehoods(round_, settlement, buyers)
        return tally

    def _round(self, n: int) -> Round:
        """In a market whose escrow holds less than 2**96 in all."""
        while 16 * (drawn := random_round(self.rng, n, fresh=True)).terms.bond > FORTUNE:
            pass
        return self.evm.play(drawn)

    def _sample(self, buyers: list[int]) -> list[int]:
        return self.rng.sample(buyers, min(len(buyers), 4))

    # --- mutants ---

    def _try_mutants(self, round_: Round, true: Settlement, buyers: list[int]) -> None:
        for mutation in MUTATIONS:
            for buyer in self._sample(buyers):
                mutant = mutation(Subject(self.rng, round_, true, buyer))
                if mutant is not None and mutant.rows != true.rows:
                    with self.evm.undone():
                        self._try_mutant(mutation.__name__, round_, mutant)

    def _try_mutant(self, kind: str, round_: Round, mutant: Settlement) -> None:
        settled = self.evm.settle(round_, mutant)
        buyer = self.rng.choice(wrong_rows(settled))
        reason = attempt(self.evm, AUDITOR, round_.number, proof(settled, buyer))
        stands = not reason and not self._anybody_refutes(settled, buyer)
        self.evm.warp(2 * PHASE)
        if stands and self.evm.phase(round_.number) == Phase.VOID and self._refunds(settled):
            self.tally.voided[kind] += 1
        else:
            self.tally.survived[kind] += 1

    def _anybody_refutes(self, settled: Round, buyer: int) -> bool:
        """Tries everyone as the seller that the true claim leaves out."""
        said, rows = claim(settled, buyer), rows_hash(settled.settlement.rows)
        true = proof(settled, buyer)
        for index, participant in enumerate(settled.participants):
            if participant.reveal is None:
                continue
            words = Refutation(said, true.buyer, record(settled, index), true.excluded, rows)
            with suppress(Reverted), self.evm.undone():
                self.evm.refute(MALLORY, settled.number, 0, words)
                return True
        return False

    def _refunds(self, settled: Round) -> bool:
        """Whether the money of the void round goes where the rules say, the challenger's reward too."""
        who = (*(each.account for each in settled.participants), OPERATOR, AUDITOR)
        due = refunds(settled, with_fault=True, challengers=[AUDITOR])
        bond = challenge_bond(settled.terms)
        before = [self.evm.available(each) for each in who]
        self.evm.refund(settled, 0)
        gained = [self.evm.available(each) - earlier for each, earlier in zip(who, before, strict=True)]
        expected = [*due.credits, due.aggregator, bond + due.challenger]
        return gained == expected and self.evm.pot(settled.number) == 0

    # --- false challenges ---

    def _try_falsehoods(self, round_: Round, true: Settlement, buyers: list[int]) -> None:
        settled = self.evm.settle(round_, true)
        for falsehood in FALSEHOODS:
            for buyer in self._sample(buyers):
                false = falsehood(Case(self.rng, settled, proof(settled, buyer), self._elsewhere))
                if false is not None and false != proof(settled, buyer):
                    with self.evm.undone():
                        self._try_falsehood(falsehood.__name__, settled, false)
        for index, participant in enumerate(settled.participants):
            if participant.reveal is not None and self.rng.random() < 0.9:  # so that reputations differ, and grow
                self.evm.rate(settled, index, self.rng.choice([0, 75, 100, 100, 100]))
        self.evm.warp(PHASE)
        self.evm.pay_out(settled)

    def _try_falsehood(self, kind: str, settled: Round, false: Proof) -> None:
        if reason := attempt(self.evm, MALLORY, settled.number, false):
            self.tally.reverted[kind] += 1
            self.tally.reasons[reason] += 1
            return
        found = refutation(settled, self._said(settled, false))
        if found is not None:
            before = self.evm.available(AUDITOR)
            self.evm.refute(AUDITOR, settled.number, 0, found)
            assert self.evm.available(AUDITOR) == before + challenge_bond(settled.terms)
        self.evm.warp(PHASE)
        counts = self.tally.refuted if self.evm.phase(settled.number) == Phase.PAYOUT else self.tally.hurt
        counts[kind] += 1

    def _said(self, settled: Round, false: Proof) -> Claim:
        """What the contract emitted for a list that it let pass: what would be true if nobody else had revealed."""
        known = {false.buyer.index, *(each.index for each in false.listed)}
        return claim(_revealed_only(settled, known.__contains__), false.buyer.index)


def outcomes(tally: Tally) -> Iterator[tuple[str, int, str]]:
    """(kind, how many were tried, what became of them), in the order above."""
    for mutation in MUTATIONS:
        kind = mutation.__name__
        yield kind, tally.voided[kind] + tally.survived[kind], f"{tally.voided[kind]} voided"
    for falsehood in FALSEHOODS:
        kind = falsehood.__name__
        reverted, refuted, hurt = tally.reverted[kind], tally.refuted[kind], tally.hurt[kind]
        yield kind, reverted + refuted + hurt, f"{reverted} reverted, {refuted} refuted"
