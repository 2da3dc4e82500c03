"""The packaged contracts: how they are called, and how what they say is read, errors and events too, by name.

Solidity's `revealBond` is Python's `reveal_bond`, in the fields of structs too; a struct becomes a dict. Bytes stay
bytes, addresses have their checksum, and nothing that does not decode is an error: the bytes come from a stranger.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError, EncodingError
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from web3 import Web3
from web3.exceptions import Web3Exception

from .errors import BadInput, Reverted, WrongChain

Json = dict[str, Any]

PANICS = {
    0x01: "a failed assertion",
    0x11: "an amount out of its range",
    0x12: "a division by zero",
    0x21: "an unknown enum value",
    0x32: "an index out of bounds",
    0x41: "too much memory",
}
"""Solidity's own checks, by code."""


@dataclass(frozen=True, slots=True)
class Event:
    """One log. `name` is "" and `arguments` hold `topics` and `data` where it is none of the contracts' events."""

    name: str
    arguments: Json
    block: int
    transaction: str
    """Hash, 0x…."""
    log_index: int
    address: str
    """Of the contract that said it."""


@cache
def artifact(name: str) -> Json:
    """A packaged artifact: Market, Escrow, Reputation or TestToken.

    Returns:
        `contractName`, `abi`, `bytecode` (0x…), `compiler` (version), `settingsHash` and `sourcesHash`.
    """
    artifact: Json = json.loads((files("market_node") / "abi" / f"{name}.json").read_text(encoding="utf-8"))
    return artifact


NAMES = ("Market", "Escrow", "Reputation", "TestToken")


def snake(name: str) -> str:
    """A Solidity name in Python's spelling: `minReputation` → `min_reputation`."""
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower().strip("_")


# --- calls ---


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a packaged contract, to be read or sent."""

    what: str
    """For a person, such as "Market.commit"."""
    to: str | None
    """None creates the contract."""
    calldata: bytes
    outputs: tuple[str, ...] = ()
    """ABI types of what it returns."""
    least_gas: int = 0
    """A gas limit that lasts where others' calls come first and make this one dearer than it was estimated."""


class Contract:
    """A packaged contract at an address: `contract("commit", …)` is a call."""

    def __init__(self, name: str, address: str) -> None:
        self.name = name
        self.address = address

    def __call__(self, function: str, *arguments: Any) -> Call:
        """Raises BadInput where the arguments do not fit."""
        selector, inputs, outputs = _functions(self.name)[function]
        what = f"{self.name}.{function}"
        return Call(what, self.address, selector + _encoded(what, inputs, arguments), outputs)


def creation(name: str, *arguments: Any) -> Call:
    """The call that creates a packaged contract. Raises BadInput where the arguments do not fit."""
    constructor: Json = next((item for item in artifact(name)["abi"] if item["type"] == "constructor"), {"inputs": []})
    code = bytes.fromhex(artifact(name)["bytecode"][2:])
    inputs = tuple(map(_type, constructor["inputs"]))
    return Call(name, None, code + _encoded(name, inputs, arguments))


@cache
def _functions(name: str) -> Mapping[str, tuple[bytes, tuple[str, ...], tuple[str, ...]]]:
    return {
        item["name"]: (
            keccak(text=_signature(item))[:4],
            tuple(map(_type, item["inputs"])),
            tuple(map(_type, item["outputs"])),
        )
        for item in artifact(name)["abi"]
        if item["type"] == "function"
    }


# Web3's encoder takes 32 bytes for a bytes32, where eth_abi's own would pad fewer with zeros.
_encode = Web3().codec.encode


def _encoded(what: str, types: Sequence[str], arguments: Sequence[Any]) -> bytes:
    try:
        if len(types) != len(arguments):
            raise ValueError("the wrong number of arguments")
        return _encode(types, arguments)
    except (Web3Exception, EncodingError, ValueError, TypeError, OverflowError) as error:
        # No values in the text: some are secrets.
        given = ", ".join(type(each).__name__ for each in arguments)
        raise BadInput(f"{what} takes ({', '.join(types)}); what was given does not fit: ({given})") from error


def returned(call: Call, output: bytes) -> Any:
    """What a call returned: one value as it is, several as a tuple; structs are tuples, addresses have their checksum.

    Raises:
        WrongChain: the bytes are not that; another contract stands there, or none.
    """
    try:
        values = tuple(map(_checked, call.outputs, decode(call.outputs, output)))
    except (DecodingError, ValueError, OverflowError) as error:
        raise WrongChain(f"{call.to} does not answer {call.what} as it should: is it another contract?") from error
    return values[0] if len(values) == 1 else values


def _checked(kind: str, value: Any) -> Any:
    return checksum(value) if kind == "address" else value


# --- errors ---


def reverted(data: bytes) -> Reverted:
    """What a revert's bytes say.

    `name` is the custom error's; "Error" for a `require` with a text, "Panic" for one of Solidity's own checks,
    "Unknown" for an error that no packaged contract has (its bytes are in `arguments`).
    """
    name, inputs = _errors().get(data[:4], ("", []))
    arguments = _arguments(inputs, data[4:])
    if not name or arguments is None:
        return Reverted("Unknown", {"data": "0x" + data.hex()})
    if name == "Panic":
        arguments["reason"] = PANICS.get(arguments["code"], "unknown")
    return Reverted(name, arguments)


@cache
def _errors() -> Mapping[bytes, tuple[str, list[Json]]]:
    general = [
        {"type": "error", "name": "Error", "inputs": [{"name": "reason", "type": "string"}]},
        {"type": "error", "name": "Panic", "inputs": [{"name": "code", "type": "uint256"}]},
    ]
    return {
        keccak(text=_signature(item))[:4]: (item["name"], item["inputs"])
        for item in [*general, *(item for name in NAMES for item in artifact(name)["abi"])]
        if item["type"] == "error"
    }


# --- events ---


def read_log(log: Mapping[str, Any]) -> Event:
    """A log as a node returns it, its values as bytes or 0x…."""
    topics = [_bytes(topic) for topic in log["topics"]]
    body = _bytes(log["data"])
    name, indexed, rest = _events().get(topics[0] if topics else b"", ("", [], []))
    keys, values = _arguments(indexed, b"".join(topics[1:])), _arguments(rest, body)
    if not name or keys is None or values is None:
        name, keys, values = "", {"topics": topics}, {"data": body}
    return Event(
        name,
        keys | values,
        int(log["blockNumber"]),
        "0x" + _bytes(log["transactionHash"]).hex(),
        int(log["logIndex"]),
        checksum(log["address"]),
    )


@cache
def _events() -> Mapping[bytes, tuple[str, list[Json], list[Json]]]:
    return {
        keccak(text=_signature(item)): (
            item["name"],
            [each for each in item["inputs"] if each["indexed"]],
            [each for each in item["inputs"] if not each["indexed"]],
        )
        for name in NAMES
        for item in artifact(name)["abi"]
        if item["type"] == "event"
    }


# --- what both share ---


def _type(argument: Json) -> str:
    kind: str = argument["type"]
    if not kind.startswith("tuple"):
        return kind
    return f"({','.join(map(_type, argument['components']))}){kind[5:]}"


def _signature(item: Json) -> str:
    return f"{item['name']}({','.join(map(_type, item['inputs']))})"


def _arguments(inputs: Sequence[Json], data: bytes) -> Json | None:
    """The arguments by name; None where the bytes are not that."""
    try:
        values = decode([_type(each) for each in inputs], data)
    except (DecodingError, ValueError, OverflowError):
        return None
    return {snake(each["name"]): _value(each, value) for each, value in zip(inputs, values, strict=True)}


def _value(argument: Json, value: Any) -> Any:
    kind: str = argument["type"]
    if kind.endswith("]"):
        return tuple(_value({**argument, "type": kind[: kind.rindex("[")]}, one) for one in value)
    if kind == "tuple":
        fields = zip(argument["components"], value, strict=True)
        return {snake(each["name"]): _value(each, one) for each, one in fields}
    return checksum(value) if kind == "address" else value


def _bytes(value: Any) -> bytes:
    return bytes.fromhex(value[2:]) if isinstance(value, str) else bytes(value)


@lru_cache(maxsize=4096)
def checksum(address: str) -> str:
    """An address with its checksum."""
    return to_checksum_address(address)
