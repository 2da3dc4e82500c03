"""The one reader of a market's logs. What they tell is `ledger.replay`'s.

Logs are taken from an endpoint that may leave some out, and `check` compares what they add up to with the words that
the contract keeps.
"""

import logging
from collections import deque
from threading import Lock

from .audit import Trail
from .chain import Chain
from .codec import encode_excluded, rows_hash, settlement_word
from .errors import BadInput, ChainError
from .ledger import Ledger, replay
from .records import Round
from .settlement import reveals_hash, standing

CHECKPOINTS = 16
"""How many refreshes back a reorganisation is undone without reading everything again."""

_log = logging.getLogger(__name__)


class History:
    """The one reader of a market's logs in a process: no block is read twice, but where the chain was reorganised.

    Threads may share it.
    """

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self._lock = Lock()
        self._checkpoints: deque[tuple[int, bytes, Ledger]] = deque(maxlen=CHECKPOINTS)
        """Block, its hash, and the ledger up to and with it; the newest last."""
        self.reorganisations = 0
        """How often what was read had to be undone."""

    @property
    def ledger(self) -> Ledger:
        """As of the last refresh."""
        return self._checkpoints[-1][2] if self._checkpoints else Ledger()

    @property
    def block(self) -> int:
        """Up to and with which block the logs are read; before the first refresh, -1."""
        return self._checkpoints[-1][0] if self._checkpoints else -1

    def refresh(self) -> Ledger:
        """Reads what is new.

        Raises:
            Unreachable, ChainError: nothing is changed, and the next refresh starts where this one did.
        """
        endpoint = self.chain.endpoint
        with self._lock:
            if not self._checkpoints:
                self._recall()
            read = len(self._checkpoints)
            while self._checkpoints and endpoint.block_hash(self._checkpoints[-1][0]) != self._checkpoints[-1][1]:
                number, *_ = self._checkpoints.pop()
                _log.warning("block %d is another one now (a reorganisation): what was read there is undone", number)
            self.reorganisations += len(self._checkpoints) < read
            start = self._checkpoints[-1][0] + 1 if self._checkpoints else self.chain.from_block
            head = endpoint.block() - endpoint.confirmations + 1
            if head >= start:
                # Asked for first: should the chain be reorganised while the logs are read, the hash will not match.
                if (digest := endpoint.block_hash(head)) is None:
                    raise ChainError(f"{endpoint.name} has lost block {head}; try again")
                self._checkpoints.append((head, digest, replay(self.chain.events(start, head), self.ledger)))
                if endpoint.seen is not None:
                    endpoint.seen.add(head, digest)
            return self.ledger

    def _recall(self) -> None:
        """Compares the blocks that were read before the last restart with the chain's. Logs are read anew anyway."""
        endpoint = self.chain.endpoint
        for number, digest in endpoint.seen.last() if endpoint.seen is not None else ():
            if endpoint.block_hash(number) == digest:
                return
            assert endpoint.seen is not None
            endpoint.seen.undo(number)
            _log.warning("block %d is not the one that was read before the node was stopped (a reorganisation)", number)

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
        if self.chain.endpoint.confirmations == 1:  # else the contract may know of some that are not deep enough yet
            pairs["the challenges"] = (len(standing(round_)), state.open_challenges)
        return next((name for name, (told, kept) in pairs.items() if told != kept), None)
