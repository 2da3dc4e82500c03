"""A commit's secrets, made so that the key folder, the chain and the store give them back where the state is lost.

nonce    32 random bytes, new for every attempt: nothing is ever derived twice
salt, content key, key of the note    HKDF-SHA-256 of the encryption key and the nonce, for one chain, market,
         round and account
note     nonce and sealed bid, which only this account's keys open. It stands in the card of the sealed model,
         whose CID is on chain.
"""

import secrets
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from .codec import seal_bid
from .keys import EncryptionKeys
from .phases import Phase
from .records import Bid, Participant, Round
from .seal import Envelope

NOTE = "note"
"""The card's field."""

_NONCE, _FIELD, _TAG = 32, 16, 16
_LENGTH = _NONCE + 4 * _FIELD + _TAG


@dataclass(frozen=True, slots=True)
class Secrets:
    """What one attempt to commit hides."""

    bid: Bid
    salt: bytes
    key: bytes
    """The content key of the sealed model."""
    note: str
    """For the model's card: of the same length for every bid."""


def new_secrets(keys: EncryptionKeys, envelope: Envelope, bid: Bid) -> Secrets:
    """The secrets of a new attempt, from the newest encryption key."""
    nonce = secrets.token_bytes(_NONCE)
    clear = b"".join(each.to_bytes(_FIELD, "big") for each in astuple(bid))
    # The note's key is derived for this nonce alone, so it seals once and the GCM nonce can stand still.
    sealed = AESGCM(_derived(keys, keys.public, nonce, envelope, "note")).encrypt(bytes(12), clear, None)
    return _secrets(keys, keys.public, nonce, envelope, bid, (nonce + sealed).hex())


def find_secrets(
    keys: EncryptionKeys, envelope: Envelope, card: Mapping[str, Any], sealed_bid: bytes
) -> Secrets | None:
    """The secrets of the attempt that the chain holds; None where these keys or this card do not give them.

    Args:
        card: of the sealed model that was committed.
        sealed_bid: as the commit shows it.
    """
    try:
        note = bytes.fromhex(card[NOTE])
    except (KeyError, TypeError, ValueError):
        return None
    nonce, sealed = note[:_NONCE], note[_NONCE:]
    for public in keys.publics if len(note) == _LENGTH else ():
        try:
            clear = AESGCM(_derived(keys, public, nonce, envelope, "note")).decrypt(bytes(12), sealed, None)
        except InvalidTag:
            continue
        bid = Bid(*(int.from_bytes(clear[at : at + _FIELD], "big") for at in range(0, len(clear), _FIELD)))
        found = _secrets(keys, public, nonce, envelope, bid, card[NOTE])
        seal = seal_bid(envelope.market, envelope.chain_id, envelope.round, envelope.account, bid, found.salt)
        return found if seal == sealed_bid else None
    return None


def _secrets(keys: EncryptionKeys, public: bytes, nonce: bytes, envelope: Envelope, bid: Bid, note: str) -> Secrets:
    salt, key = (_derived(keys, public, nonce, envelope, purpose) for purpose in ("salt", "content key"))
    return Secrets(bid, salt, key, note)


def _derived(keys: EncryptionKeys, public: bytes, nonce: bytes, envelope: Envelope, purpose: str) -> bytes:
    return keys.derive(public, nonce, f"commit {purpose}".encode() + b"\0" + envelope.context())


# --- what an older backup lacks ---


def needs_bid(round_: Round, index: int, phase: Phase) -> bool:
    """Whether an account still has to open its bid in a round."""
    return phase <= Phase.REVEAL and round_.participants[index].reveal is None


def missing_keys(round_: Round, account: str, keys: EncryptionKeys, phase: Phase) -> list[str]:
    """What an account can no longer open in a round because its key folder is too old, a plain line each."""
    lines = []
    participant = _of(round_, account)
    if participant is not None and phase != Phase.VOID and participant.encryption_key not in keys.publics:
        lines.append(
            f"round {round_.number}: its personal model is for encryption key {participant.encryption_key.hex()[:8]}, "
            "which is not in the key folder: restore a newer backup of it, or that model is lost"
        )
    opens = phase <= Phase.SETTLE and round_.aggregator == account
    if opens and round_.encryption_key not in keys.publics:
        lines.append(
            f"round {round_.number}: models are wrapped for encryption key {round_.encryption_key.hex()[:8]}, which is "
            "not in the key folder: restore a newer backup of it, or the round cannot be settled and its bond is lost"
        )
    return lines


def _of(round_: Round, account: str) -> Participant | None:
    return next((each for each in round_.participants if each.account == account), None)
