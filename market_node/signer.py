"""Who signs an account's transactions: its key in this process, or a signer in another one that speaks clef's JSON-RPC.

A `RemoteSigner` gets no key and is not believed either: what it returns must be the very transaction that was asked
for, signed by the very account.
"""

import json
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from typing import Any, Protocol
from urllib.parse import urlsplit

import httpx
import rlp  # type: ignore[import-untyped]
from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_utils.crypto import keccak

from .contracts import checksum
from .errors import BadInput, ChainError, ConfigError, Unreachable

PATIENCE = 120.0
"""Seconds that a signer may take: a person may have to say yes."""

MOST_BYTES = 1 << 20
"""Of a signer's answer."""

_ORDER = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141
"""Of the curve's group."""


class Signer(Protocol):
    """What signs for an account; eth-account's `LocalAccount` is one."""

    @property
    def address(self) -> str:
        """Whose."""

    def sign_transaction(self, transaction_dict: Any) -> Any:
        """Something with `raw_transaction` and `hash`."""

    def sign_typed_data(self, domain_data: Any, message_types: Any, message_data: Any) -> Any:
        """Something with `v`, `r` and `s`, by EIP-712."""


@dataclass(frozen=True, slots=True)
class Signed:
    """A transaction that was signed."""

    raw_transaction: bytes
    hash: bytes


@dataclass(frozen=True, slots=True)
class Signature:
    """Of a message."""

    v: int
    r: int
    s: int


class RemoteSigner:
    """An account whose key a signer keeps, such as clef.

    Args:
        place: `http://127.0.0.1:8550`, or `unix:/run/clef/clef.ipc`.
        account: whose key it must use.
        patience: seconds for one answer.

    Raises:
        ConfigError: the place is none.
    """

    def __init__(self, place: str, account: str, patience: float = PATIENCE) -> None:
        check_signer(place)
        self.address = checksum(account)
        self.place = place
        self.patience = patience
        self._numbers = count(1)

    def version(self) -> str:
        """What the signer says that it speaks; asks no person. Raises Unreachable, ChainError."""
        return str(self._ask("account_version"))[:32]

    def sign_transaction(self, transaction_dict: Mapping[str, Any]) -> Signed:
        """Signs a transaction: type 2 where it has `maxFeePerGas`, else one with a chain id (EIP-155).

        Raises:
            Unreachable: the signer does not answer.
            ChainError: it refuses, or returns something else than was asked for.
        """
        wanted = _unsigned(transaction_dict)
        answer = self._ask("account_signTransaction", self._described(transaction_dict))
        raw = _bytes(answer.get("raw") if isinstance(answer, dict) else None)
        if raw is None or not _is(raw, wanted):
            raise ChainError(f"{self._name} returned another transaction than it was asked to sign; nothing was sent")
        try:
            by = checksum(Account.recover_transaction(raw))
        except Exception as error:  # whatever the bytes are
            raise ChainError(f"{self._name} returned a transaction whose signature cannot be read") from error
        self._check(by)
        return Signed(raw, keccak(raw))

    def sign_typed_data(
        self, domain_data: dict[str, Any], message_types: dict[str, Any], message_data: dict[str, Any]
    ) -> Signature:
        """Signs an EIP-712 message. Raises as `sign_transaction`."""
        kinds = {"name": "string", "version": "string", "chainId": "uint256", "verifyingContract": "address"}
        (primary,) = message_types
        document = {
            "domain": {**domain_data, "chainId": hex(domain_data["chainId"])},
            "types": {
                "EIP712Domain": [{"name": name, "type": kinds[name]} for name in kinds if name in domain_data],
                **message_types,
            },
            "primaryType": primary,
            # JSON readers round large numbers.
            "message": {name: str(each) if isinstance(each, int) else each for name, each in message_data.items()},
        }
        signature = _bytes(self._ask("account_signTypedData", self.address, document))
        if signature is None or len(signature) != 65:
            raise ChainError(f"{self._name} returned no signature")
        r, s, v = (int.from_bytes(part, "big") for part in (signature[:32], signature[32:64], signature[64:]))
        v += 27 if v < 27 else 0
        message = encode_typed_data(domain_data, message_types, message_data)
        try:
            by = checksum(Account.recover_message(message, vrs=(v, r, s)))
        except Exception as error:
            raise ChainError(f"{self._name} returned a signature that cannot be read") from error
        self._check(by)
        if s > _ORDER // 2:
            raise ChainError(f"{self._name} returned a signature that contracts refuse (its s is high)")
        return Signature(v, r, s)

    def __repr__(self) -> str:
        return f"RemoteSigner({self.address})"

    # --- inside ---

    @property
    def _name(self) -> str:
        return f"the signer at {_without_secrets(self.place)}"

    def _check(self, by: str) -> None:
        if by != self.address:
            raise ChainError(f"{self._name} signed as {by}, not as {self.address}; nothing was sent")

    def _described(self, fields: Mapping[str, Any]) -> dict[str, str]:
        """A transaction as clef takes it. One that creates a contract has no `to`."""
        numbers = {name: hex(each) for name, each in fields.items() if type(each) is int}
        to = {"to": checksum(fields["to"])} if fields.get("to") else {}
        return {"from": self.address, **to, **numbers, "input": "0x" + bytes(fields.get("data", b"")).hex()}

    def _ask(self, method: str, *arguments: Any) -> Any:
        request = {"jsonrpc": "2.0", "id": next(self._numbers), "method": method, "params": list(arguments)}
        try:
            answer = json.loads(self._sent(json.dumps(request).encode()))
        except (httpx.HTTPError, OSError) as error:
            raise Unreachable(f"{self._name} does not answer ({type(error).__name__})") from error
        except ValueError as error:
            raise Unreachable(f"{self._name} does not answer as a signer does") from error
        if not isinstance(answer, dict) or answer.get("id") != request["id"]:
            raise Unreachable(f"{self._name} does not answer as a signer does")
        if (refusal := answer.get("error")) is not None:
            said = refusal.get("message") if isinstance(refusal, dict) else refusal
            raise ChainError(f"{self._name} refuses {method}: {' '.join(str(said).split())[:200]}")
        return answer.get("result")

    def _sent(self, request: bytes) -> bytes:
        if self.place.startswith("unix:"):
            return self._sent_to_socket(request)
        # Neither a proxy nor a redirection is where the owner said that the signer is.
        with (
            httpx.Client(trust_env=False, timeout=self.patience) as client,
            client.stream("POST", self.place, content=request, headers={"Content-Type": "application/json"}) as reply,
        ):
            if reply.status_code != 200:
                raise Unreachable(f"{self._name} answers with HTTP status {reply.status_code}")
            answer = b""
            for part in reply.iter_bytes():
                answer += part
                _check_length(answer)
        return answer

    def _sent_to_socket(self, request: bytes) -> bytes:
        """As geth's and clef's sockets talk: one JSON document after the other, with nothing in between."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
            link.settimeout(self.patience)
            link.connect(self.place.removeprefix("unix:"))
            link.sendall(request + b"\n")
            answer = b""
            while part := link.recv(1 << 16):
                answer += part
                _check_length(answer)
                with suppress(ValueError):
                    json.loads(answer)
                    return answer
        return answer


def check_signer(place: str) -> None:
    """Refuses what cannot be a signer's place, without a look at it. Raises ConfigError."""
    if place.startswith("unix:"):
        if not place.removeprefix("unix:").startswith("/"):
            raise ConfigError("'signer' is a whole path after unix:, such as unix:/run/clef/clef.ipc")
        return
    try:
        address = urlsplit(place)
        known = address.scheme in ("http", "https") and bool(address.hostname)
    except ValueError:
        known = False
    if not known:
        raise ConfigError("'signer' is http://HOST:PORT, or unix: and the path of a socket")


def _without_secrets(place: str) -> str:
    """A place for a message: an address beyond its host can be somebody's key."""
    return place if place.startswith("unix:") else urlsplit(place).netloc.rpartition("@")[2]


def _check_length(answer: bytes) -> None:
    if len(answer) > MOST_BYTES:
        raise ValueError("too long")


def _bytes(value: Any) -> bytes | None:
    try:
        return bytes.fromhex(value.removeprefix("0x"))
    except (AttributeError, TypeError, ValueError):
        return None


def _unsigned(fields: Mapping[str, Any]) -> list[bytes]:
    """What a signature covers, in the order of the wire; the chain id first, also where the wire has none."""
    if "maxFeePerGas" in fields:
        names = ["chainId", "nonce", "maxPriorityFeePerGas", "maxFeePerGas", "gas"]
    elif "gasPrice" in fields:
        names = ["chainId", "nonce", "gasPrice", "gas"]
    else:
        raise BadInput("a transaction has a price for gas")
    numbers = [_number(fields[name]) for name in names]
    to = bytes.fromhex(fields["to"][2:]) if fields.get("to") else b""
    return [*numbers, to, _number(fields.get("value", 0)), bytes(fields.get("data", b""))]


def _is(raw: bytes, wanted: list[bytes]) -> bool:
    """Whether signed bytes are the wanted transaction."""
    try:
        if raw[:1] == b"\2":
            signed = rlp.decode(raw[1:])
            return len(signed) == 12 and signed[8] in ([], ()) and list(signed[:8]) == wanted
        signed = rlp.decode(raw)
        chain_id = (int.from_bytes(signed[6], "big") - 35) // 2
        return len(signed) == 9 and len(wanted) == 7 and [_number(chain_id), *signed[:6]] == wanted
    except (rlp.exceptions.RLPException, IndexError, TypeError, ValueError, OverflowError):
        return False


def _number(value: int) -> bytes:
    return value.to_bytes((value.bit_length() + 7) // 8, "big")
