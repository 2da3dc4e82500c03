"""One RPC endpoint, believed as little as possible: calls whose failures have names, transactions whose receipts are
checked.

Whatever the endpoint does, what leaves here is a result or one of `errors`, in one line, without the endpoint's
address beyond its host (the rest can be somebody's key).
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests
from eth_account.signers.local import LocalAccount
from web3 import HTTPProvider, Web3
from web3.exceptions import (
    BlockNotFound,
    ContractLogicError,
    TransactionNotFound,
    Web3RPCError,
)
from web3.middleware import ExtraDataToPOAMiddleware
from web3.providers import BaseProvider
from web3.types import RPCEndpoint

from .contracts import Call, returned, reverted
from .errors import ChainError, ConfigError, NodeError, NotMined, Reverted, Unreachable

GAS_CAP = 1 << 24
"""Gas that one transaction may use (EIP-7825)."""

TIP = 10**9
"""Priority fee where the node advises none, wei per gas."""

REQUEST_SECONDS = 30
"""How long one request may take."""

LOST_POLLS = 3
"""After so many requests for a receipt in a row that nobody answered, the endpoint is gone."""


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
        provider: an http(s) address, or a web3 provider such as `Devnet().provider`.
        timeout: seconds to wait for a transaction to be mined.
        confirmations: blocks, the transaction's own included, after which it counts as mined.
    """

    def __init__(self, provider: str | BaseProvider, *, timeout: float = 120, confirmations: int = 1) -> None:
        if isinstance(provider, str):
            address = urlsplit(provider)
            if address.scheme not in ("http", "https") or not address.hostname:
                raise ConfigError(f"the RPC endpoint must be an http or https address, not {address.scheme or 'empty'}")
            self.name = f"{address.scheme}://{address.netloc.rpartition('@')[2]}"
            provider = HTTPProvider(provider, request_kwargs={"timeout": REQUEST_SECONDS})
        else:
            self.name = getattr(provider, "name", "the node")
        if timeout <= 0 or confirmations < 1:
            raise ConfigError("timeout must be above 0 seconds and confirmations at least 1")
        # A node must not make its client fetch addresses of the node's choice (EIP-3668).
        provider.global_ccip_read_enabled = False
        self.timeout = timeout
        self.confirmations = confirmations
        self.web3 = Web3(provider)
        self._chain_id: int | None = None
        # Some chains put more than 32 bytes into a field that nobody here reads.
        self.web3.middleware_onion.inject(ExtraDataToPOAMiddleware, layer=0)

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

    def send(self, call: Call, signer: LocalAccount) -> Mined:
        """Sends a contract call or constructor and waits until it is mined.

        It is simulated first, so what would revert is not sent. Nonces are the node's, pending ones counted.

        Returns:
            The transaction, which succeeded.

        Raises:
            Reverted: the contract refuses; in the simulation (nothing was sent), or when it was mined.
            NotMined: there is no receipt in time; the transaction may still be mined.
            Unreachable: nobody answers; says so where the transaction may have been sent.
            ChainError: the node refuses it, such as for want of ether.
        """
        gas = self._estimate(call, signer.address)
        with self.reached():
            transaction: Any = {
                "type": 2,
                "chainId": self.chain_id(),
                "nonce": int(self.web3.eth.get_transaction_count(signer.address, "pending")),
                "to": call.to or "",
                "data": call.calldata,
                "value": 0,
                "gas": gas,
                **self._fees(),
            }
        signed = signer.sign_transaction(transaction)
        sent = "0x" + bytes(signed.hash).hex()
        try:
            with self.reached():
                self.web3.eth.send_raw_transaction(signed.raw_transaction)
        except Unreachable as error:
            raise Unreachable(f"{error}; transaction {sent} may have been sent") from error
        mined = self._wait(sent)
        if not mined.succeeded:
            raise self._reason(call, signer.address, mined, gas)
        return mined

    def _estimate(self, call: Call, sender: str) -> int:
        """A gas limit with a quarter to spare, because others' transactions come first."""
        try:
            with self.reached():
                estimate = int(self.web3.eth.estimate_gas(_parameters(call, sender), "pending"))
        except (Reverted, Unreachable):
            raise
        except ChainError:  # not every node estimates on what is pending
            with self.reached():
                estimate = int(self.web3.eth.estimate_gas(_parameters(call, sender)))
        if estimate > GAS_CAP:
            raise ChainError(f"the transaction needs {estimate} gas; one may use {GAS_CAP}")
        return min(GAS_CAP, estimate + estimate // 4)

    def _fees(self) -> dict[str, int]:
        """EIP-1559 fees that stay enough while the base fee doubles, wei per gas."""
        base = self.web3.eth.get_block("latest").get("baseFeePerGas")
        if base is None:
            raise ChainError(f"{self.name} serves a chain without EIP-1559 fees")
        try:
            tip = int(self.web3.manager.request_blocking(RPCEndpoint("eth_maxPriorityFeePerGas"), []), 16)
        except Web3RPCError:  # not every node advises
            tip = TIP
        return {"maxFeePerGas": 2 * int(base) + tip, "maxPriorityFeePerGas": tip}

    def _wait(self, sent: str) -> Mined:
        """The transaction, once it is as deep as `confirmations` asks."""
        end = time.monotonic() + self.timeout
        pause, lost = 0.02, 0
        while True:
            try:
                # Asked for anew each time: a reorganisation may have moved it.
                mined = self._mined(sent)
                if mined and (self.confirmations == 1 or self.block() >= mined.block + self.confirmations - 1):
                    return mined
                lost = 0
            except Unreachable as error:
                lost += 1
                if lost == LOST_POLLS:
                    raise Unreachable(f"{error}; transaction {sent} was sent and may still be mined") from error
            if time.monotonic() + pause > end:
                raise NotMined(f"transaction {sent} is not mined after {self.timeout:g} s; it may still be")
            time.sleep(pause)
            pause = min(2.0, pause * 1.5)

    def _mined(self, sent: str) -> Mined | None:
        with self.reached():
            try:
                receipt: Any = self.web3.eth.get_transaction_receipt(sent)  # type: ignore[arg-type]
            except TransactionNotFound:
                return None
            return Mined(
                sent,
                int(receipt["blockNumber"]),
                int(receipt["gasUsed"]),
                receipt["status"] == 1,
                tuple(receipt["logs"]),
                receipt.get("contractAddress"),
            )

    def _reason(self, call: Call, sender: str, mined: Mined, gas: int) -> ChainError:
        """Why a mined transaction failed: the call again, where it was mined and just before."""
        for at in (mined.block, mined.block - 1):
            try:
                self.read(call, at, sender)
            except Reverted as error:
                return error
            except ChainError:
                continue  # not every node keeps old states
        return Reverted("OutOfGas" if mined.gas >= gas else "Unknown", {"transaction": mined.transaction})

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
