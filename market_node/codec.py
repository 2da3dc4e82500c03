"""Every byte that the chain and this package must agree on: hashes, rows, bitmaps and CIDs.

Hashes are keccak256 of `abi.encode`; those that share a storage word keep their first 30 bytes.
All decoding is strict, and loses nothing: what was decoded encodes to the same bytes again.
"""

import base64
import binascii
import struct
from collections.abc import Collection, Iterable, Sequence

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from market_node.errors import BadInput
from market_node.records import Bid, Model, Purchase, Row

NO_REVEALS = bytes(30)
"""The running hash of reveals before the first one."""

RAW = 0x55
"""The multicodec of a file that is one block."""

DAG_PB = 0x70
"""The multicodec of a file that is a tree of blocks."""

_BID = "(uint96,uint96,uint64,uint24)"
_MODEL = "(bytes32,bytes32)"
_PURCHASE = struct.Struct(">HIQ")  # seller uint16, price uint96 as its high 4 and low 8 bytes
_SHA2_256 = bytes([0x12, 32])


# --- what participants commit to ---


def seal_bid(market: str, chain_id: int, round: int, account: str, bid: Bid, salt: bytes) -> bytes:
    """The 32 bytes that hide a bid until its reveal. `salt`: 32 random bytes, never used twice."""
    types = ["address", "uint256", "uint256", "address", _BID, "bytes32"]
    return keccak(encode(types, [market, chain_id, round, account, _bid(bid), salt]))


def commit_record(sealed_bid: bytes, model: Model) -> bytes:
    """What a commit leaves on chain, 30 bytes."""
    return keccak(encode(["bytes32", _MODEL], [sealed_bid, _model(model)]))[:30]


def bid_record(index: int, bid: Bid, reputation: int, sketch: bytes, model: Model) -> bytes:
    """What a reveal leaves on chain in place of the commit record, 30 bytes."""
    types = ["uint256", _BID, "uint24", "bytes32", _MODEL]
    return keccak(encode(types, [index, _bid(bid), reputation, keccak(sketch), _model(model)]))[:30]


def next_reveals_hash(reveals_hash: bytes, index: int, bid_record: bytes) -> bytes:
    """The running hash of reveals after one more, 30 bytes. Begin with `NO_REVEALS`."""
    return keccak(encode(["bytes30", "uint256", "bytes30"], [reveals_hash, index, bid_record]))[:30]


def seed(block_hash: bytes, round: int) -> bytes:
    """The round's seed, 32 bytes, from the hash of the block that was chosen for it."""
    return keccak(encode(["bytes32", "uint256"], [block_hash, round]))


# --- a settlement ---


def encode_row(row: Row) -> bytes:
    """A row's bytes: the count (1), and for each purchase its seller (2) and price (12), big-endian."""
    purchases = (_PURCHASE.pack(item.seller, item.price >> 64, item.price & (1 << 64) - 1) for item in row)
    return bytes([len(row)]) + b"".join(purchases)


def encode_rows(rows: Iterable[Row]) -> bytes:
    """All rows' bytes, one after the other, in index order."""
    return b"".join(map(encode_row, rows))


def decode_rows(data: bytes, n: int, max_sellers: int) -> tuple[Row, ...]:
    """The `n` rows in `data`. A seller past the n is kept: that its row counts as empty is the payout's rule.

    Raises:
        BadInput: a row longer than `max_sellers`, too few bytes, or bytes left over.
    """
    rows = []
    start = 0
    for buyer in range(n):
        if start >= len(data):
            raise BadInput(f"the rows end before row {buyer} of {n}")
        end = start + 1 + data[start] * _PURCHASE.size
        if data[start] > max_sellers:
            raise BadInput(f"row {buyer} has {data[start]} sellers; the round allows {max_sellers}")
        if end > len(data):
            raise BadInput(f"row {buyer} of {n} is cut short")
        purchases = _PURCHASE.iter_unpack(data[start + 1 : end])
        rows.append(tuple(Purchase(seller, high << 64 | low) for seller, high, low in purchases))
        start = end
    if start != len(data):
        raise BadInput(f"{len(data) - start} bytes are left over after {n} rows")
    return tuple(rows)


def row_hash(row: Row) -> bytes:
    """32 bytes."""
    return keccak(encode_row(row))


def encode_listed(listed: Iterable[int]) -> bytes:
    """The sellers of a challenger's claim, two bytes each, big-endian."""
    return b"".join(seller.to_bytes(2) for seller in listed)


def decode_listed(data: bytes) -> tuple[int, ...]:
    """The sellers of a challenger's claim. Raises BadInput for an odd number of bytes."""
    if len(data) % 2:
        raise BadInput(f"a list of sellers has two bytes each, not {len(data)} in all")
    return tuple(seller for (seller,) in struct.iter_unpack(">H", data))


def rows_hash(rows: Iterable[Row]) -> bytes:
    """32 bytes: the hash of the rows' hashes, so that one row is proven without the others."""
    return keccak(b"".join(map(row_hash, rows)))


def encode_excluded(excluded: Collection[int], n: int) -> tuple[int, ...]:
    """Who of `n` is excluded, as a bitmap in words: bit i % 256 of word i // 256.

    Raises:
        BadInput: an index that is none of theirs.
    """
    words = [0] * -(-n // 256)
    for index in excluded:
        if not 0 <= index < n:
            raise BadInput(f"participant {index} cannot be excluded: there are {n}")
        words[index // 256] |= 1 << index % 256
    return tuple(words)


def decode_excluded(words: Sequence[int], n: int) -> frozenset[int]:
    """Who of `n` is excluded, from the bitmap of `encode_excluded`. One set has one encoding.

    Raises:
        BadInput: not exactly the words that n needs, or a bit past n.
    """
    if len(words) != -(-n // 256):
        raise BadInput(f"{len(words)} words of exclusions for {n} participants")
    bitmap = sum(word << 256 * i for i, word in enumerate(words))
    if bitmap >> n:
        raise BadInput(f"participant {bitmap.bit_length() - 1} cannot be excluded: there are {n}")
    return frozenset(index for index in range(n) if bitmap >> index & 1)


def settlement_word(excluded: Sequence[int], rows_hash: bytes) -> bytes:
    """The one word that the chain keeps of a settlement, 32 bytes. `excluded` as in `encode_excluded`."""
    return keccak(encode(["uint256[]", "bytes32"], [excluded, rows_hash]))


# --- names of files ---


def cid_text(digest: bytes, codec: int) -> str:
    """A CID as people and IPFS write it: version 1, base32, sha2-256. `codec`: `RAW` or `DAG_PB`."""
    binary = bytes([1, codec]) + _SHA2_256 + digest
    return "b" + base64.b32encode(binary).decode().rstrip("=").lower()


def read_cid(text: str) -> tuple[int, bytes]:
    """The codec and the 32-byte digest of a CID.

    Raises:
        BadInput: not exactly what `cid_text` writes.
    """
    try:
        binary = base64.b32decode(text[1:].upper() + "=" * (-len(text[1:]) % 8))
    except (binascii.Error, ValueError):
        raise BadInput(f"not a CID in base32: {text!r}") from None
    codec, digest = binary[1] if len(binary) == 36 else 0, binary[4:]
    if codec not in (RAW, DAG_PB) or cid_text(digest, codec) != text:
        raise BadInput(f"not a CID of version 1 over sha2-256, raw or dag-pb: {text!r}")
    return codec, digest


def _bid(bid: Bid) -> tuple[int, int, int, int]:
    return bid.value, bid.cost, bid.samples, bid.min_reputation


def _model(model: Model) -> tuple[bytes, bytes]:
    return model.cid, model.root
