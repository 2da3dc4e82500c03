"""Files as trees of blocks, with the CIDs that Kubo gives them.

The profile, which is part of the protocol: CIDv1, sha2-256, chunks of 262,144 bytes as raw leaves, balanced dag-pb
nodes of UnixFS files with at most 174 links (`ipfs add --cid-version=1 --raw-leaves --chunker=size-262144`).
A file of one chunk is its leaf. On chain stands the root's digest alone, so the first byte tells a node (0x12) from
a leaf, and no file of one chunk may begin with 0x12 or 0x0a.

Under this profile a file has exactly one tree. Reading takes no other: each node must be, byte for byte, the one
that its file's size asks for, so depth, width and length are known before anything is followed.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import BinaryIO

from .codec import DAG_PB, RAW, cid_text
from .errors import BadInput, DigestMismatch, Misshapen, TooLarge

CHUNK = 262_144
"""Bytes of a leaf; the last one may be shorter."""

BLOCK_LIMIT = 262_144
"""Bytes of any block: a node of 174 links has about 10,000."""

WIDTH = 174
"""Links of a node."""

NODE_BYTES = (0x0A, 0x12)
"""First bytes that dag-pb blocks have: data first, or links first as here."""

Keep = Callable[[bytes, bytes], None]
"""Takes the digest and the bytes of a block, children before parents."""

Read = Callable[[int, bytes], bytes]
"""Codec and digest of a block → bytes that claim to be it."""


@dataclass(frozen=True, slots=True)
class Link:
    """A tree of blocks, by its root."""

    codec: int
    digest: bytes
    size: int
    """Bytes of the file."""
    total: int
    """Bytes of all blocks."""


# --- writing ---


def build(file: BinaryIO, keep: Keep) -> Link:
    """Cuts a file into blocks and passes each to `keep`. Memory: one block, and the links of the open nodes.

    Raises:
        BadInput: a file of one chunk that begins as a node does.
    """
    levels: list[list[Link]] = [[]]

    def add(link: Link, level: int) -> None:
        if len(levels[level]) == WIDTH:
            close(level)
        levels[level].append(link)

    def close(level: int) -> None:
        if level + 1 == len(levels):
            levels.append([])
        add(_node(levels[level], keep), level + 1)
        levels[level] = []

    chunk = first = file.read(CHUNK)
    while True:
        add(_leaf(chunk, keep), 0)
        if not (chunk := file.read(CHUNK)):
            break
    level = 0
    while level + 1 < len(levels) or len(levels[level]) > 1:
        close(level)
        level += 1
    (root,) = levels[level]
    if root.codec == RAW and _is_node(first):
        raise BadInput(f"a file of one block cannot begin with 0x{first[:1].hex()}: so does a tree of blocks")
    return root


def _leaf(chunk: bytes, keep: Keep) -> Link:
    digest = sha256(chunk).digest()
    keep(digest, chunk)
    return Link(RAW, digest, len(chunk), len(chunk))


def _node(links: Sequence[Link], keep: Keep) -> Link:
    block = encode_node(links)
    digest = sha256(block).digest()
    keep(digest, block)
    total = len(block) + sum(link.total for link in links)
    return Link(DAG_PB, digest, sum(link.size for link in links), total)


# --- reading ---


def chunks(root: bytes, read: Read, limit: int) -> Iterator[bytes]:
    """The file's bytes in order, each block verified.

    Args:
        root: digest, 32 bytes.
        read: gives blocks; whatever it gives is checked.
        limit: bytes of the file.

    Raises:
        DigestMismatch: other bytes than were asked for.
        TooLarge: past the limit; raised before any leaf is read.
        Misshapen: not a tree of this profile.
    """
    # Its codec is unknown until it is read; as a raw block, any block can be fetched.
    block = _verified(RAW, root, read)
    if _is_node(block):
        yield from _tree(root, block, read, limit)
    elif len(block) > limit:
        raise TooLarge(f"{cid_text(root, RAW)} has {len(block)} bytes, more than {limit}")
    else:
        yield block


def leaves(root: bytes, read: Read) -> set[bytes]:
    """Digests of the leaves. Reads no leaf below a node, and no node twice."""
    block = _verified(RAW, root, read)
    if not _is_node(block):
        return {root}
    found, seen, waiting = set(), {root}, decode_node(block, root)
    while waiting:
        link = waiting.pop()
        if link.codec == RAW:
            found.add(link.digest)
        elif link.digest not in seen:
            seen.add(link.digest)
            waiting += decode_node(_verified(DAG_PB, link.digest, read), link.digest)
    return found


def _is_node(block: bytes) -> bool:
    """Whether a root is a node; nobody stores a leaf that looks like one."""
    return len(block) > 0 and block[0] in NODE_BYTES


def _tree(root: bytes, node: bytes, read: Read, limit: int) -> Iterator[bytes]:
    """The bytes below a root that is a node."""
    size = sum(link.size for link in decode_node(node, root))
    if size > limit:
        raise TooLarge(f"{cid_text(root, DAG_PB)} has {size} bytes, more than {limit}")
    if size <= CHUNK:
        raise _misshapen(root)  # it would be its leaf
    span = CHUNK
    while span * WIDTH < size:
        span *= WIDTH
    yield from _branch(root, node, size, span, read)


def _branch(digest: bytes, node: bytes, size: int, span: int, read: Read) -> Iterator[bytes]:
    """The bytes below a node: `size` in all, `span` below each child but the last."""
    children = decode_node(node, digest)
    if [(child.codec, child.size) for child in children] != _shape(size, span):
        raise _misshapen(digest)
    for child in children:
        block = _verified(child.codec, child.digest, read)
        if child.codec == DAG_PB:
            yield from _branch(child.digest, block, child.size, span // WIDTH, read)
        elif len(block) != child.size:
            raise _misshapen(digest)
        else:
            yield block


def _misshapen(digest: bytes) -> Misshapen:
    return Misshapen(f"{cid_text(digest, DAG_PB)} is no node of a tree of 256 KiB chunks, raw leaves and 174 links")


def _shape(size: int, span: int) -> list[tuple[int, int]]:
    """Codec and size of each child of a node over `size` bytes."""
    codec = RAW if span == CHUNK else DAG_PB
    full, rest = divmod(size, span)
    return [(codec, span)] * full + [(codec, rest)] * (rest > 0)


def _verified(codec: int, digest: bytes, read: Read) -> bytes:
    block = read(codec, digest)
    if sha256(block).digest() != digest:
        raise DigestMismatch(f"the store returned other bytes for {cid_text(digest, codec)}")
    if len(block) > BLOCK_LIMIT:
        raise Misshapen(f"{cid_text(digest, codec)} has {len(block)} bytes; no block has more than {BLOCK_LIMIT}")
    return block


# --- dag-pb and UnixFS ---


def encode_node(links: Iterable[Link]) -> bytes:
    """The dag-pb block of a UnixFS file: PBNode { Links = 2 …, Data = 1 }, links first."""
    links = list(links)
    block = b"".join(_field(2, _encode_link(link)) for link in links)
    sizes = b"".join(b"\x20" + _varint(link.size) for link in links)
    # UnixFS Data { Type = 1: File (2), filesize = 3, blocksizes = 4 … }
    return block + _field(1, b"\x08\x02\x18" + _varint(sum(link.size for link in links)) + sizes)


def _encode_link(link: Link) -> bytes:
    """PBLink { Hash = 1, Name = 2: empty, Tsize = 3 }"""
    return _field(1, _cid_prefix(link.codec) + link.digest) + _field(2, b"") + b"\x18" + _varint(link.total)


def decode_node(block: bytes, digest: bytes) -> list[Link]:
    """The links of a node. Takes exactly what `encode_node` writes.

    Raises:
        Misshapen: anything else.
    """
    try:
        links = _decode_links(block)
        canonical = encode_node(links) == block
    except (IndexError, ValueError):
        canonical = False
    if not canonical:
        raise Misshapen(f"{cid_text(digest, DAG_PB)} is not a node of a file as this profile writes it")
    return links


def _decode_links(block: bytes) -> list[Link]:
    """Reads only as strictly as it must: `decode_node` compares what this gives."""
    hashes: list[tuple[int, bytes, int]] = []
    at = 0
    while block[at] == 0x12:
        _, at = _read_varint(block, at + 1)
        codec, digest = block[at + 3], block[at + 6 : at + 38]
        total, at = _read_varint(block, at + 41)
        hashes.append((codec, digest, total))
    _, at = _read_varint(block, at + 1)
    _, at = _read_varint(block, at + 3)
    links = []
    for codec, digest, total in hashes:
        size, at = _read_varint(block, at + 1)
        links.append(Link(codec, digest, size, total))
    return links


def _cid_prefix(codec: int) -> bytes:
    return bytes([1, codec, 0x12, 32])


def _field(number: int, content: bytes) -> bytes:
    """A length-delimited protobuf field."""
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number >= 0x80:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def _read_varint(block: bytes, at: int) -> tuple[int, int]:
    """A number and where the next field begins."""
    number = 0
    for place in range(9):  # 2**63 is more than any file
        number |= (block[at + place] & 0x7F) << (7 * place)
        if block[at + place] < 0x80:
            return number, at + place + 1
    raise ValueError("a number is too long")
