"""A remote signer signs as the account's own key would, and nothing else that it returns is accepted."""

from collections.abc import Iterator

import pytest
from eth_account import Account

from market_node.errors import BadInput, ChainError, ConfigError, Unreachable
from market_node.signer import RemoteSigner, check_signer
from tests.clef import Clef, over_http, over_socket

ALICE, MALLORY = Account.from_key(b"\1" * 32), Account.from_key(b"\2" * 32)
TO = "0x00000000000000000000000000000000000000AA"
MODERN = {
    "chainId": 1337, "nonce": 0, "gas": 90_000, "to": TO, "data": b"\0\1", "value": 0,
    "maxFeePerGas": 3 * 10**9, "maxPriorityFeePerGas": 10**9,
}  # fmt: skip
OLD = {"chainId": 1337, "nonce": 7, "gas": 90_000, "to": TO, "data": b"", "value": 5, "gasPrice": 10**9}
CREATION = {**MODERN, "to": "", "data": b"\x60\x80"}
DOMAIN = {"name": "Test", "version": "1", "chainId": 1337, "verifyingContract": TO}
TYPES = {"Permit": [{"name": "owner", "type": "address"}, {"name": "value", "type": "uint256"}]}
MESSAGE = {"owner": ALICE.address, "value": (1 << 255) + 1}


@pytest.fixture
def clef() -> Clef:
    return Clef(ALICE)


@pytest.fixture(params=["http", "socket"])
def signer(request, clef, tmp_path) -> Iterator[RemoteSigner]:
    serving = over_http(clef.reply) if request.param == "http" else over_socket(clef.reply, tmp_path / "clef.ipc")
    with serving as place:
        yield RemoteSigner(place, ALICE.address, patience=5)


@pytest.mark.parametrize("fields", [MODERN, OLD, CREATION])
def test_it_signs_what_the_key_itself_would_sign(signer, fields):
    signed, own = signer.sign_transaction(fields), ALICE.sign_transaction(fields)
    assert (signed.raw_transaction, signed.hash) == (bytes(own.raw_transaction), bytes(own.hash))


def test_it_signs_typed_data_as_the_key_itself_would(signer):
    signed, own = signer.sign_typed_data(DOMAIN, TYPES, MESSAGE), ALICE.sign_typed_data(DOMAIN, TYPES, MESSAGE)
    assert (signed.v, signed.r, signed.s) == (own.v, own.r, own.s)


def test_its_version_needs_no_signature(signer, clef):
    assert signer.version() == "6.1.0"
    assert clef.asked == ["account_version"]


@pytest.mark.parametrize(
    "change", [{"nonce": 1}, {"to": MALLORY.address}, {"value": 1}, {"gas": 90_001}, {"chainId": 1}, {"data": b"\0"},
               {"maxFeePerGas": 4 * 10**9}, {"maxPriorityFeePerGas": 1}],
)  # fmt: skip
def test_another_transaction_than_was_asked_for_is_refused(signer, clef, change):
    clef.changes = change
    with pytest.raises(ChainError, match="another transaction"):
        signer.sign_transaction(MODERN)


def test_a_list_of_accesses_that_nobody_asked_for_is_refused(signer, clef):
    clef.changes = {"accessList": [{"address": TO, "storageKeys": []}]}
    with pytest.raises(ChainError, match="another transaction"):
        signer.sign_transaction(MODERN)


def test_another_accounts_signature_is_refused(signer, clef):
    clef.account = MALLORY
    for ask in (lambda: signer.sign_transaction(MODERN), lambda: signer.sign_typed_data(DOMAIN, TYPES, MESSAGE)):
        with pytest.raises(ChainError, match="signed as"):
            ask()


@pytest.mark.parametrize("answer", [{}, {"raw": "zz"}, {"raw": "0x02"}, {"raw": "0x" + "c0" * 40}, [], 5, "0x00"])
def test_an_answer_that_is_no_signature_is_refused(signer, clef, answer):
    clef.answer = answer
    for ask in (lambda: signer.sign_transaction(MODERN), lambda: signer.sign_typed_data(DOMAIN, TYPES, MESSAGE)):
        with pytest.raises(ChainError, match="returned"):
            ask()


def test_what_the_signer_refuses_is_said_in_one_line(signer, clef):
    clef.refusal = "Request\ndenied"
    with pytest.raises(ChainError, match="refuses account_signTransaction: Request denied"):
        signer.sign_transaction(MODERN)


def test_nobody_there_is_unreachable(tmp_path):
    for place in ("http://127.0.0.1:9", f"unix:{tmp_path / 'nobody'}"):
        with pytest.raises(Unreachable, match="does not answer"):
            RemoteSigner(place, ALICE.address).version()


@pytest.mark.parametrize("said", [b"", b"<html>", b"[]", b'{"id": 99, "result": "6"}', b"x" * (1 << 21)])
def test_nonsense_is_unreachable(said):
    with over_http(lambda request: said) as place, pytest.raises(Unreachable, match="does not answer as a signer"):
        RemoteSigner(place, ALICE.address).version()


def test_another_http_status_is_unreachable(clef):
    with over_http(clef.reply, status=403) as place, pytest.raises(Unreachable, match="status 403"):
        RemoteSigner(place, ALICE.address).version()


def test_an_address_that_holds_a_secret_is_not_said():
    with pytest.raises(Unreachable) as caught:
        RemoteSigner("http://alice:secret@127.0.0.1:9/key", ALICE.address).version()
    assert "secret" not in str(caught.value) and "/key" not in str(caught.value)


@pytest.mark.parametrize("place", ["", "clef", "ftp://host", "http://", "unix:clef.ipc", "unix:", "http://[::1"])
def test_what_is_no_place_is_refused_at_once(place):
    with pytest.raises(ConfigError, match="'signer'"):
        check_signer(place)


def test_a_transaction_without_a_price_is_not_signed(signer):
    with pytest.raises(BadInput, match="price"):
        signer.sign_transaction({name: each for name, each in MODERN.items() if "Fee" not in name})
