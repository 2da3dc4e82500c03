"""What happened in a market's rounds, from its logs alone: a pure fold (`replay`), and one reader that feeds it.

Logs are taken from an endpoint that may leave some out, and `check` compares what they add up to with the words that
the contract keeps.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Any

from .audit import Trail
from .chain import Chain
from .codec import decode_excluded, decode_rows, encode_excluded, rows_hash, settlement_word
from .contracts import Event, checksum
from .errors import BadInput, ChainError
from .records import LEAST_REPUTATION, Bid, Model, Participant, Reveal, Round, Settlement, Terms
from .settlement import reputations, reveals_hash

CHECKPOINTS = 16
"""How many refreshes back a reorganisation is undone without reading everything again."""


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
    )
    for event in events:
        if step := _STEPS.get(event.name):
            step(fold, **event.arguments)
    return Ledger(fold.rounds, fold.trails, fold.reputations, fold.encryption_keys, fold.awaited)


@dataclass(slots=True)
class _Fold:
    """A ledger in the making. One method per event."""

    rounds: dict[int, Round]
    trails: dict[int, Trail]
    reputations: dict[tuple[str, str], int]
    encryption_keys: dict[str, bytes]
    awaited: dict[int, tuple[int, ...]]

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

    # --- the money: the market says whom it pays, then the escrow says how much ---

    def paid_out(self, round: int, **span: int) -> None:
        self._pays(round, span["from"], span["to"])

    def refunded(self, round: int, **span: int) -> None:
        self._pays(round, span["from"], span["to"])
        self.trails[round] = replace(self.trails[round], refunded=True)

    def aggregator_paid(self, round: int, aggregator: str, amount: int) -> None:
        self.trails[round] = replace(self._trail(round), aggregator=amount)

    def credited(self, round: int, credits: tuple[int, ...]) -> None:
        trail, whose = self._trail(round), self.awaited.pop(round, ())
        if len(credits) < len(whose):
            raise ChainError(f"logs of round {round} are missing: {len(whose)} were paid, {len(credits)} credited")
        # What follows the participants' is the aggregator's or a challenger's, and is in the market's events.
        paid = dict(trail.credits)
        for word in credits[: len(whose)]:
            account = checksum(f"0x{word & (1 << 160) - 1:040x}")
            paid[account] = paid.get(account, 0) + (word >> 160)
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

    def _pays(self, round: int, start: int, end: int) -> None:
        paid = self._trail(round).paid
        self.awaited[round] = tuple(index for index in range(start, end) if index not in paid)


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
    "Credited": _Fold.credited,
    "Burnt": _Fold.burnt,
}


class History:
    """The one reader of a market's logs in a process: no block is read twice, but where the chain was reorganised.

    Threads may share it.
    """

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self._lock = Lock()
        self._checkpoints: deque[tuple[int, bytes, Ledger]] = deque(maxlen=CHECKPOINTS)
        """Block, its hash, and the ledger up to and with it; the newest last."""

    @property
    def ledger(self) -> Ledger:
        """As of the last refresh."""
        return self._checkpoints[-1][2] if self._checkpoints else Ledger()

    def refresh(self) -> Ledger:
        """Reads what is new.

        Raises:
            Unreachable, ChainError: nothing is changed, and the next refresh starts where this one did.
        """
        endpoint = self.chain.endpoint
        with self._lock:
            while self._checkpoints and endpoint.block_hash(self._checkpoints[-1][0]) != self._checkpoints[-1][1]:
                self._checkpoints.pop()
            start = self._checkpoints[-1][0] + 1 if self._checkpoints else self.chain.from_block
            head = endpoint.block() - endpoint.confirmations + 1
            if head >= start:
                # Asked for first: should the chain be reorganised while the logs are read, the hash will not match.
                if (digest := endpoint.block_hash(head)) is None:
                    raise ChainError(f"{endpoint.name} has lost block {head}; try again")
                self._checkpoints.append((head, digest, replay(self.chain.events(start, head), self.ledger)))
            return self.ledger

    def round(self, number: int) -> Round:
        """A round as of the last refresh. Raises BadInput where there is none."""
        try:
            return self.ledger.rounds[number]
        except KeyError:
            raise BadInput(
                f"there is no round {number}; the last one is {max(self.ledger.rounds, default=0)}"
            ) from None

    def trail(self, number: int) -> Trail:
        """What the escrow and the reputations did for a round, as of the last refresh."""
        self.round(number)
        return self.ledger.trails[number]

    def check(self, number: int) -> Round:
        """A round whose logs are all there: what they add up to is what the contract keeps.

        Raises:
            ChainError: some are missing or were altered, so the endpoint cannot be believed.
        """
        wrong: str | None = ""
        for _ in range(2):  # the round may go on between the logs and the contract's word
            self.refresh()
            if (wrong := self._difference(number)) is None:
                return self.round(number)
        raise ChainError(
            f"{self.chain.endpoint.name}: the logs of round {number} do not give {wrong} that the contract keeps"
        )

    def _difference(self, number: int) -> str | None:
        round_, state = self.round(number), self.chain.state(number)
        settlement = bytes(32)
        if round_.settlement is not None:
            excluded = encode_excluded(round_.settlement.excluded, len(round_.participants))
            settlement = settlement_word(excluded, rows_hash(round_.settlement.rows))
        pairs = {
            "the terms": (round_.terms, state.terms),
            "the number of commits": (len(round_.participants), state.participants),
            "the seed": (round_.seed or bytes(32), state.seed),
            "the reveals": (reveals_hash(round_), state.reveals_hash),
            "the settlement": (settlement, state.settlement),
        }
        return next((name for name, (told, kept) in pairs.items() if told != kept), None)
