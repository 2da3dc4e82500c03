"""Sealed files under attack, and against an opener written out from the module's first paragraph."""

import io
import json
import struct

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given, settings
from hypothesis import strategies as st

import market_node.seal as seal_module
from market_node.canonical import canonical
from market_node.errors import BadInput, BrokenSeal, NotForUs, TooLarge
from market_node.seal import (
    CHUNK,
    HEADER_LIMIT,
    Envelope,
    generate_keypair,
    new_key,
    open_file,
    open_sealed,
    read_header,
    seal,
    seal_file,
    sealed_limit,
    unwrap_key,
    wrap_key,
)

MARKET = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
ADA = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
BOB = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
HERE = Envelope(31337, MARKET, 7, ADA)
KEY = bytes(range(32))
CARD = {"licence": "CC-BY-4.0", "samples": 400, "fingerprint": "00ff"}

ELSEWHERE = [
    Envelope(1, MARKET, 7, ADA),
    Envelope(31337, BOB, 7, ADA),
    Envelope(31337, MARKET, 8, ADA),
    Envelope(31337, MARKET, 7, BOB),
]


def sealed_bytes(plain, key=KEY, envelope=HERE, card=CARD):
    target = io.BytesIO()
    seal(io.BytesIO(plain), target, key, envelope, card)
    return target.getvalue()


def opened(sealed, key=KEY, envelope=HERE, limit=1 << 30):
    target = io.BytesIO()
    card = open_sealed(io.BytesIO(sealed), target, key, envelope, limit)
    return target.getvalue(), card


def split(sealed, chunk=CHUNK):
    """What stands before the chunks, and the chunks."""
    start = 76 + struct.unpack(">I", sealed[72:76])[0]
    body = sealed[start:]
    return sealed[:start], [body[i : i + chunk + 16] for i in range(0, len(body), chunk + 16)]


def slow_open(sealed, key):
    """The format as the module describes it, with none of its code."""
    start, chunks = split(sealed)
    magic, salt, commitment, length, header = (start[:8], start[8:40], start[40:72], start[72:76], start[76:])
    assert (magic, int.from_bytes(length, "big")) == (b"MNSEAL1\n", len(header))
    derived = HKDF(SHA256(), 64, salt, b"market-node seal 1").derive(key)
    assert derived[32:] == commitment
    plain = b""
    for number, chunk in enumerate(chunks):
        nonce = number.to_bytes(11, "big") + bytes([number == len(chunks) - 1])
        plain += AESGCM(derived[:32]).decrypt(nonce, chunk, start)
    return plain, json.loads(header)


@pytest.fixture
def small_chunks(monkeypatch):
    """Files of several chunks that are short enough to attack at every byte."""
    monkeypatch.setattr(seal_module, "CHUNK", 32)
    return 32


# --- there and back ---


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 77])
def test_the_plaintext_comes_back_and_the_format_is_the_described_one(size):
    plain = bytes(i * 31 % 251 for i in range(1000)) * (size // 1000 + 1)
    plain = plain[:size]
    sealed = sealed_bytes(plain)
    assert opened(sealed) == (plain, CARD)
    slow_plain, header = slow_open(sealed, KEY)
    assert slow_plain == plain
    assert header == {"chain_id": 31337, "market": MARKET, "round": 7, "account": ADA, "card": CARD}
    assert len(sealed) <= sealed_limit(size)


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=300), st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5)))
def test_any_plaintext_and_card_come_back(plain, card):
    assert opened(sealed_bytes(plain, card=card)) == (plain, card)


def test_a_full_file_with_a_full_header_fits_the_limit(small_chunks):
    card = {"note": ""}
    card["note"] = "x" * (HEADER_LIMIT - len(split(sealed_bytes(b"", card=card))[0]) + 76)
    for size in (0, 31, 32, 33, 64):
        assert len(sealed_bytes(bytes(size), card=card)) == sealed_limit(size)


def test_one_key_seals_many_files_and_never_alike():
    first, second = sealed_bytes(b"weights" * 9), sealed_bytes(b"weights" * 9)
    assert split(first)[1] != split(second)[1]
    assert opened(first) == opened(second)


def test_a_sealed_file_begins_with_no_byte_of_a_block_tree():
    assert sealed_bytes(b"")[0] not in (0x0A, 0x12)


def test_the_card_is_public():
    assert read_header(io.BytesIO(sealed_bytes(b"secret"))) == (HERE, CARD)


def test_a_pipe_that_gives_little_at_a_time_seals_the_same(small_chunks):
    class Drip(io.BytesIO):
        def read(self, size=-1):
            return super().read(min(size, 7))

    plain, target = bytes(range(100)), io.BytesIO()
    seal(Drip(plain), target, KEY, HERE, CARD)
    assert opened(target.getvalue())[0] == plain
    reopened = io.BytesIO()
    open_sealed(Drip(target.getvalue()), reopened, KEY, HERE, 1000)
    assert reopened.getvalue() == plain


# --- attacks ---


def test_no_bit_can_be_flipped_unnoticed(small_chunks):
    sealed = sealed_bytes(bytes(range(70)), card={"n": 1})
    for at in range(len(sealed)):
        damaged = bytearray(sealed)
        damaged[at] ^= 1 << (at % 8)
        with pytest.raises((BrokenSeal, NotForUs)):
            opened(bytes(damaged))


def test_no_prefix_opens(small_chunks):
    sealed = sealed_bytes(bytes(range(96)), card={"n": 1})
    for length in range(len(sealed)):
        with pytest.raises(BrokenSeal):
            opened(sealed[:length])


@pytest.mark.parametrize("size", [64, 70, 96])
@pytest.mark.parametrize(
    "attack",
    [
        lambda chunks: [chunks[1], chunks[0], *chunks[2:]],
        lambda chunks: chunks[1:],
        lambda chunks: [chunks[0], *chunks[2:]],
        lambda chunks: chunks[:-1],
        lambda chunks: [chunks[0], chunks[0], *chunks[1:]],
        lambda chunks: [*chunks, chunks[-1]],
        lambda chunks: [*chunks, bytes(16)],
        lambda chunks: [*chunks, b"\0"],
        lambda chunks: [],
    ],
    ids=[
        "swap",
        "drop first",
        "drop second",
        "truncate at a boundary",
        "duplicate",
        "append last",
        "append empty",
        "append a byte",
        "no chunk",
    ],
)
def test_chunks_stay_where_they_are(small_chunks, size, attack):
    start, chunks = split(sealed_bytes(bytes(range(size))), small_chunks)
    with pytest.raises(BrokenSeal):
        opened(start + b"".join(attack(chunks)))


def test_chunks_of_another_file_under_the_same_key_do_not_fit(small_chunks):
    ours, theirs = (split(sealed_bytes(bytes([n]) * 64), small_chunks) for n in (1, 2))
    with pytest.raises(BrokenSeal):
        opened(ours[0] + ours[1][0] + theirs[1][1])


def test_an_empty_last_chunk_is_refused_even_where_its_author_knew_the_key(small_chunks):
    """Else one plaintext would have two sealings of different lengths."""
    start, _ = split(sealed_bytes(b""), small_chunks)
    file_key = HKDF(SHA256(), 64, start[8:40], b"market-node seal 1").derive(KEY)[:32]
    first = AESGCM(file_key).encrypt(bytes(12), bytes(32), start)
    second = AESGCM(file_key).encrypt((1).to_bytes(11, "big") + b"\1", b"", start)
    with pytest.raises(BrokenSeal):
        opened(start + first + second)


def forge_header(sealed, change):
    """The file with another header, everything else kept."""
    start, chunks = split(sealed)
    fields = json.loads(start[76:])
    header = change(fields)
    if not isinstance(header, bytes):
        header = json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()
    return start[:72] + struct.pack(">I", len(header)) + header + b"".join(chunks)


@pytest.mark.parametrize(
    "change",
    [
        lambda fields: fields["card"].update(samples=4000),
        lambda fields: fields.update(card={}),
        lambda fields: fields.pop("card") and None,
        lambda fields: fields.update(card=[]),
        lambda fields: fields.update(extra=1),
        lambda fields: fields.pop("round") and None,
        lambda fields: fields.update(round="7"),
        lambda fields: fields.update(round=True),
        lambda fields: fields.update(round=-1),
        lambda fields: fields.update(account=ADA.lower()),
        lambda fields: fields.update(account="ada"),
        lambda fields: json.dumps(fields).encode(),
        lambda fields: b"",
        lambda fields: b"[]",
        lambda fields: b"\xff",
        lambda fields: b"[" * 60_000,
        lambda fields: b"x" * (HEADER_LIMIT + 1),
    ],
)
def test_an_edited_header_is_refused(change):
    with pytest.raises(BrokenSeal):
        opened(forge_header(sealed_bytes(b"weights"), change))


def test_an_address_in_another_spelling_is_refused_before_the_file_is_opened():
    edited = forge_header(sealed_bytes(b"weights"), lambda fields: fields.update(account=ADA.lower()))
    with pytest.raises(BrokenSeal, match="canonical"):
        read_header(io.BytesIO(edited))


def test_a_full_header_that_spells_addresses_shorter_than_they_are_is_a_broken_seal():
    def shorten(fields):
        fields.update(account=ADA[2:], market=MARKET[2:], card={"note": ""})
        room = HEADER_LIMIT - len(canonical(fields))
        fields["card"]["note"] = "x" * room

    with pytest.raises(BrokenSeal, match="header"):
        opened(forge_header(sealed_bytes(b"weights"), shorten))


def test_an_endless_header_is_not_read():
    class Endless(io.BytesIO):
        def read(self, size=-1):
            assert size <= HEADER_LIMIT
            return super().read(size) or bytes(size)

    with pytest.raises(BrokenSeal, match="not a sealed file"):
        read_header(Endless(b"MNSEAL1\n" + bytes(64) + b"\xff\xff\xff\xff"))


def test_a_header_edited_to_our_name_is_refused():
    theirs = sealed_bytes(b"weights", envelope=ELSEWHERE[3])
    with pytest.raises(BrokenSeal):
        opened(forge_header(theirs, lambda fields: fields.update(account=ADA)))


@pytest.mark.parametrize("elsewhere", ELSEWHERE, ids=["chain", "market", "round", "account"])
def test_a_file_of_another_place_or_account_is_not_for_us(elsewhere):
    with pytest.raises(NotForUs, match="not of"):
        opened(sealed_bytes(b"weights", envelope=elsewhere))


def test_another_key_does_not_open():
    with pytest.raises(BrokenSeal, match="this key"):
        opened(sealed_bytes(b"weights"), key=new_key())


def test_a_wrong_key_is_known_by_the_commitment_alone():
    """GCM alone would let one ciphertext open under two keys, to two models."""
    sealed = sealed_bytes(b"weights")
    other = bytes(32)
    start, _ = split(sealed)
    forged = AESGCM(HKDF(SHA256(), 64, start[8:40], b"market-node seal 1").derive(other)[:32])
    with pytest.raises(BrokenSeal, match="this key"):
        opened(start + forged.encrypt(bytes(11) + b"\1", b"another model", start), key=other)


@pytest.mark.parametrize("contents", [b"", b"M", b"MNSEAL1\n", b"MNSEAL2\n" + bytes(200), b"\x12" * 200])
def test_what_is_no_sealed_file_is_refused(contents):
    with pytest.raises(BrokenSeal, match="not a sealed file"):
        opened(contents)
    with pytest.raises(BrokenSeal, match="not a sealed file"):
        read_header(io.BytesIO(contents))


def test_no_more_than_the_limit_is_written(small_chunks):
    sealed, target = sealed_bytes(bytes(100)), io.BytesIO()
    with pytest.raises(TooLarge, match="99 bytes"):
        open_sealed(io.BytesIO(sealed), target, KEY, HERE, 99)
    assert len(target.getvalue()) <= 99
    assert opened(sealed, limit=100)[0] == bytes(100)


@pytest.mark.parametrize("card", [{"a": float("nan")}, {"a": b"bytes"}, {"a": "x" * HEADER_LIMIT}])
def test_a_card_that_cannot_be_read_back_is_not_sealed(card):
    with pytest.raises(BadInput, match="model card"):
        sealed_bytes(b"", card=card)


@pytest.mark.parametrize("key", [b"", bytes(16), bytes(33)])
def test_a_content_key_has_32_bytes(key):
    with pytest.raises(BadInput, match="32 bytes"):
        sealed_bytes(b"", key=key)
    with pytest.raises(BadInput, match="32 bytes"):
        opened(sealed_bytes(b""), key=key)


# --- files ---


def test_only_a_verified_plaintext_gets_its_name(tmp_path):
    plain, sealed, out = tmp_path / "model", tmp_path / "sealed", tmp_path / "out"
    plain.write_bytes(bytes(3 * CHUNK))
    seal_file(plain, sealed, KEY, HERE, CARD)
    assert open_file(sealed, out, KEY, HERE, 3 * CHUNK) == CARD
    assert out.read_bytes() == plain.read_bytes()
    assert out.stat().st_mode & 0o077 == 0

    out.unlink()
    sealed.write_bytes(sealed.read_bytes()[:-1])  # the first two chunks still decrypt
    with pytest.raises(BrokenSeal):
        open_file(sealed, out, KEY, HERE, 3 * CHUNK)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "sealed"]


# --- envelopes and wrapped keys ---


def test_spellings_of_an_address_are_one_envelope():
    assert Envelope(31337, MARKET.lower(), 7, ADA.lower()) == HERE


@pytest.mark.parametrize(
    "fields", [(-1, MARKET, 7, ADA), (1, "0x12", 7, ADA), (1, MARKET, 1 << 256, ADA), (1, MARKET, 7, "ada")]
)
def test_an_envelope_that_cannot_be_is_refused(fields):
    with pytest.raises(BadInput, match="envelope"):
        Envelope(*fields)


def test_a_context_is_of_fixed_width_and_names_everything():
    context = HERE.context()
    assert context == (
        b"market-node key 1"
        + (31337).to_bytes(32, "big")
        + bytes.fromhex(MARKET[2:])
        + (7).to_bytes(32, "big")
        + bytes.fromhex(ADA[2:])
    )
    assert len({context, *(other.context() for other in ELSEWHERE)}) == 5


def test_only_the_addressee_unwraps_a_key():
    private, public = generate_keypair()
    wrapped = wrap_key(KEY, public, HERE)
    assert len(wrapped) == 80
    assert unwrap_key(wrapped, private, HERE) == KEY
    with pytest.raises(NotForUs):
        unwrap_key(wrapped, generate_keypair()[0], HERE)


@pytest.mark.parametrize("elsewhere", ELSEWHERE, ids=["chain", "market", "round", "account"])
def test_a_key_of_another_place_or_account_is_not_for_us(elsewhere):
    private, public = generate_keypair()
    with pytest.raises(NotForUs, match="does not open here"):
        unwrap_key(wrap_key(KEY, public, elsewhere), private, HERE)


def test_no_bit_of_a_wrapped_key_can_be_flipped_unnoticed():
    private, public = generate_keypair()
    wrapped = wrap_key(KEY, public, HERE)
    for at in range(len(wrapped)):
        damaged = bytearray(wrapped)
        damaged[at] ^= 1 << (at % 8)  # at 31 the bit that X25519 itself ignores
        with pytest.raises(NotForUs):
            unwrap_key(bytes(damaged), private, HERE)


@pytest.mark.parametrize("length", [0, 79, 81])
def test_a_wrapped_key_of_another_length_is_broken(length):
    with pytest.raises(BrokenSeal, match="80 bytes"):
        unwrap_key(bytes(length), generate_keypair()[0], HERE)


@pytest.mark.parametrize("public", [bytes(32), b"\1" + bytes(31), bytes(31), b""])
def test_a_public_key_that_gives_no_secret_is_refused(public):
    with pytest.raises(BadInput, match="encryption key"):
        wrap_key(KEY, public, HERE)
