"""Mutants: right settlements with one thing changed, each to be voided by one challenge; and challenges of right
settlements with one thing changed, each to be reverted or refuted. Against the real contracts, from a seed.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random

from market_node.codec import rows_hash
from market_node.errors import Reverted
from market_node.judge import Proof, Refutation, claim, proof, record, refutation, wrong_rows
from market_node.phases import Phase
from market_node.records import Claim, Round, Settlement
from market_node.settlement import challenge_bond, refunds, settle, trades
from tests.campaign.falsehoods import FALSEHOODS, Case, revealed_only
from tests.campaign.mutations import MUTATIONS, Subject
from tests.evm import AUDITOR, FORTUNE, MALLORY, OPERATOR, PHASE, Evm, attempt
from tests.unit.rounds import random_exclusions, random_round

__all__ = ["FALSEHOODS", "MUTATIONS", "Campaign", "Tally", "outcomes"]

MOST_PARTICIPANTS = 64


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
        return claim(revealed_only(settled, known.__contains__), false.buyer.index)


def outcomes(tally: Tally) -> Iterator[tuple[str, int, str]]:
    """(kind, how many were tried, what became of them), in the order above."""
    for mutation in MUTATIONS:
        kind = mutation.__name__
        yield kind, tally.voided[kind] + tally.survived[kind], f"{tally.voided[kind]} voided"
    for falsehood in FALSEHOODS:
        kind = falsehood.__name__
        reverted, refuted, hurt = tally.reverted[kind], tally.refuted[kind], tally.hurt[kind]
        yield kind, reverted + refuted + hurt, f"{reverted} reverted, {refuted} refuted"
