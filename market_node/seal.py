"""Sealed files: a model that its addressee can open, in a form where every byte is checked.

    magic 8 | salt 32 | commitment 32 | length 4 | header | chunk … chunk

The header is canonical JSON in clear: whose file it is, where, and its public card. From the content key and the
salt, HKDF-SHA-256 derives the file's own key and a commitment to it (GCM alone opens under several keys; Albertini
et al. 2022). A chunk is 1 MiB of the plaintext, the last one shorter, under AES-256-GCM with everything before the
first chunk as associated data. The nonce is the chunk's number, 11 bytes big-endian, and one byte that is 1 on the
last chunk (STREAM; Hoang, Reyhanitabar, Rogaway, Vizár 2015), which is safe because no two files share a key.
All integers are big-endian. Content keys are wrapped by HPKE (RFC 9180), X25519, HKDF-SHA-256, AES-256-GCM.
"""

import hmac
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from eth_utils.address import is_hex_address, to_checksum_address

from .canonical import canonical, read_canonical
from .errors import BadInput, BrokenSeal, NotForUs, TooLarge
from .files import replacing

MAGIC = b"MNSEAL1\n"
"""Neither 0x0a nor 0x12 comes first: those begin a tree of blocks in a store."""

KEY_SIZE = 32
SALT_SIZE = 32
TAG_SIZE = 16
CHUNK = 1 << 20
"""Bytes of plaintext."""

HEADER_LIMIT = 1 << 16
"""Bytes of a header."""

WRAPPED_SIZE = 80
"""Bytes of a wrapped key."""

_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


@dataclass(frozen=True, slots=True)
class Envelope:
    """Who a file or key belongs to, and where. Addresses are kept as EIP-55 writes them."""

    chain_id: int
    market: str
    round: int
    account: str

    def __post_init__(self) -> None:
        for name, number in (("chain id", self.chain_id), ("round", self.round)):
            if type(number) is not int or not 0 <= number < 1 << 256:
                raise BadInput(f"an envelope's {name} is a number below 2**256, not {number!r}")
        for name in ("market", "account"):
            address = getattr(self, name)
            if not is_hex_address(address):
                raise BadInput(f"an envelope's {name} is an address, not {address!r}")
            object.__setattr__(self, name, to_checksum_address(address))

    def context(self) -> bytes:
        """What a wrapped key is bound to: a name, then chain id 32, market 20, round 32 and account 20 bytes."""
        numbers = [number.to_bytes(32, "big") for number in (self.chain_id, self.round)]
        addresses = [bytes.fromhex(address[2:]) for address in (self.market, self.account)]
        return b"market-node key 1" + numbers[0] + addresses[0] + numbers[1] + addresses[1]

    def __str__(self) -> str:
        return f"{self.account} in round {self.round} of {self.market} on chain {self.chain_id}"


# --- files ---


def new_key() -> bytes:
    """A random content key, 32 bytes."""
    return secrets.token_bytes(KEY_SIZE)


def sealed_limit(plain_limit: int) -> int:
    """Bytes that a sealed file has at most whose plaintext has at most `plain_limit`."""
    start = len(MAGIC) + SALT_SIZE + KEY_SIZE + 4 + HEADER_LIMIT
    return start + plain_limit + TAG_SIZE * max(1, -(-plain_limit // CHUNK))


def seal_file(plain: Path, sealed: Path, key: bytes, envelope: Envelope, card: dict[str, Any]) -> None:
    """`seal`, into a file that is there whole or not at all."""
    with open(plain, "rb") as source, replacing(sealed) as target:
        seal(source, target, key, envelope, card)


def open_file(sealed: Path, plain: Path, key: bytes, envelope: Envelope, limit: int) -> dict[str, Any]:
    """`open_sealed`, into a file that has its name only once every byte was verified, and only its owner reads."""
    with open(sealed, "rb") as source, replacing(plain, mode=0o600) as target:
        return open_sealed(source, target, key, envelope, limit)


def seal(plain: BinaryIO, sealed: BinaryIO, key: bytes, envelope: Envelope, card: dict[str, Any]) -> None:
    """Seals `plain` under a content key.

    Args:
        key: 32 bytes; may seal several files.
        card: what anyone may read about the model: JSON, which with the envelope fits 64 KiB.
    """
    _check_key(key)
    header = _write_header(envelope, card)
    salt = secrets.token_bytes(SALT_SIZE)
    file_key, commitment = _derive(key, salt)
    start = MAGIC + salt + commitment + len(header).to_bytes(4, "big") + header
    sealed.write(start)
    cipher, buffer = AESGCM(file_key), bytearray(CHUNK + TAG_SIZE)
    for nonce, chunk in _chunks(plain, CHUNK):
        written = memoryview(buffer)[: len(chunk) + TAG_SIZE]
        cipher.encrypt_into(nonce, chunk, start, written)
        sealed.write(written)


def read_header(sealed: BinaryIO) -> tuple[Envelope, dict[str, Any]]:
    """What a sealed file says in clear, its card second. Not authenticated: only opening it shows that it is true.

    Raises:
        BrokenSeal: not a sealed file.
    """
    _, _, _, envelope, card = _read_start(sealed)
    return envelope, card


def open_sealed(sealed: BinaryIO, plain: BinaryIO, key: bytes, envelope: Envelope, limit: int) -> dict[str, Any]:
    """Opens a sealed file. What was written to `plain` is worth nothing unless this returns: see `open_file`.

    Args:
        envelope: whose file this has to be, and where.
        limit: bytes of plaintext.

    Returns:
        The card, which is now authenticated.

    Raises:
        NotForUs: it names another chain, market, round or account.
        BrokenSeal: altered, cut short, or sealed under another key.
        TooLarge: past the limit; no more than the limit was written.
    """
    _check_key(key)
    start, salt, commitment, named, card = _read_start(sealed)
    if named != envelope:
        raise NotForUs(f"the sealed file is of {named}, not of {envelope}")
    file_key, expected = _derive(key, salt)
    if not hmac.compare_digest(commitment, expected):
        raise BrokenSeal("the sealed file does not open with this key")
    cipher, buffer, size = AESGCM(file_key), bytearray(CHUNK), 0
    for nonce, chunk in _chunks(sealed, CHUNK + TAG_SIZE):
        length = len(chunk) - TAG_SIZE
        if length < 0 or (length == 0 and size > 0):
            raise BrokenSeal(f"the sealed file is cut short after {size} bytes of plaintext")
        if size + length > limit:
            raise TooLarge(f"the sealed file holds more than {limit} bytes")
        try:
            cipher.decrypt_into(nonce, chunk, start, memoryview(buffer)[:length])
        except InvalidTag:
            raise BrokenSeal(f"the sealed file is altered or cut short after {size} bytes of plaintext") from None
        plain.write(memoryview(buffer)[:length])
        size += length
    return card


def _derive(key: bytes, salt: bytes) -> tuple[bytes, bytes]:
    """The file's key, and the commitment that no other key gives."""
    both = HKDF(SHA256(), 2 * KEY_SIZE, salt, b"market-node seal 1").derive(key)
    return both[:KEY_SIZE], both[KEY_SIZE:]


def _chunks(file: BinaryIO, size: int) -> Iterator[tuple[bytes, bytes]]:
    """(nonce, chunk) pairs. Always one: an empty file is one empty chunk."""
    number, chunk = 0, _read(file, size)
    while True:
        following = _read(file, size) if len(chunk) == size else b""
        yield number.to_bytes(11, "big") + bytes([not following]), chunk
        if not following:
            return
        number, chunk = number + 1, following


def _read(file: BinaryIO, size: int) -> bytes:
    """`size` bytes, fewer only at the end of the file: a pipe may give less than it was asked for."""
    read = file.read(size)
    while len(read) < size and (more := file.read(size - len(read))):
        read += more
    return read


# --- header ---


def _write_header(envelope: Envelope, card: dict[str, Any]) -> bytes:
    fields = {
        "account": envelope.account,
        "card": card,
        "chain_id": envelope.chain_id,
        "market": envelope.market,
        "round": envelope.round,
    }
    try:
        header = canonical(fields)
    except ValueError as error:
        raise BadInput(f"a model card is JSON: {error}") from None
    if len(header) > HEADER_LIMIT:
        raise BadInput(f"a model card is too large: the header has {len(header)} bytes of {HEADER_LIMIT}")
    return header


def _read_start(sealed: BinaryIO) -> tuple[bytes, bytes, bytes, Envelope, dict[str, Any]]:
    """Everything before the first chunk: its bytes, salt, commitment, envelope and card."""
    fixed = _read(sealed, len(MAGIC) + SALT_SIZE + KEY_SIZE + 4)
    salt, commitment = fixed[8:40], fixed[40:72]
    length = int.from_bytes(fixed[72:], "big")
    if len(fixed) < 76 or not fixed.startswith(MAGIC) or length > HEADER_LIMIT:
        raise BrokenSeal("not a sealed file of this version")
    header = _read(sealed, length)
    try:
        fields = read_canonical(header)
        if not isinstance(fields, dict) or not isinstance(card := fields.pop("card", None), dict):
            raise ValueError("no card")
        envelope = Envelope(**fields)
        written = _write_header(envelope, card)  # which may be too long where the one that was read is not
    except (ValueError, TypeError, BadInput) as error:
        raise BrokenSeal(f"the sealed file's header cannot be read: {error}"[:200]) from None
    if written != header:
        raise BrokenSeal("the sealed file's header is not canonical")  # an address in another spelling
    return fixed + header, salt, commitment, envelope, card


# --- keys ---


def generate_keypair() -> tuple[bytes, bytes]:
    """An X25519 key pair, private then public, 32 bytes each."""
    private = X25519PrivateKey.generate()
    return private.private_bytes_raw(), private.public_key().public_bytes_raw()


def wrap_key(key: bytes, public: bytes, envelope: Envelope) -> bytes:
    """A content key that only the holder of `public`'s private key can unwrap, and only for `envelope`.

    Returns:
        80 bytes.

    Raises:
        BadInput: no key can be agreed with `public`: another length than 32, or a point of small order.
    """
    _check_key(key)
    try:
        return _SUITE.encrypt(key, X25519PublicKey.from_public_bytes(public), info=envelope.context())
    except ValueError:
        raise BadInput(f"{public.hex()[:80]} is not an encryption key that can be used") from None


def unwrap_key(wrapped: bytes, private: bytes, envelope: Envelope) -> bytes:
    """The content key.

    Raises:
        BrokenSeal: not a wrapped key at all.
        NotForUs: wrapped for another encryption key or another envelope, or altered: the three look the same.
    """
    if len(wrapped) != WRAPPED_SIZE:
        raise BrokenSeal(f"a wrapped key has {WRAPPED_SIZE} bytes, not {len(wrapped)}")
    try:
        return _SUITE.decrypt(wrapped, X25519PrivateKey.from_private_bytes(private), info=envelope.context())
    except (InvalidTag, ValueError):
        raise NotForUs(f"the wrapped key does not open here as that of {envelope}") from None


def _check_key(key: bytes) -> None:
    if len(key) != KEY_SIZE:
        raise BadInput(f"a content key has {KEY_SIZE} bytes, not {len(key)}")
