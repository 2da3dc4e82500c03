"""The chain's bytes. The layouts are spelt out here word by word: an oracle that shares no encoder with the codec."""

import base64
import hashlib

import pytest
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from market_node import codec
from market_node.errors import BadInput
from market_node.records import Bid, Model, Purchase

MARKET = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
ADA = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
BID = Bid(value=10**18, cost=(1 << 96) - 1, samples=(1 << 64) - 1, min_reputation=2048)
MODEL = Model(cid=b"\x11" * 32, root=b"\x22" * 32)
SALT = bytes(range(32))


def words(*values: int | str | bytes) -> bytes:
    """Static values as the ABI lays them out: 32 bytes each, numbers and addresses at the right, bytes at the left."""

    def word(value: int | str | bytes) -> bytes:
        if isinstance(value, int):
            return value.to_bytes(32, "big")
        return bytes.fromhex(value[2:]).rjust(32, b"\0") if isinstance(value, str) else value.ljust(32, b"\0")

    return b"".join(map(word, values))


# --- what participants commit to ---


def test_a_sealed_bid_names_market_chain_round_and_account():
    expected = keccak(words(MARKET, 31337, 7, ADA, 10**18, (1 << 96) - 1, (1 << 64) - 1, 2048, SALT))
    assert codec.seal_bid(MARKET, 31337, 7, ADA, BID, SALT) == expected


def test_a_commit_record_is_30_bytes_of_the_seal_and_the_model():
    sealed = codec.seal_bid(MARKET, 31337, 7, ADA, BID, SALT)
    assert codec.commit_record(sealed, MODEL) == keccak(words(sealed, MODEL.cid, MODEL.root))[:30]


def test_a_bid_record_holds_all_that_a_price_depends_on():
    sketch = bytes(1024)
    expected = keccak(
        words(1023, 10**18, (1 << 96) - 1, (1 << 64) - 1, 2048, 65_536, keccak(sketch), MODEL.cid, MODEL.root)
    )
    assert codec.bid_record(1023, BID, 65_536, sketch, MODEL) == expected[:30]


def test_the_hash_of_reveals_runs_over_their_order():
    first, second = b"\x01" * 30, b"\x02" * 30
    one = keccak(words(bytes(30), 5, first))[:30]
    assert codec.next_reveals_hash(codec.NO_REVEALS, 5, first) == one
    assert codec.next_reveals_hash(one, 3, second) == keccak(words(one, 3, second))[:30]


def test_the_seed_is_the_blocks_and_the_rounds():
    assert codec.seed(b"\xab" * 32, 9) == keccak(words(b"\xab" * 32, 9))


# --- rows ---

PURCHASES = st.builds(Purchase, seller=st.integers(0, 65_535), price=st.integers(0, (1 << 96) - 1))
ROWS = st.lists(st.lists(PURCHASES, max_size=4).map(tuple), max_size=6).map(tuple)


def test_a_row_is_a_count_and_14_bytes_each():
    row = (Purchase(0x0102, 0x030405060708090A0B0C0D0E), Purchase(3, 1))
    assert codec.encode_row(row).hex() == "02" + "0102030405060708090a0b0c0d0e" + "0003" + "00" * 11 + "01"
    assert codec.encode_row(()) == b"\0"


@given(ROWS)
def test_rows_decode_to_what_was_encoded(rows):
    assert codec.decode_rows(codec.encode_rows(rows), len(rows), 4) == rows


@given(ROWS, st.data())
def test_bytes_that_decode_are_the_only_ones_for_their_rows(rows, data):
    encoded = bytearray(codec.encode_rows(rows))
    for _ in range(data.draw(st.integers(0, 2))):
        if encoded:
            encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 5))
    try:
        decoded = codec.decode_rows(bytes(encoded), len(rows), 4)
    except BadInput:
        return
    assert codec.encode_rows(decoded) == encoded


def test_a_seller_that_is_nobody_decodes():
    assert codec.decode_rows(b"\x01" + b"\xff" * 14, 1, 1) == ((Purchase(65_535, (1 << 96) - 1),),)


@pytest.mark.parametrize(
    ("data", "n", "reason"),
    [
        (b"\0\0\0", 2, "1 bytes are left over after 2 rows"),
        (b"", 1, "the rows end before row 0 of 1"),
        (b"\0", 2, "the rows end before row 1 of 2"),
        (b"\x01" + bytes(13), 1, "row 0 of 1 is cut short"),
        (b"\0\x05" + bytes(70), 2, "row 1 has 5 sellers; the round allows 4"),
        (b"\x01" + bytes(15), 1, "1 bytes are left over after 1 rows"),
    ],
)
def test_rows_of_any_other_shape_are_refused(data, n, reason):
    with pytest.raises(BadInput, match=reason):
        codec.decode_rows(data, n, 4)


def test_the_rows_hash_is_over_the_hashes_of_the_rows():
    rows = ((Purchase(1, 5),), (), (Purchase(0, 7), Purchase(1, 8)))
    assert codec.row_hash(()) == keccak(b"\0")
    assert codec.rows_hash(rows) == keccak(b"".join(keccak(codec.encode_row(row)) for row in rows))


# --- exclusions ---


@given(st.sets(st.integers(0, 1023)))
def test_exclusions_decode_to_what_was_encoded(excluded):
    assert codec.decode_excluded(codec.encode_excluded(excluded, 1024), 1024) == excluded


def test_each_exclusion_has_its_bit():
    assert codec.encode_excluded({0, 255, 256, 299}, 300) == (1 | 1 << 255, 1 | 1 << 43)
    assert codec.encode_excluded((), 256) == (0,)
    assert codec.encode_excluded((), 257) == (0, 0)


def test_an_exclusion_of_nobody_is_refused():
    with pytest.raises(BadInput, match="participant 3 cannot be excluded: there are 3"):
        codec.encode_excluded({3}, 3)
    with pytest.raises(BadInput, match="participant 3 cannot be excluded: there are 3"):
        codec.decode_excluded([1 << 3], 3)
    assert codec.decode_excluded([1 << 2], 3) == {2}


@pytest.mark.parametrize(("words", "n"), [([], 1), ([0, 0], 256), ([0], 257)])
def test_a_bitmap_of_another_length_is_refused(words, n):
    with pytest.raises(BadInput, match="words of exclusions"):
        codec.decode_excluded(words, n)


def test_the_settlement_word_holds_exclusions_and_rows():
    rows_hash = b"\x77" * 32
    expected = keccak(words(64, rows_hash, 2, 6, 1))  # offset of the array, the hash; length and items of the array
    assert codec.settlement_word((6, 1), rows_hash) == expected


# --- CIDs ---

EMPTY_FILE = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"
"""`ipfs add --cid-version=1` of a file without a byte."""
EMPTY_FOLDER = "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354"
"""`ipfs object new unixfs-dir`, in version 1."""


def test_cids_are_those_of_ipfs():
    assert codec.cid_text(hashlib.sha256(b"").digest(), codec.RAW) == EMPTY_FILE
    assert codec.cid_text(hashlib.sha256(b"\x0a\x02\x08\x01").digest(), codec.DAG_PB) == EMPTY_FOLDER


@given(st.binary(min_size=32, max_size=32), st.sampled_from([codec.RAW, codec.DAG_PB]))
def test_a_cid_reads_back(digest, kind):
    assert codec.read_cid(codec.cid_text(digest, kind)) == (kind, digest)


def text_of(binary: bytes) -> str:
    return "b" + base64.b32encode(binary).decode().rstrip("=").lower()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "b",
        "not a CID",
        "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn",  # version 0
        EMPTY_FILE[:-1],
        EMPTY_FILE + "a",
        EMPTY_FILE.upper(),
        "z" + EMPTY_FILE[1:],
        EMPTY_FILE + "=",
        EMPTY_FILE[:-1] + "v",  # the same bytes, if the two bits that are padding are not looked at
        text_of(bytes([2, 0x55, 0x12, 32]) + bytes(32)),  # version 2
        text_of(bytes([1, 0x71, 0x12, 32]) + bytes(32)),  # dag-cbor
        text_of(bytes([1, 0x55, 0x13, 32]) + bytes(32)),  # another hash
        text_of(bytes([1, 0x55, 0x12, 31]) + bytes(31)),
        text_of(bytes([1, 0x55, 0x12, 32]) + bytes(33)),
        "bé" + EMPTY_FILE[2:],
    ],
)
def test_any_other_text_is_no_cid(text):
    with pytest.raises(BadInput, match="not a CID"):
        codec.read_cid(text)
