"""Sends one account's transactions: each on a nonce of its own, written down before it is sent, found again afterwards.

    simulate → fees → nonce → sign → write down → send → wait → replace where it is stuck → check the receipt

What was sent and not yet answered for is a *wanted* deed: the next call for the same deed finds it and sends nothing,
also in another process, after a restart.
"""

import logging
import time
from typing import TYPE_CHECKING, Any

import rlp  # type: ignore[import-untyped]
from eth_utils.crypto import keccak
from web3 import Web3

from .book import DONE, Book, Sent
from .contracts import Call
from .database import Database, in_memory
from .errors import ChainError, NotMined, Reverted, Unreachable
from .fees import GWEI, Fees, fees
from .signer import Signer

if TYPE_CHECKING:
    from .endpoint import Endpoint, Mined

GAS_CAP = 1 << 24
"""Gas that one transaction may use (EIP-7825)."""

MOST = 500 * GWEI
"""The most that is bid for gas where nobody says otherwise, wei."""

STUCK_SECONDS = 45
"""After so long without a block, the first transaction in the queue is signed anew at a higher price."""

GONE_SECONDS = 60
"""So long a receipt may be missing after its nonce was used, because nodes index late."""

LOST_POLLS = 3
"""After so many requests for a receipt in a row that nobody answered, the endpoint is gone."""

TRIES = 6
"""Others may use the same account at the same moment, and take the nonce."""

KNOWN = ("already known", "known transaction", "already imported", "already exists", "already in mempool")
LATE = ("nonce too low", "nonce is too low", "invalid nonce", "old nonce", "nonce has already been used")
CHEAP = ("underpriced", "fee too low", "max fee per gas less than block base fee", "gas price too low")
"""How nodes say it."""

_log = logging.getLogger(__name__)


class Sender:
    """The only one that sends with a key. Threads may share it.

    Args:
        signer: has `address` and `sign_transaction(fields)`.
        database: where the nonce book is; without one it ends with the process.
    """

    def __init__(self, endpoint: "Endpoint", signer: Signer, database: Database | None = None) -> None:
        self.endpoint = endpoint
        self.signer = signer
        self.database = database or in_memory()
        self.book = Book(self.database, signer.address)
        self.stuck_seconds: float = STUCK_SECONDS
        self.gas = 0
        """What its transactions have used so far, those that failed too."""
        self._bound = database is None  # what ends with the process belongs to nobody else

    def send(self, call: Call, round: int | None = None) -> "Mined":
        """Does a deed and waits until it is mined; see `Endpoint.send`."""
        deed = keccak((bytes.fromhex(call.to[2:]) if call.to else b"") + call.calldata)
        with self.database.alone(self.signer.address):
            self.reconcile()
            sent = self.book.wanted(deed) or self._dispatch(call, deed, round)
        mined = self._wait(sent)
        self.book.told(sent)
        self.gas += mined.gas
        if not mined.succeeded:
            raise self._reason(call, mined, sent)
        return mined

    def reconcile(self) -> None:
        """Compares the book with the chain, and sends again what may have got lost.

        Raises:
            StateError: another process keeps the key, or the state belongs to another chain or account.
            Unreachable, ChainError.
        """
        with self.database.alone(self.signer.address):
            self._bind()
            using = self.endpoint.nonce(self.signer.address)
            for sent in self.book.done_from(using):
                if self._find(sent.nonce):
                    continue  # only the count was old
                _log.warning("transaction %s is in no block any more (a reorganisation); it is sent again", sent.name)
                self.book.lost(sent)
            for sent in self.book.open():
                if sent.nonce >= using:
                    self._again(sent)
                elif not self._find(sent.nonce) and time.time() - sent.sent_at > GONE_SECONDS:
                    self.book.mark(sent, "gone")
                    _log.warning(
                        "nonce %d of %s was used by a transaction that this node has not sent: is the key used "
                        "elsewhere? %s is not done",
                        sent.nonce,
                        self.signer.address,
                        sent.what,
                    )

    def _bind(self) -> None:
        if not self._bound:
            facts = {"chain_id": self.endpoint.chain_id(), "genesis": self.endpoint.genesis()}
            self.database.bind(**facts, account=self.signer.address)
            self._bound = True

    # --- a new transaction ---

    def _dispatch(self, call: Call, deed: bytes, round: int | None) -> Sent:
        gas = self._estimate(call)
        price, least = fees(self.endpoint, self.endpoint.max_fee), 0
        for attempt in range(TRIES):
            nonce = self.book.free(max(least, self.endpoint.nonce(self.signer.address, "pending")))
            target = {"to": call.to or "", "data": call.calldata, "value": 0}
            fields: dict[str, Any] = {"chainId": self.endpoint.chain_id(), "nonce": nonce, "gas": gas, **target}
            sent = self._signed(fields, price, what=call.what, deed=deed, round=round)
            self.book.add(sent)
            try:
                self._broadcast(sent)
                return sent
            except ChainError as error:
                if isinstance(error, Unreachable) or attempt == TRIES - 1:
                    raise
                if _says(error, LATE):
                    if self._find(nonce, deed):
                        return sent  # it was mined between two answers
                    least = nonce + 1
                elif not _says(error, CHEAP) or (dearer := price.raised(price, self.endpoint.max_fee)) is None:
                    raise
                else:
                    price = dearer
        raise AssertionError("unreachable")

    def _estimate(self, call: Call) -> int:
        """A gas limit with a quarter to spare, because others' transactions come first."""
        try:
            estimate = self.endpoint.estimate(call, self.signer.address, "pending")
        except (Reverted, Unreachable):
            raise
        except ChainError:  # not every node estimates on what is pending
            estimate = self.endpoint.estimate(call, self.signer.address)
        if estimate > GAS_CAP:
            raise ChainError(f"the transaction needs {estimate} gas; one may use {GAS_CAP}")
        return min(GAS_CAP, max(call.least_gas, estimate + estimate // 4))

    def _signed(self, fields: dict[str, Any], price: Fees, *, what: str, deed: bytes, round: int | None) -> Sent:
        signed = self.signer.sign_transaction({**fields, **price.fields()})
        raw, digest = bytes(signed.raw_transaction), bytes(signed.hash)
        seconds = int(time.time())
        return Sent(fields["nonce"], what, round, deed, raw, digest, price.max_fee, price.tip, seconds, status="signed")

    def _broadcast(self, sent: Sent) -> None:
        """Sends what stands in the book.

        Raises:
            Unreachable: it may have been sent.
            ChainError: the node refuses it. Its nonce is free again.
        """
        try:
            with self.endpoint.reached():
                self.endpoint.web3.eth.send_raw_transaction(sent.raw)
        except Unreachable as error:
            raise Unreachable(f"{error}; transaction {sent.name} may have been sent") from error
        except ChainError as error:
            if not _says(error, KNOWN):
                self.book.mark(sent, "gone")
                raise
        self.book.mark(sent, "sent")

    # --- an old one ---

    def _again(self, sent: Sent) -> None:
        """Sends once more what may have got lost. A node that has it says so."""
        try:
            with self.endpoint.reached():
                self.endpoint.web3.eth.send_raw_transaction(sent.raw)
        except Unreachable:
            raise
        except ChainError as error:
            if _says(error, LATE):
                self._find(sent.nonce)
            elif not _says(error, (*KNOWN, *CHEAP)):
                self.book.mark(sent, "gone")  # and its nonce is free: those after it must not wait for ever

    def _replace(self, wanted: Sent) -> None:
        """Signs the first transaction in the queue anew, at a higher price, where it has waited too long."""
        with self.database.alone(self.signer.address):
            using = self.endpoint.nonce(self.signer.address)
            stuck = next((each for each in self.book.open() if using <= each.nonce <= wanted.nonce), None)
            if stuck is None or stuck.nonce != using or time.time() - stuck.sent_at < self.stuck_seconds:
                return
            cap = self.endpoint.max_fee
            try:
                price = Fees(stuck.max_fee, stuck.tip).raised(fees(self.endpoint, cap), cap)
            except Unreachable:
                raise
            except ChainError:
                price = None
            if price is None:
                return  # the cap: it waits until the chain is cheaper
            sent = self._signed(_fields(stuck.raw), price, what=stuck.what, deed=stuck.deed, round=stuck.round)
            self.book.add(sent, replaces=stuck)
            _log.warning(
                "transaction %s waits since %d s: replaced by %s at %.6g gwei per gas",
                stuck.name,
                time.time() - stuck.sent_at,
                sent.name,
                price.max_fee / GWEI,
            )
            try:
                self._broadcast(sent)
            except Unreachable:
                raise
            except ChainError as error:
                # Too cheap still: the next one pays an eighth more than this one. Too late: one of them was mined.
                if _says(error, CHEAP):
                    self.book.mark(sent, "sent")

    # --- what became of it ---

    def _wait(self, sent: Sent) -> "Mined":
        """The transaction, once it is as deep as `confirmations` asks."""
        endpoint = self.endpoint
        end = time.monotonic() + endpoint.timeout
        pause, lost = 0.02, 0
        while True:
            try:
                # Asked for anew each time: a reorganisation may have moved it.
                mined = self._find(sent.nonce, sent.deed)
                deep = endpoint.confirmations - 1
                if mined and (not deep or endpoint.block() >= mined.block + deep):
                    return mined
                if not mined and time.time() - sent.sent_at >= self.stuck_seconds:
                    self._replace(sent)
                lost = 0
            except Unreachable as error:
                lost += 1
                if lost == LOST_POLLS:
                    raise Unreachable(f"{error}; transaction {sent.name} was sent and may still be mined") from error
            if time.monotonic() + pause > end:
                raise NotMined(
                    f"transaction {sent.name} is not mined after {endpoint.timeout:g} s; it may still be, and asked "
                    "for again it is found"
                )
            time.sleep(pause)
            pause = min(2.0, pause * 1.5)

    def _find(self, nonce: int, deed: bytes | None = None) -> "Mined | None":
        """The one of a nonce's transactions that is in a block, if any; it is written down."""
        for each in reversed(self.book.of(nonce)):
            if deed in (None, each.deed) and (mined := self.endpoint.mined(each.name)) is not None:
                if each.status not in DONE or each.block != mined.block:
                    self.book.mined(each.hash, nonce, mined.block, succeeded=mined.succeeded)
                return mined
        return None

    def _reason(self, call: Call, mined: "Mined", sent: Sent) -> ChainError:
        """Why a mined transaction failed: the call again, where it was mined and just before."""
        for at in (mined.block, mined.block - 1):
            try:
                self.endpoint.read(call, at, self.signer.address)
            except Reverted as error:
                return error
            except ChainError:
                continue  # not every node keeps old states
        spent = mined.gas >= _fields(sent.raw)["gas"]
        return Reverted("OutOfGas" if spent else "Unknown", {"transaction": mined.transaction})


def _says(error: ChainError, words: tuple[str, ...]) -> bool:
    return any(each in str(error).lower() for each in words)


def _fields(raw: bytes) -> dict[str, Any]:
    """What was signed, but for its price: a transaction of this module's."""
    if raw[0] == 2:  # EIP-1559
        chain_id, nonce, _, _, gas, to, value, data, *_ = rlp.decode(raw[1:])
    else:
        nonce, _, gas, to, value, data, parity, *_ = rlp.decode(raw)
        chain_id = ((int.from_bytes(parity, "big") - 35) // 2).to_bytes(32, "big")
    numbers = {"chainId": chain_id, "nonce": nonce, "gas": gas, "value": value}
    target = {"to": Web3.to_checksum_address(to) if to else "", "data": bytes(data)}
    return {**{name: int.from_bytes(number, "big") for name, number in numbers.items()}, **target}
