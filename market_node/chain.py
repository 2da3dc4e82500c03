"""A market on a chain: typed reads and checked writes. Amounts are base units of the market's token, as int.

Every write is simulated first, so that a refusal has its name (`Reverted`, `WrongPhase`) and costs nothing; then it is
signed, sent, waited for, and its receipt checked.
"""

from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from functools import cached_property
from typing import Any

from eth_typing import HexStr
from web3 import Web3

from .codec import encode_listed
from .contracts import Call, Contract, Event, checksum, read_log
from .database import Database
from .endpoint import Endpoint
from .errors import BadInput, ChainError, Reverted, Unreachable, WrongChain, WrongPhase
from .judge import BidRecord, Proof, Refutation
from .phases import Phase, RoundState, explain, span
from .providers import Provider
from .records import Bid, Model, Terms
from .sender import MOST
from .signer import Signer
from .token import Token

__all__ = ["Chain", "Event", "Phase", "Receipt", "RoundState", "require_phase"]

WINDOW = 10_000
"""Blocks asked for logs at once, at first; halved whenever the node finds it too much."""

DRAW_GAS, DRAW_GAS_WORD = 100_000, 25_000
"""Enough for the dearer of the two calls that draw a seed: in all, and per 16 participants, who get a word of seats."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """A mined transaction that succeeded."""

    transaction: str
    """Hash, 0x…."""
    block: int
    gas: int
    events: tuple[Event, ...]
    """The market's, its escrow's and its reputations', in their order."""


class Chain:
    """One market, seen and used by one account.

    Args:
        provider: an http(s) address, or a web3 provider such as `Devnet().provider`, or several of them.
        market: the market's address; a configuration may not have one yet, which is BadInput.
        signer: whose account sends; None only reads.
        chain_id: the chain that it must be; None takes the endpoint's word.
        confirmations, timeout, max_fee: see `Endpoint`.
        from_block: in which block the market was created, or an earlier one; logs are read from there.

    Raises:
        WrongChain: the endpoint serves another chain, or no market stands at the address.
        Unreachable: nobody answers.
    """

    def __init__(
        self,
        provider: Provider | Sequence[Provider],
        market: str | None,
        signer: Signer | None = None,
        *,
        chain_id: int | None = None,
        confirmations: int = 1,
        timeout: float = 120,
        from_block: int = 0,
        max_fee: int = MOST,
    ) -> None:
        if not Web3.is_address(market):
            raise BadInput(f"the market's address is not an address: {market}" if market else "no market is configured")
        self.endpoint = Endpoint(
            provider, timeout=timeout, confirmations=confirmations, max_fee=max_fee, chain_id=chain_id
        )
        self.market = checksum(str(market))
        self.signer = signer
        self.from_block = from_block
        self.chain_id = self.endpoint.chain_id()
        if chain_id not in (None, self.chain_id):
            raise WrongChain(f"{self.endpoint.name} serves chain {self.chain_id}, not {chain_id}")
        if not self.endpoint.has_code(self.market):
            raise WrongChain(f"no contract stands at {self.market} on chain {self.chain_id}")
        self._market = Contract("Market", self.market)
        try:
            self.escrow = self._read(self._market("escrow"))
            self.reputations = self._read(self._market("reputation"))
            self._escrow = Contract("Escrow", self.escrow)
            self._reputations = Contract("Reputation", self.reputations)
            self.token = Token(self.endpoint, self._read(self._escrow("token")))
        except (Reverted, WrongChain) as error:
            raise WrongChain(f"the contract at {self.market} on chain {self.chain_id} is not a market") from error

    # --- state ---

    def remember(self, database: Database) -> None:
        """Keeps what the account sends, and which blocks were seen, in a database; else both end with the process.

        Raises:
            StateError: it belongs to another chain, market or account.
        """
        account = {"account": self.signer.address} if self.signer else {}
        database.bind(chain_id=self.chain_id, genesis=self.genesis, market=self.market, **account)
        self.endpoint.remember(database)

    def prepare(self) -> None:
        """What a node does when it starts, and now and then: keeps the key for itself, compares its transactions with
        the chain, and sends again what may have got lost.

        Raises:
            StateError: another process keeps the key.
            Unreachable, ChainError.
        """
        sender = self.endpoint.sender(self._signer)
        sender.database.hold(self.account)
        sender.reconcile()

    # --- reads ---

    @property
    def account(self) -> str:
        """Whose account sends."""
        return self._signer.address

    @cached_property
    def genesis(self) -> bytes:
        """Hash of the chain's first block: tells two development chains with one id apart."""
        return self.endpoint.genesis()

    def now(self) -> int:
        """Seconds since the epoch as a transaction sent now would see them."""
        return self.endpoint.now()

    def block(self) -> int:
        """Number of the latest block."""
        return self.endpoint.block()

    def round_count(self) -> int:
        """Rounds are numbered from 1 to this."""
        return int(self._read(self._market("roundCount")))

    def min_phase(self) -> int:
        """The least length of a phase, seconds."""
        return int(self._read(self._market("minPhase")))

    def state(self, number: int) -> RoundState:
        """A round as the contract stores it. Raises Reverted (UnknownRound)."""
        aggregator, terms, *rest = self._read(self._market("roundOf", number))
        return RoundState(checksum(aggregator), Terms(*terms), *rest)

    def terms(self, number: int) -> Terms:
        """A round's terms."""
        return self.state(number).terms

    def phase(self, number: int) -> Phase:
        """The phase that a transaction sent now would find a round in, by the contract's own judgement."""
        return Phase(self._read_now(self._market("phaseOf", number)))

    def phase_ends(self, number: int) -> int | None:
        """When the phase that a round is in ends at the latest, seconds since the epoch; None where it never does."""
        return span(self.state(number), self.phase(number))[1]

    def available(self, account: str) -> int:
        """What an account can withdraw, or lock in a round."""
        return int(self._read(self._escrow("available", account)))

    def pot(self, number: int) -> int:
        """What is locked in a round."""
        return int(self._read(self._escrow("pot", number)))

    def burnt(self) -> int:
        """What nobody can ever have again."""
        return int(self._read(self._escrow("burnt")))

    def reputation(self, aggregator: str, account: str) -> int:
        """What the rounds of `aggregator` believe of `account`, 2**16 = 1."""
        return int(self._read(self._reputations("reputationOf", aggregator, account)))

    def encryption_key(self, account: str) -> bytes | None:
        """The X25519 key in force for an account, 32 bytes; None where it has set none."""
        key = bytes(self._read(self._market("encryptionKeyOf", account)))
        return key if any(key) else None

    def record(self, number: int, account: str) -> tuple[bytes, int] | None:
        """An account's record in a round, 30 bytes, and its index; None where it did not commit."""
        record, index = self._read(self._market("recordOf", number, account))
        return (bytes(record), int(index)) if any(record) else None

    def is_paid(self, number: int, index: int) -> bool:
        """Whether a participant has been paid out or refunded."""
        return bool(self._read(self._market("isPaid", number, index)))

    def gas(self, transaction: str) -> int:
        """What a mined transaction used."""
        with self.endpoint.reached():
            return int(self.endpoint.web3.eth.get_transaction_receipt(HexStr(transaction))["gasUsed"])

    @property
    def gas_used(self) -> int:
        """What all transactions of this account through this object have used."""
        return self.endpoint.sender(self._signer).gas

    # --- writes: each may raise Reverted, NotMined, Unreachable, ChainError; steps of a round WrongPhase too ---

    def set_encryption_key(self, key: bytes) -> Receipt:
        """Publishes the account's X25519 key, in force from the next round opened or commit made."""
        return self._send(self._market("setEncryptionKey", key))

    def fund(self, amount: int) -> Receipt:
        """Moves tokens of the account into its available balance: in one transaction where the token has permits."""
        _check(amount, "amount", 96)
        signer = self._signer
        if (held := self.token.balance(signer.address)) < amount:
            raise BadInput(f"{signer.address} holds {held} base units of {self.token.symbol}, not {amount}")
        if self.token.allowance(signer.address, self.escrow) < amount:
            if permit := self.token.permit(signer, self.escrow, amount):
                return self._send(self._escrow("fundWithPermit", amount, permit.deadline, permit.v, permit.r, permit.s))
            self.token.approve(signer, self.escrow, amount)
        return self._send(self._escrow("fund", amount))

    def withdraw(self, amount: int) -> Receipt:
        """Moves available balance back to the account, as tokens."""
        _check(amount, "amount", 96)
        return self._send(self._escrow("withdraw", amount))

    def open_round(self, terms: Terms) -> tuple[Receipt, int]:
        """Opens a round and locks its bond. Returns the round's number too."""
        receipt = self._send(self._market("openRound", astuple(terms)))
        return receipt, self._said(receipt, "RoundOpened")["round"]

    def commit(self, number: int, sealed_bid: bytes, model: Model, deposit: int) -> tuple[Receipt, int]:
        """Enters a round and locks a deposit. Returns the account's index too."""
        _check(deposit, "deposit", 96)
        call = self._market("commit", number, sealed_bid, astuple(model), deposit)
        receipt = self._step(number, Phase.COMMIT, call)
        return receipt, self._said(receipt, "Committed")["index"]

    def draw_seed(self, number: int) -> Receipt:
        """One of the two calls that draw the seed."""
        # Estimated as the first, it may be mined as the second: somebody else's came in between.
        words = -(-self.state(number).participants // 16)
        call = replace(self._market("drawSeed", number), least_gas=DRAW_GAS + DRAW_GAS_WORD * words)
        return self._step(number, Phase.DRAW, call)

    def reveal(
        self,
        number: int,
        index: int,
        seed: bytes,
        bid: Bid,
        salt: bytes,
        model: Model,
        sketch: bytes,
        sealed_key: bytes,
    ) -> Receipt:
        """Opens the account's bid."""
        call = self._market("reveal", number, index, seed, astuple(bid), salt, astuple(model), sketch, sealed_key)
        return self._step(number, Phase.REVEAL, call)

    def settle(
        self, number: int, reveals_hash: bytes, excluded: Sequence[int], rows: bytes, deliveries: bytes
    ) -> Receipt:
        """Posts the outcome. `excluded` and `rows` as `codec` encodes them; `deliveries` is the list's CID digest."""
        call = self._market("settle", number, reveals_hash, list(excluded), rows, deliveries)
        return self._step(number, Phase.SETTLE, call)

    def rate(self, number: int, index: int, rating: int) -> Receipt:
        """Rates the account's delivery, in hundredths."""
        return self._step(number, Phase.CHALLENGE, self._market("rate", number, index, rating))

    def reject(self, number: int, index: int) -> Receipt:
        """Says that nothing usable was delivered to the account."""
        return self._step(number, Phase.CHALLENGE, self._market("reject", number, index))

    def pay_out(self, number: int, rows: bytes, excluded: Sequence[int], start: int, end: int) -> Receipt:
        """Pays participants `start` … `end` − 1 of a settled round what is theirs."""
        return self._step(number, Phase.PAYOUT, self._market("payOut", number, rows, list(excluded), start, end))

    def refund(self, number: int, start: int, end: int) -> Receipt:
        """Gives participants `start` … `end` − 1 of a void round what is theirs."""
        return self._step(number, Phase.VOID, self._market("refund", number, start, end))

    def refund_challenge(self, number: int, challenge: int) -> Receipt:
        """Pays the challenger whose challenge stood, in a round void with fault."""
        return self._step(number, Phase.VOID, self._market("refundChallenge", number, challenge))

    def challenge(self, number: int, proof: Proof) -> tuple[Receipt, int]:
        """Says that a row is wrong and locks a bond. Returns the challenge's number too."""
        call = self._market("challenge", number, *proof_arguments(proof))
        receipt = self._step(number, Phase.CHALLENGE, call)
        return receipt, self._said(receipt, "ChallengeOpened")["challenge"]

    def refute(self, number: int, challenge: int, refutation: Refutation) -> Receipt:
        """Closes a false challenge; its bond is the account's."""
        call = self._market("refute", number, challenge, *refutation_arguments(refutation))
        return self._step(number, Phase.REFUTE, call)

    # --- logs ---

    def events(self, start: int, end: int) -> list[Event]:
        """What the market, its escrow and its reputations said in blocks `start` … `end`, in its order."""
        events: list[Event] = []
        window = WINDOW
        while start <= end:
            last = min(end, start + window - 1)
            try:
                logs = self._logs(start, last)
            except Unreachable:
                raise
            except ChainError:
                if last == start:
                    raise
                window = (last - start + 1) // 2  # nodes limit blocks or bytes, each in words of its own
                continue
            events += logs
            start = last + 1
        return sorted(events, key=lambda event: (event.block, event.log_index))

    def _logs(self, start: int, end: int) -> list[Event]:
        with self.endpoint.reached():
            logs = self.endpoint.web3.eth.get_logs(
                {"address": list(self._own), "fromBlock": start, "toBlock": end}  # type: ignore[typeddict-item]
            )
        return self._events(logs)

    def _events(self, logs: Sequence[Any]) -> list[Event]:
        with self.endpoint.reached():  # they are the node's words
            return [read_log(log) for log in logs if checksum(log["address"]) in self._own]

    # --- inside ---

    @cached_property
    def _own(self) -> frozenset[str]:
        return frozenset((self.market, self.escrow, self.reputations))

    @property
    def _signer(self) -> Signer:
        if self.signer is None:
            raise BadInput("this needs an account to sign with: none was given")
        return self.signer

    def _read(self, call: Call) -> Any:
        return self.endpoint.read(call)

    def _read_now(self, call: Call) -> Any:
        """A read that sees the clock: the latest block of a quiet chain is old."""
        try:
            return self.endpoint.read(call, "pending")
        except (Reverted, Unreachable):
            raise
        except ChainError:
            return self.endpoint.read(call)  # not every node calls on what is pending

    def _send(self, call: Call, number: int | None = None) -> Receipt:
        mined = self.endpoint.send(call, self._signer, number)
        return Receipt(mined.transaction, mined.block, mined.gas, tuple(self._events(mined.logs)))

    def _step(self, number: int, needed: Phase, call: Call) -> Receipt:
        try:
            return self._send(call, number)
        except Reverted as error:
            if error.name == "WrongPhase":
                raise WrongPhase(explain(number, self.state(number), self.now(), needed)) from error
            raise

    def _said(self, receipt: Receipt, name: str) -> dict[str, Any]:
        for event in receipt.events:
            if event.name == name:
                return event.arguments
        raise ChainError(f"transaction {receipt.transaction} succeeded without {name}: is this another contract?")


def require_phase(chain: Chain, number: int, needed: Phase) -> None:
    """Raises WrongPhase unless a round is in `needed`; says which phase it is in and when the needed one starts."""
    if chain.phase(number) != needed:
        raise WrongPhase(explain(number, chain.state(number), chain.now(), needed))


def proof_arguments(proof: Proof) -> tuple[object, ...]:
    """A proof as `Market.challenge` takes it, after the round."""
    listed = [_record(each) for each in proof.listed]
    return _record(proof.buyer), list(proof.row_hashes), list(proof.excluded), listed


def refutation_arguments(refutation: Refutation) -> tuple[object, ...]:
    """A refutation as `Market.refute` takes it, after the round and the challenge."""
    claim = refutation.claim
    said = (claim.buyer, encode_listed(claim.listed), claim.last_merit)
    records = (_record(refutation.buyer), _record(refutation.seller))
    return said, *records, list(refutation.excluded), refutation.rows_hash


def _record(record: BidRecord) -> tuple[object, ...]:
    return record.index, astuple(record.bid), record.reputation, astuple(record.model), record.sketch


def _check(value: int, name: str, bits: int) -> None:
    if type(value) is not int or not 0 <= value < 1 << bits:
        raise BadInput(f"the {name} must be a whole number of base units below 2**{bits}, not {value!r}")
