"""A true claim is never refuted, a false one always: on random rounds, every list that the contract takes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from random import Random

import oracle
import pytest
from rounds import account, random_exclusions, random_round, spoilt

from market_node.codec import bid_record, encode_excluded, row_hash, rows_hash
from market_node.errors import BadInput, WrongPhase
from market_node.judge import claim, corrections, proof, record, refutation, verdicts, wrong_rows
from market_node.records import NOT_SELLING, Challenge, Claim, Purchase, Round
from market_node.settlement import settle

ROUNDS = 120


@dataclass(frozen=True)
class Eligible:
    """A seller that the contract would take into a list."""

    seller: int
    merit: int


def eligible(round_: Round, buyer: int) -> list[Eligible]:
    """Everyone, one condition after the other, best first: written from docs/protocol.md, for one buyer at a time."""
    terms, own = round_.terms, round_.participants[buyer].reveal
    found = []
    for seller, participant in enumerate(round_.participants):
        theirs = participant.reveal
        if theirs is None or seller == buyer or seller in round_.settlement.excluded or own.bid.value == 0:
            continue
        similar = oracle.similarity([own.sketch, theirs.sketch], terms.similarity_floor)[0][1]
        size = oracle.effective_samples(theirs.bid.samples, theirs.reputation, terms.max_samples, similar)
        worth = oracle.gain(own.bid.value, own.bid.samples, size)
        sells = theirs.bid.cost != NOT_SELLING and theirs.reputation >= own.bid.min_reputation
        if sells and size > 0 and worth >= theirs.bid.cost:
            found.append(Eligible(seller, oracle.root(worth) - oracle.root(theirs.bid.cost)))
    return sorted(found, key=lambda each: (-each.merit, each.seller))


def claim_of(buyer: int, listed: Sequence[Eligible]) -> Claim:
    return Claim(buyer, tuple(each.seller for each in listed), listed[-1].merit if listed else 0)


def trading(round_: Round) -> list[int]:
    excluded = round_.settlement.excluded
    return [i for i, each in enumerate(round_.participants) if each.reveal is not None and i not in excluded]


@dataclass(frozen=True)
class Case:
    """One buyer of a settled round, as the slow version sees it."""

    round: Round
    buyer: int
    eligible: list[Eligible]

    @property
    def most(self) -> int:
        return self.round.terms.max_sellers + 1

    @property
    def true(self) -> Claim:
        return claim_of(self.buyer, self.eligible[: self.most])

    def passing(self) -> Iterator[Claim]:
        """Every claim that the contract lets pass: any eligible sellers, in order, one more than a row at most."""
        for length in range(min(len(self.eligible), self.most) + 1):
            for listed in combinations(self.eligible, length):
                yield claim_of(self.buyer, listed)

    def accepts(self, said: Claim, seller: int) -> bool:
        """Whether the contract lets a seller refute a claim."""
        found = next((each for each in self.eligible if each.seller == seller), None)
        if found is None or seller in said.listed:
            return False
        last = (-said.last_merit, said.listed[-1]) if said.listed else None
        return len(said.listed) < self.most or (-found.merit, seller) < last


@pytest.fixture(scope="module")
def settled() -> list[Round]:
    """Rounds with their right settlement."""
    rng = Random(4)
    rounds = (random_round(rng) for _ in range(ROUNDS))
    return [replace(each, settlement=settle(each, random_exclusions(rng, each))) for each in rounds]


@pytest.fixture(scope="module")
def cases(settled) -> list[Case]:
    """Every buyer that trades in one of them."""
    return [Case(round_, buyer, eligible(round_, buyer)) for round_ in settled for buyer in trading(round_)]


# --- claims ---


def test_a_claim_is_the_candidates_and_the_first_one_left_out(cases):
    assert all(claim(case.round, case.buyer) == case.true for case in cases)
    assert {len(case.true.listed) for case in cases} >= {0, 1, 2, 3, 4}


def test_a_true_claim_is_never_refuted(cases):
    assert all(refutation(case.round, case.true) is None for case in cases)


def test_no_seller_at_all_would_refute_a_true_claim(cases):
    for case in cases:
        assert not any(case.accepts(case.true, seller) for seller in range(len(case.round.participants)))


def test_every_false_claim_that_passes_is_refuted_by_a_seller_that_the_contract_accepts(cases):
    false = [(case, said) for case in cases for said in case.passing() if said != case.true]
    for case, said in false:
        found = refutation(case.round, said)
        assert found is not None
        assert case.accepts(said, found.seller.index)
    assert len(false) > 600
    assert sum(len(said.listed) == case.most for case, said in false) > 30, "full lists are the harder ones"


def test_a_refutation_holds_what_the_contract_compares(settled):
    round_ = next(each for each in settled if claim(each, trading(each)[0]).listed)
    buyer = trading(round_)[0]
    said = Claim(buyer, (), 0)
    found = refutation(round_, said)
    assert found.claim == said
    assert found.buyer == record(round_, buyer)
    assert found.rows_hash == rows_hash(round_.settlement.rows)
    assert found.excluded == encode_excluded(round_.settlement.excluded, len(round_.participants))


# --- challenges ---


def test_of_many_challenges_the_open_ones_are_judged(settled):
    mallory, auditor = account(50), account(51)
    judged = 0
    for round_ in settled:
        buyers = [buyer for buyer in trading(round_) if claim(round_, buyer).listed]
        for buyer in buyers[:1]:
            false, true = Claim(buyer, (), 0), claim(round_, buyer)
            challenges = (
                Challenge(mallory, false, refuter=auditor),
                Challenge(mallory, false),
                Challenge(auditor, true),
            )
            assert verdicts(replace(round_, challenges=challenges)) == {1: refutation(round_, false), 2: None}
            judged += 1
    assert judged > 20


# --- rows ---


def test_wrong_rows_are_exactly_the_mutated_rows_of_those_that_trade(settled):
    rng = Random(5)
    wrong_ones = ignored = 0
    for round_ in settled:
        wrong = spoilt(rng, round_, round_.settlement)
        differing = [i for i, row in enumerate(wrong.rows) if row != round_.settlement.rows[i]]
        expected = tuple(i for i in differing if i in trading(round_))
        mutated = replace(round_, settlement=wrong)
        assert wrong_rows(mutated) == expected
        assert corrections(mutated) == {i: round_.settlement.rows[i] for i in expected}
        wrong_ones += len(expected)
        ignored += len(differing) - len(expected)
    assert wrong_ones > 50
    assert ignored > 5


def test_a_right_settlement_has_no_wrong_rows(settled):
    assert not any(wrong_rows(round_) for round_ in settled)


def test_a_row_that_was_posted_for_a_pure_seller_is_wrong_and_its_proof_lists_nobody(settled):
    round_, buyer = next(
        (each, i) for each in settled for i in trading(each) if each.participants[i].reveal.bid.value == 0
    )
    rows = list(round_.settlement.rows)
    rows[buyer] = (Purchase(0, 1),)
    wrong = replace(round_, settlement=replace(round_.settlement, rows=tuple(rows)))
    assert wrong_rows(wrong) == (buyer,)
    assert proof(wrong, buyer).listed == ()


def test_a_proof_lists_the_claim_s_bid_records(settled):
    for round_ in settled:
        for buyer in trading(round_)[:2]:
            given = proof(round_, buyer)
            assert tuple(each.index for each in given.listed) == claim(round_, buyer).listed
            assert given.row_hashes == tuple(map(row_hash, round_.settlement.rows))
            assert given.buyer == record(round_, buyer)


def test_a_bid_record_is_what_a_reveal_leaves(settled):
    round_ = settled[0]
    index = trading(round_)[0]
    kept, reveal = record(round_, index), round_.participants[index].reveal
    assert (kept.index, kept.bid, kept.sketch) == (index, reveal.bid, reveal.sketch)
    told = bid_record(kept.index, kept.bid, kept.reputation, kept.sketch, kept.model)
    assert told == bid_record(index, reveal.bid, reveal.reputation, reveal.sketch, reveal.model)


def test_who_does_not_trade_cannot_be_challenged_for(settled):
    round_, excluded = next((each, i) for each in settled for i in each.settlement.excluded)
    with pytest.raises(BadInput, match="does not trade"):
        proof(round_, excluded)
    round_, silent = next((each, i) for each in settled for i, p in enumerate(each.participants) if p.reveal is None)
    with pytest.raises(BadInput, match="does not trade"):
        proof(round_, silent)
    with pytest.raises(WrongPhase, match="did not reveal"):
        claim(round_, silent)


def test_a_round_that_is_not_settled_has_nothing_to_judge(settled):
    with pytest.raises(BadInput, match="is not settled"):
        wrong_rows(replace(settled[0], settlement=None))


def test_the_right_purchases_in_another_order_are_wrong():
    rng, found = Random("order"), 0
    for _ in range(ROUNDS):
        round_ = random_round(rng)
        true = settle(round_, frozenset())
        for buyer, row in enumerate(true.rows):
            if len(row) >= 2:
                rows = (*true.rows[:buyer], row[::-1], *true.rows[buyer + 1 :])
                assert wrong_rows(replace(round_, settlement=replace(true, rows=rows))) == (buyer,)
                found += 1
    assert found > 20, "too few long rows to mean anything"
