"""A commit's secrets: found again by their owner's keys alone, and never made twice."""

from dataclasses import replace

import pytest

from market_node.codec import seal_bid
from market_node.errors import BadInput
from market_node.keys import EncryptionKeys
from market_node.phases import Phase
from market_node.records import Bid, Model, Participant, Round
from market_node.recovery import find_secrets, missing_keys, needs_bid, new_secrets
from market_node.seal import Envelope
from tests.integration.stage import terms

ALICE, BOB, MARKET = (f"0x{each * 40}" for each in "123")
ENVELOPE = Envelope(7, MARKET, 3, ALICE)
BID = Bid(value=5 << 90, cost=(1 << 96) - 1, samples=(1 << 64) - 1, min_reputation=1 << 16)
KEYS = EncryptionKeys([b"\1" * 32])


def sealed(hidden, envelope=ENVELOPE):
    return seal_bid(envelope.market, envelope.chain_id, envelope.round, envelope.account, hidden.bid, hidden.salt)


def test_keys_card_and_chain_give_all_secrets_of_a_commit_back():
    hidden = new_secrets(KEYS, ENVELOPE, BID)
    assert find_secrets(KEYS, ENVELOPE, {"note": hidden.note}, sealed(hidden)) == hidden


def test_no_two_attempts_share_a_secret():
    made = [new_secrets(KEYS, ENVELOPE, BID) for _ in range(20)]
    assert len({secret for each in made for secret in (each.salt, each.key, each.note)}) == 60


def test_another_round_account_market_or_chain_has_other_secrets():
    hidden = new_secrets(KEYS, ENVELOPE, BID)
    for change in ({"round": 4}, {"account": BOB}, {"market": BOB}, {"chain_id": 8}):
        other = replace(ENVELOPE, **change)
        assert find_secrets(KEYS, other, {"note": hidden.note}, sealed(hidden, other)) is None


def test_after_a_rotation_what_was_committed_before_is_still_found():
    hidden = new_secrets(KEYS, ENVELOPE, BID)
    rotated = EncryptionKeys([b"\1" * 32, b"\2" * 32])
    assert find_secrets(rotated, ENVELOPE, {"note": hidden.note}, sealed(hidden)) == hidden


def test_a_new_commit_uses_the_newest_key():
    hidden = new_secrets(EncryptionKeys([b"\1" * 32, b"\2" * 32]), ENVELOPE, BID)
    assert find_secrets(KEYS, ENVELOPE, {"note": hidden.note}, sealed(hidden)) is None
    assert find_secrets(EncryptionKeys([b"\2" * 32]), ENVELOPE, {"note": hidden.note}, sealed(hidden)) == hidden


def test_another_accounts_keys_read_nothing():
    hidden = new_secrets(KEYS, ENVELOPE, BID)
    assert find_secrets(EncryptionKeys([b"\3" * 32]), ENVELOPE, {"note": hidden.note}, sealed(hidden)) is None


def test_a_note_has_one_length_whatever_the_bid():
    notes = {len(new_secrets(KEYS, ENVELOPE, bid).note) for bid in (BID, Bid(0, 0, 1, 0))}
    assert notes == {224}


def test_the_secrets_of_another_attempt_are_not_those_that_the_chain_holds():
    first, second = new_secrets(KEYS, ENVELOPE, BID), new_secrets(KEYS, ENVELOPE, BID)
    assert find_secrets(KEYS, ENVELOPE, {"note": first.note}, sealed(second)) is None


@pytest.mark.parametrize("card", [{}, {"note": 5}, {"note": None}, {"note": "zz"}, {"note": ""}, {"note": "00" * 112}])
def test_a_card_without_a_note_of_ours_gives_nothing(card):
    assert find_secrets(KEYS, ENVELOPE, card, bytes(32)) is None


def test_a_note_with_one_bit_changed_gives_nothing():
    hidden = new_secrets(KEYS, ENVELOPE, BID)
    for at in (0, 31, 32, 95, 96, 111):
        note = bytearray.fromhex(hidden.note)
        note[at] ^= 1
        assert find_secrets(KEYS, ENVELOPE, {"note": note.hex()}, sealed(hidden)) is None


def test_a_secret_is_derived_from_a_key_that_is_there():
    assert len(KEYS.derive(KEYS.public, bytes(32), b"x")) == 32
    assert KEYS.derive(KEYS.public, bytes(32), b"x") != KEYS.derive(KEYS.public, bytes(32), b"y")
    with pytest.raises(BadInput, match="no key here"):
        KEYS.derive(bytes(32), bytes(32), b"x")


# --- what an older key folder lacks ---

LOST = EncryptionKeys([b"\7" * 32]).public
ROUND = Round(
    3,
    BOB,
    terms(0),
    encryption_key=LOST,
    participants=(Participant(ALICE, 5, model=Model(bytes(32), bytes(32)), encryption_key=LOST),),
)


def test_it_is_said_what_a_participant_can_no_longer_open():
    (line,) = missing_keys(ROUND, ALICE, KEYS, Phase.CHALLENGE)
    assert line.startswith("round 3: its personal model is for encryption key") and LOST.hex()[:8] in line


def test_it_is_said_what_an_aggregator_can_no_longer_open_until_it_has_settled():
    (line,) = missing_keys(ROUND, BOB, KEYS, Phase.SETTLE)
    assert "bond is lost" in line
    assert missing_keys(ROUND, BOB, KEYS, Phase.CHALLENGE) == []


def test_a_key_folder_that_has_all_keys_lacks_nothing():
    keys = EncryptionKeys([b"\7" * 32])
    assert missing_keys(ROUND, ALICE, keys, Phase.SETTLE) == missing_keys(ROUND, BOB, keys, Phase.SETTLE) == []


def test_a_bid_is_needed_until_it_is_revealed():
    assert needs_bid(ROUND, 0, Phase.REVEAL)
    assert not needs_bid(ROUND, 0, Phase.SETTLE)
