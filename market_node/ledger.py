"""What happened in a market's rounds, from its logs alone: a pure fold, one method per event."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from .audit import Trail
from .codec import decode_excluded, decode_listed, decode_rows
from .contracts import Event, checksum
from .errors import BadInput, ChainError
from .records import LEAST_REPUTATION, Bid, Challenge, Claim, Model, Participant, Reveal, Round, Settlement, Terms
from .settlement import reputations


@dataclass(frozen=True, slots=True)
class Ledger:
    """What a market's logs tell. A value: `replay` makes the next one."""

    rounds: Mapping[int, Round] = field(default_factory=dict)
    trails: Mapping[int, Trail] = field(default_factory=dict)
    """By round, what the escrow and the reputations did."""
    reputations: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """(Aggregator, account) → reputation, where a payout ever touched it. Recomputed: no log says it."""
    encryption_keys: Mapping[str, bytes] = field(default_factory=dict)
    """Account → the key that is in force for what it does next."""
    awaited: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    """By round, whose credits the escrow's next `Credited` begins with, as indices."""
    ending: Mapping[int, int] = field(default_factory=dict)
    """By round, the challenge whose end the escrow's next `Credited` pays for."""


def replay(events: Iterable[Event], ledger: Ledger = Ledger()) -> Ledger:
    """The ledger after more events, in the order of the chain. Events that it does not know change nothing.

    Raises:
        ChainError: an event without those that must come before it, so the endpoint has left some out.
    """
    fold = _Fold(
        dict(ledger.rounds),
        dict(ledger.trails),
        dict(ledger.reputations),
        dict(ledger.encryption_keys),
        dict(ledger.awaited),
        dict(ledger.ending),
    )
    for event in events:
        if step := _STEPS.get(event.name):
            step(fold, **event.arguments)
    return Ledger(fold.rounds, fold.trails, fold.reputations, fold.encryption_keys, fold.awaited, fold.ending)


@dataclass(slots=True)
class _Fold:
    """A ledger in the making. One method per event."""

    rounds: dict[int, Round]
    trails: dict[int, Trail]
    reputations: dict[tuple[str, str], int]
    encryption_keys: dict[str, bytes]
    awaited: dict[int, tuple[int, ...]]
    ending: dict[int, int]

    # --- the round ---

    def key_set(self, account: str, key: bytes) -> None:
        self.encryption_keys[account] = key

    def opened(self, round: int, aggregator: str, terms: dict[str, Any], encryption_key: bytes) -> None:
        self.rounds[round] = Round(round, aggregator, Terms(**terms), encryption_key)
        self.trails[round] = Trail()

    def committed(
        self,
        round: int,
        account: str,
        index: int,
        deposit: int,
        sealed_bid: bytes,
        model: dict[str, bytes],
        encryption_key: bytes,
    ) -> None:
        before = self._round(round)
        if index != len(before.participants):
            raise ChainError(f"logs of round {round} are missing: the commit of participant {len(before.participants)}")
        participant = Participant(account, deposit, sealed_bid, Model(**model), encryption_key)
        self.rounds[round] = replace(before, participants=(*before.participants, participant))

    def drawn(self, round: int, seed: bytes) -> None:
        self.rounds[round] = replace(self._round(round), seed=seed)

    def revealed(
        self,
        round: int,
        index: int,
        account: str,
        bid: dict[str, int],
        reputation: int,
        model: dict[str, bytes],
        sketch: bytes,
        sealed_key: bytes,
    ) -> None:
        reveal = Reveal(Bid(**bid), reputation, Model(**model), sketch, sealed_key)
        self._participant(round, index, reveal=reveal)
        self.rounds[round] = replace(self.rounds[round], reveal_order=(*self.rounds[round].reveal_order, index))
        due = self.reputations.get((self.rounds[round].aggregator, account), LEAST_REPUTATION)
        trail = self.trails[round]
        self.trails[round] = replace(trail, reputations=(*trail.reputations, (index, due, reputation)))

    def settled(self, round: int, excluded: tuple[int, ...], rows: bytes, deliveries: bytes) -> None:
        before = self._round(round)
        n = len(before.participants)
        settlement = None
        # The contract accepts only what decodes. Should it err, one round must not end the reading of all.
        with suppress(BadInput):
            settlement = Settlement(decode_excluded(excluded, n), decode_rows(rows, n, before.terms.max_sellers))
        self.rounds[round] = replace(before, settlement=settlement, deliveries=deliveries)

    def rated(self, round: int, index: int, rating: int) -> None:
        self._participant(round, index, rating=rating)

    def rejected(self, round: int, index: int) -> None:
        self._participant(round, index, rejected=True)

    # --- challenges ---

    def challenged(self, round: int, challenge: int, challenger: str, claim: dict[str, Any]) -> None:
        before = self._round(round)
        if challenge != len(before.challenges):
            raise ChainError(f"logs of round {round} are missing: challenge {len(before.challenges)}")
        said = Claim(claim["buyer"], decode_listed(claim["listed"]), claim["last_merit"])
        if said.buyer >= len(before.participants):
            raise ChainError(f"logs of round {round} are missing: the commit of participant {said.buyer}")
        self.rounds[round] = replace(before, challenges=(*before.challenges, Challenge(challenger, said)))

    def refuted(self, round: int, challenge: int, refuter: str) -> None:
        self._challenge(round, challenge, refuter=refuter)

    def challenge_refunded(self, round: int, challenge: int, challenger: str, amount: int) -> None:
        self._challenge(round, challenge, refunded=amount)

    # --- the money: the market says whom it pays, then the escrow says how much ---

    def paid_out(self, round: int, **span: int) -> None:
        self._pays(round, span["from"], span["to"])

    def refunded(self, round: int, **span: int) -> None:
        self._pays(round, span["from"], span["to"])
        self.trails[round] = replace(self.trails[round], refunded=True)

    def aggregator_paid(self, round: int, aggregator: str, amount: int) -> None:
        self.trails[round] = replace(self._trail(round), aggregator=amount)

    def credited(self, round: int, credits: tuple[int, ...]) -> None:
        trail, whose, ended = self._trail(round), self.awaited.pop(round, ()), self.ending.pop(round, None)
        due = len(whose) if ended is None else 1
        if len(credits) < due:
            raise ChainError(f"logs of round {round} are missing: {due} were paid, {len(credits)} credited")
        if ended is not None:
            self.trails[round] = replace(trail, rewards={**trail.rewards, ended: _credit(credits[0])})
            return
        # What follows the participants' is the aggregator's, and is in the market's events.
        paid = dict(trail.credits)
        for word in credits[: len(whose)]:
            account, amount = _credit(word)
            paid[account] = paid.get(account, 0) + amount
        self.trails[round] = replace(trail, credits=paid, paid=trail.paid | set(whose))
        if not trail.refunded:
            self._judge(round, whose)

    def burnt(self, round: int, amount: int) -> None:
        trail = self._trail(round)
        self.trails[round] = replace(trail, burnt=trail.burnt + amount)

    def _judge(self, round: int, whose: Iterable[int]) -> None:
        """What a payout does to the reputations of those that it pays."""
        round_ = self.rounds[round]
        if round_.settlement is None:
            return
        keys = [(round_.aggregator, each.account) for each in round_.participants]
        now = [self.reputations.get(key, LEAST_REPUTATION) for key in keys]
        after = reputations(round_, round_.settlement, now)
        self.reputations |= {keys[index]: after[index] for index in whose}

    # --- what the steps share ---

    def _round(self, number: int) -> Round:
        if number not in self.rounds:
            raise ChainError(f"logs of round {number} are missing: its opening; is from_block too late?")
        return self.rounds[number]

    def _trail(self, number: int) -> Trail:
        self._round(number)
        return self.trails[number]

    def _participant(self, number: int, index: int, **changes: Any) -> None:
        before = self._round(number)
        if index >= len(before.participants):
            raise ChainError(f"logs of round {number} are missing: the commit of participant {index}")
        participants = list(before.participants)
        participants[index] = replace(participants[index], **changes)
        self.rounds[number] = replace(before, participants=tuple(participants))

    def _challenge(self, number: int, challenge: int, **changes: Any) -> None:
        challenges = list(self._round(number).challenges)
        if challenge >= len(challenges):
            raise ChainError(f"logs of round {number} are missing: challenge {len(challenges)}")
        challenges[challenge] = replace(challenges[challenge], **changes)
        self.rounds[number] = replace(self.rounds[number], challenges=tuple(challenges))
        self.ending[number] = challenge

    def _pays(self, round: int, start: int, end: int) -> None:
        paid = self._trail(round).paid
        self.awaited[round] = tuple(index for index in range(start, end) if index not in paid)


def _credit(word: int) -> tuple[str, int]:
    """Account and base units, as the escrow packs them."""
    return checksum(f"0x{word & (1 << 160) - 1:040x}"), word >> 160


_STEPS: dict[str, Callable[..., None]] = {
    "EncryptionKeySet": _Fold.key_set,
    "RoundOpened": _Fold.opened,
    "Committed": _Fold.committed,
    "SeedDrawn": _Fold.drawn,
    "BidRevealed": _Fold.revealed,
    "RoundSettled": _Fold.settled,
    "DeliveryRated": _Fold.rated,
    "DeliveryRejected": _Fold.rejected,
    "PaidOut": _Fold.paid_out,
    "Refunded": _Fold.refunded,
    "AggregatorPaid": _Fold.aggregator_paid,
    "ChallengeOpened": _Fold.challenged,
    "ChallengeRefuted": _Fold.refuted,
    "ChallengeRefunded": _Fold.challenge_refunded,
    "Credited": _Fold.credited,
    "Burnt": _Fold.burnt,
}
