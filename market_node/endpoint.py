"""One RPC endpoint, believed as little as possible: calls whose failures have names, transactions whose receipts are
checked.

Whatever the endpoint does, what leaves here is a result or one of `errors`, in one line, without the endpoint's
address beyond its host (the rest can be somebody's key).
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import Any

import requests
from web3 import Web3
from web3.exceptions import (
    BlockNotFound,
    ContractLogicError,
    TransactionNotFound,
    Web3RPCError,
)
from web3.middleware import ExtraDataToPOAMiddleware

from .contracts import Call, returned, reverted
from .database import Database
from .errors import ChainError, ConfigError, NodeError, Reverted, Unreachable
from .providers import Provider, Providers, one_of
from .seen import Seen
from .sender import MOST, Sender
from .signer import Signer


@dataclass(frozen=True, slots=True)
class Mined:
    """A transaction that is in a block."""

    transaction: str
    """Hash, 0x…."""
    block: int
    gas: int
    """Used."""
    succeeded: bool
    logs: tuple[Mapping[str, Any], ...]
    created: str | None
    """Address of the contract that it created."""


class Endpoint:
    """A node to ask and to send through.

    Args:
        provider: an http(s) address, or a web3 provider such as `Devnet().provider`, or several of them, of which the
            first that can be believed is used (see `Providers`).
        timeout: seconds to wait for a transaction to be mined.
        confirmations: blocks, the transaction's own included, after which it counts as mined.
        max_fee: the most that is bid for gas, wei.
        chain_id: the chain that each of several providers must serve; None takes the first one's word.
    """

    def __init__(
        self,
        provider: Provider | Sequence[Provider],
        *,
        timeout: float = 120,
        confirmations: int = 1,
        max_fee: int = MOST,
        chain_id: int | None = None,
    ) -> None:
        if timeout <= 0 or confirmations < 1:
            raise ConfigError("timeout must be above 0 seconds and confirmations at least 1")
        provider = one_of(provider, confirmations, chain_id)
        # A node must not make its client fetch addresses of the node's choice (EIP-3668).
        provider.global_ccip_read_enabled = False
        self.timeout = timeout
        self.confirmations = confirmations
        self.max_fee = max_fee
        self.database: Database | None = None
        self.seen: Seen | None = None
        self._senders: dict[str, Sender] = {}
        self._lock = Lock()
        self.web3 = Web3(provider)
        self._chain_id: int | None = None
        # Some chains put more than 32 bytes into a field that nobody here reads.
        self.web3.middleware_onion.inject(ExtraDataToPOAMiddleware, layer=0)

    @property
    def name(self) -> str:
        """The node that is asked now."""
        return str(getattr(self.web3.provider, "name", "the node"))

    # --- reads ---

    def chain_id(self) -> int:
        """The id that the endpoint's chain says it has. Asked once: every signature covers it."""
        if self._chain_id is None:
            with self.reached():
                self._chain_id = int(self.web3.eth.chain_id)
        return self._chain_id

    def genesis(self) -> bytes:
        """Hash of block 0: tells two development chains with one id apart."""
        with self.reached():
            return bytes(self.web3.eth.get_block(0)["hash"])

    def block(self) -> int:
        """Number of the latest block."""
        with self.reached():
            return int(self.web3.eth.block_number)

    def block_hash(self, number: int) -> bytes | None:
        """Hash of a block; None where there is none (any more)."""
        with self.reached():
            try:
                return bytes(self.web3.eth.get_block(number)["hash"])
            except BlockNotFound:
                return None

    def time(self, number: int) -> int:
        """When a block was made, seconds since the epoch."""
        with self.reached():
            return int(self.web3.eth.get_block(number)["timestamp"])

    def now(self) -> int:
        """Seconds since the epoch as a transaction sent now would see them, as far as the node can tell."""
        with self.reached():
            for tag in ("pending", "latest"):
                try:
                    return int(self.web3.eth.get_block(tag)["timestamp"])
                except (Web3RPCError, KeyError, TypeError):
                    continue  # not every node shows what is pending
        raise ChainError(f"{self.name} shows no latest block")

    def has_code(self, address: str) -> bool:
        """Whether a contract stands there."""
        with self.reached():
            return len(self.web3.eth.get_code(Web3.to_checksum_address(address))) > 0

    def ether(self, address: str) -> int:
        """What an account can pay gas with, wei."""
        with self.reached():
            return int(self.web3.eth.get_balance(Web3.to_checksum_address(address)))

    def read(self, call: Call, at: str | int = "latest", sender: str | None = None) -> Any:
        """What a call returns (see `returned`).

        Raises:
            Reverted, WrongChain (nothing or something else stands there), Unreachable, ChainError.
        """
        with self.reached():
            output = self.web3.eth.call(_parameters(call, sender), at)  # type: ignore[arg-type]
        return returned(call, bytes(output))

    # --- writes ---

    def send(self, call: Call, signer: Signer, round: int | None = None) -> Mined:
        """Sends a contract call or constructor and waits until it is mined.

        It is simulated first, so what would revert is not sent. Where the same call was sent before and nobody was told
        what became of it, that transaction is waited for instead.

        Args:
            round: which one it belongs to, for the book.

        Returns:
            The transaction, which succeeded.

        Raises:
            Reverted: the contract refuses; in the simulation (nothing was sent), or when it was mined.
            NotMined: there is no receipt in time; the transaction may still be mined. The same call again finds it.
            Unreachable: nobody answers; says so where the transaction may have been sent.
            ChainError: the node refuses it, such as for want of ether.
            StateError: another process uses the key, or nothing can be written down.
        """
        return self.sender(signer).send(call, round)

    def sender(self, signer: Signer) -> Sender:
        """The only one that sends with a key through this endpoint."""
        with self._lock:
            if signer.address not in self._senders:
                self._senders[signer.address] = Sender(self, signer, self.database)
            return self._senders[signer.address]

    def remember(self, database: Database) -> None:
        """Keeps what is sent from now on in a database, and which blocks were seen."""
        with self._lock:
            if database is self.database:
                return
            self.database, self.seen = database, Seen(database)
            self._senders.clear()
            if isinstance(self.web3.provider, Providers):
                self.web3.provider.seen = max([self.web3.provider.seen, *(number for number, _ in self.seen.last())])

    def nonce(self, address: str, at: str = "latest") -> int:
        """How many transactions an account has sent; `pending` counts those that wait too."""
        with self.reached():
            return int(self.web3.eth.get_transaction_count(Web3.to_checksum_address(address), at))  # type: ignore[arg-type]

    def estimate(self, call: Call, sender: str, at: str | None = None) -> int:
        """Gas that a call needs. Raises Reverted where it would revert."""
        with self.reached():
            return int(self.web3.eth.estimate_gas(_parameters(call, sender), at))  # type: ignore[arg-type]

    def mined(self, transaction: str) -> Mined | None:
        """A transaction that is in a block; None where it is in none (any more)."""
        with self.reached():
            try:
                receipt: Any = self.web3.eth.get_transaction_receipt(transaction)  # type: ignore[arg-type]
            except TransactionNotFound:
                return None
            return Mined(
                transaction,
                int(receipt["blockNumber"]),
                int(receipt["gasUsed"]),
                receipt["status"] == 1,
                tuple(receipt["logs"]),
                receipt.get("contractAddress"),
            )

    def cost(self, transaction: str) -> tuple[int, int] | None:
        """In which block a transaction is, and what its gas has cost, wei; None where it is in none."""
        with self.reached():
            try:
                receipt: Any = self.web3.eth.get_transaction_receipt(transaction)  # type: ignore[arg-type]
            except TransactionNotFound:
                return None
            return int(receipt["blockNumber"]), int(receipt["gasUsed"]) * int(receipt["effectiveGasPrice"])

    # --- failures ---

    @contextmanager
    def reached(self) -> Iterator[None]:
        """Gives every failure inside its name."""
        try:
            yield
        except NodeError:
            raise
        except ContractLogicError as error:
            raise self._refusal(error) from error
        except requests.HTTPError as error:
            status = error.response.status_code if error.response is not None else "?"
            raise Unreachable(f"{self.name} answers with HTTP status {status}") from error
        except (requests.RequestException, OSError) as error:
            raise Unreachable(f"{self.name} does not answer ({type(error).__name__})") from error
        except Web3RPCError as error:
            raise ChainError(f"{self.name}: {_line(error)}") from error
        except Exception as error:  # a node's nonsense fails anywhere between here and the wire
            raise Unreachable(f"{self.name} does not answer as a node does ({_line(error)})") from error

    def _refusal(self, error: ContractLogicError) -> ChainError:
        """The custom error in a failed call. Hardhat wraps the bytes in an object, others do not."""
        data: Any = error.data
        if isinstance(data, Mapping):
            data = data.get("data")
        if isinstance(data, str) and data.startswith("0x"):
            try:
                return reverted(bytes.fromhex(data[2:]))
            except ValueError:
                pass
        return Reverted("Unknown", {"reason": _line(error)})


def _parameters(call: Call, sender: str | None) -> Any:
    to = {"to": call.to} if call.to else {}
    return {"data": call.calldata, **to, **({"from": sender} if sender else {})}


def _line(error: Exception) -> str:
    """A foreign error's text in one line."""
    if isinstance(error, Web3RPCError) and error.rpc_response:
        said: Any = error.rpc_response.get("error")
        if isinstance(said, Mapping) and "message" in said:
            return " ".join(str(said["message"]).split())[:300]
    return " ".join(str(error).split())[:300] or type(error).__name__
