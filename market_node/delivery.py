"""The delivery list: what an aggregator publishes beside its settlement. Pure; its CID digest goes on chain.

One entry per personal model (where it lies, what is inside, its key wrapped for the buyer), one per exclusion (why,
with evidence) and one per buyer or seller (how long its update is). It is JSON, because a person may want to read why a
model was excluded.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from .canonical import canonical, read_canonical
from .errors import MalformedUpdate, UnknownVersion
from .records import SKETCH_SIZE

LIMIT = 8 << 20
"""Bytes: 1,024 entries with their fingerprints and keys, twice over."""

VERSION = 1

REASONS = {
    "missing": "the sealed file could not be fetched",
    "wrong-key": "the wrapped key does not open the sealed file",
    "names-another": "the sealed file or its key names another chain, market, round or account",
    "malformed": "the model has wrong tensors, shapes or dtypes, is not finite or not safetensors",
    "out-of-range": "a weight is outside what its tensor's quantum can express",
    "root-mismatch": "the weights are not those whose root was committed",
    "sketch-mismatch": "the revealed sketch is not that of the weights",
    "fingerprint-mismatch": "the fingerprint on the model card is not that of the weights",
    "copy": "the update holds nothing new beside updates that others offered, in the last rounds or in this one",
}
"""Why a model can be excluded: code → what it says."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One buyer's personal model."""

    index: int
    account: str
    model: bytes
    """CID digest of the sealed file, 32 bytes."""
    digest: bytes
    """sha2-256 of the file inside, 32 bytes."""
    fingerprint: bytes
    """Of the personal model's update, `SKETCH_SIZE` signed bytes."""
    key: bytes
    """The content key, wrapped for the buyer."""


@dataclass(frozen=True, slots=True)
class Exclusion:
    """One participant whose model was not accepted."""

    index: int
    reason: str
    """A key of `REASONS`."""
    evidence: bytes = b""
    """What the aggregator computed where the participant claimed something else; for a copy, JSON with its figures."""

    def __str__(self) -> str:
        """For a person. The evidence is an aggregator's word, so only what prints is shown of it."""
        if not self.evidence:
            return REASONS[self.reason]
        figures = self.evidence.decode(errors="replace")[:200] if self.reason == "copy" else self.evidence.hex()[:64]
        return f"{REASONS[self.reason]} (evidence {''.join(filter(str.isprintable, figures))})"


@dataclass(frozen=True, slots=True)
class Length:
    """How long the update of a buyer or seller is. Rows and lengths give the weights of every personal model."""

    index: int
    square: int
    """|update|², below 2**128."""


@dataclass(frozen=True, slots=True)
class DeliveryList:
    """Everything an aggregator delivers in one round."""

    chain_id: int
    market: str
    round: int
    deliveries: tuple[Delivery, ...]
    exclusions: tuple[Exclusion, ...]
    lengths: tuple[Length, ...] = ()

    def to(self, index: int) -> Delivery | None:
        """The delivery to a participant, or None where it bought nothing."""
        return next((delivery for delivery in self.deliveries if delivery.index == index), None)


def delivery_list_bytes(listed: DeliveryList) -> bytes:
    """The list's canonical bytes."""
    text = {
        "version": VERSION,
        "chain_id": listed.chain_id,
        "market": listed.market,
        "round": listed.round,
        "deliveries": [_plain(delivery) for delivery in listed.deliveries],
        "exclusions": [_plain(exclusion) for exclusion in listed.exclusions],
        "lengths": [{"index": each.index, "square": each.square.to_bytes(16).hex()} for each in listed.lengths],
    }
    return canonical(text)


def parse_delivery_list(raw: bytes) -> DeliveryList:
    """Reads a list that a stranger wrote.

    Raises:
        MalformedUpdate: it is not one.
        UnknownVersion: it may be one of a newer node's.
    """
    try:
        text = read_canonical(raw)
        if text["version"] != VERSION:
            raise UnknownVersion(f"the delivery list has version {text['version']!r:.20}, this node reads {VERSION}")
        return DeliveryList(
            chain_id=_integer(text["chain_id"]),
            market=_text(text["market"]),
            round=_integer(text["round"]),
            deliveries=tuple(_delivery(entry) for entry in _sequence(text["deliveries"])),
            exclusions=tuple(_exclusion(entry) for entry in _sequence(text["exclusions"])),
            lengths=tuple(_length(entry) for entry in _sequence(text["lengths"])),
        )
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise MalformedUpdate(f"not a delivery list: {error!r}"[:200]) from error


def _plain(entry: Delivery | Exclusion) -> dict[str, Any]:
    return {name: value.hex() if isinstance(value, bytes) else value for name, value in asdict(entry).items()}


def _delivery(entry: dict[str, Any]) -> Delivery:
    return Delivery(
        index=_integer(entry["index"]),
        account=_text(entry["account"]),
        model=_bytes(entry["model"], 32),
        digest=_bytes(entry["digest"], 32),
        fingerprint=_bytes(entry["fingerprint"], SKETCH_SIZE),
        key=_bytes(entry["key"], None),
    )


def _exclusion(entry: dict[str, Any]) -> Exclusion:
    reason = _text(entry["reason"])
    if reason not in REASONS:
        raise ValueError(f"unknown reason {reason[:40]!r}")
    return Exclusion(_integer(entry["index"]), reason, _bytes(entry["evidence"], None))


def _length(entry: dict[str, Any]) -> Length:
    return Length(_integer(entry["index"]), int.from_bytes(_bytes(entry["square"], 16)))


def _integer(value: object) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r} is not a whole number")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not text")
    return value


def _bytes(value: object, size: int | None) -> bytes:
    raw = bytes.fromhex(_text(value))
    if size is not None and len(raw) != size:
        raise ValueError(f"{len(raw)} bytes where {size} belong")
    return raw


def _sequence(value: object) -> Sequence[Any]:
    if not isinstance(value, list):
        raise ValueError(f"{value!r} is not a list")
    return value
