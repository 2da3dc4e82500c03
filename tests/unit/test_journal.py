"""What a lost bid costs is on the disk before the bid is sent, and stays there."""

import json
import os
import stat

import pytest

from market_node.codec import seal_bid
from market_node.errors import BadInput
from market_node.journal import Journal
from market_node.records import NOT_SELLING, Bid, Model

MARKET = "0xe7f1725E7734CE288F8367e1Bb143E90bb3F0512"
ALICE = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
BOB = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"

FIRST = {
    "bid": Bid(1 << 95, NOT_SELLING, (1 << 64) - 1, 2048),
    "salt": b"\1" * 32,
    "model": Model(b"\2" * 32, b"\3" * 32),
    "key": b"\4" * 32,
    "deposit": 1 << 95,
}
SECOND = {**FIRST, "bid": Bid(0, 5, 100, 0), "salt": b"\5" * 32, "key": b"\6" * 32}


@pytest.fixture
def journal(tmp_path) -> Journal:
    return Journal(tmp_path / "rounds", 31337, MARKET)


def test_a_bid_comes_back_as_it_was_written(journal, tmp_path):
    written = journal.commit(3, ALICE, **FIRST)
    again = Journal(tmp_path / "rounds", 31337, MARKET)
    entry = again.entry(3, ALICE)
    assert entry == written
    assert (entry.bid, entry.salt, entry.model, entry.key, entry.deposit) == tuple(FIRST.values())
    assert entry.sealed_bid == seal_bid(MARKET, 31337, 3, ALICE, FIRST["bid"], FIRST["salt"])


def test_it_does_not_matter_how_an_address_is_written(journal, tmp_path):
    journal.commit(3, ALICE, **FIRST)
    assert Journal(tmp_path / "rounds", 31337, MARKET.lower()).entry(3, ALICE.lower()).bid == FIRST["bid"]


def test_chains_markets_rounds_and_accounts_are_kept_apart(journal, tmp_path):
    journal.commit(3, ALICE, **FIRST)
    others = [
        (journal, 4, ALICE),
        (journal, 3, BOB),
        (Journal(tmp_path / "rounds", 1, MARKET), 3, ALICE),
        (Journal(tmp_path / "rounds", 31337, BOB), 3, ALICE),
        (Journal(tmp_path / "rounds", 31337, MARKET, genesis=b"\7" * 32), 3, ALICE),
    ]
    for other, number, account in others:
        with pytest.raises(BadInput, match="has no bid of"):
            other.entry(number, account)


def test_an_attempt_whose_fate_is_unknown_is_kept_beside_the_next_one(journal):
    """The node stopped between writing and hearing: either bid may be the one on chain."""
    first = journal.commit(3, ALICE, **FIRST)
    second = journal.commit(3, ALICE, **SECOND)
    assert journal.entry(3, ALICE) == second
    assert journal.entry(3, ALICE, first.sealed_bid) == first
    assert journal.entry(3, ALICE, second.sealed_bid) == second


def test_once_a_bid_is_known_to_be_committed_it_is_the_rounds(journal):
    first = journal.commit(3, ALICE, **FIRST)
    journal.commit(3, ALICE, **SECOND)
    journal.committed(3, ALICE, first.sealed_bid)
    assert journal.entry(3, ALICE) == first


def test_another_bid_is_refused_once_one_is_committed(journal):
    first = journal.commit(3, ALICE, **FIRST)
    journal.committed(3, ALICE, first.sealed_bid)
    with pytest.raises(BadInput, match="has committed to another bid in round 3"):
        journal.commit(3, ALICE, **SECOND)
    assert journal.commit(3, ALICE, **FIRST) == first
    journal.commit(4, ALICE, **SECOND)


def test_a_bid_that_was_never_written_cannot_be_the_committed_one(journal):
    journal.commit(3, ALICE, **FIRST)
    for call in (journal.committed, journal.entry):
        with pytest.raises(BadInput, match="made on another machine"):
            call(3, ALICE, b"\7" * 32)


def test_writing_the_same_bid_twice_changes_nothing(journal):
    journal.commit(3, ALICE, **FIRST)
    [path] = journal.folder.iterdir()
    before = path.read_bytes()
    journal.commit(3, ALICE, **FIRST)
    assert path.read_bytes() == before


def test_the_rounds_of_an_account_are_listed_in_order(journal):
    for number in (10, 2, 33):
        journal.commit(number, ALICE, **FIRST)
    journal.commit(7, BOB, **FIRST)
    assert journal.rounds(ALICE) == (2, 10, 33)


def test_nobody_else_may_read_a_bid(journal):
    journal.commit(3, ALICE, **FIRST)
    [path] = journal.folder.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(journal.folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("moment", ["fsync", "replace"])
def test_a_crash_while_writing_leaves_the_bids_before_it(journal, monkeypatch, moment):
    first = journal.commit(3, ALICE, **FIRST)

    def crash(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, moment, crash)
        with pytest.raises(KeyboardInterrupt):
            journal.commit(3, ALICE, **SECOND)
    assert journal.entry(3, ALICE) == first
    second = journal.commit(3, ALICE, **SECOND)
    assert journal.entry(3, ALICE) == second


def test_the_bytes_are_on_the_disk_before_the_name_is(journal, monkeypatch):
    done = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda file: (done.append("bytes"), fsync(file))[1])
    monkeypatch.setattr(os, "replace", lambda *paths: (done.append("name"), replace(*paths))[1])
    journal.commit(3, ALICE, **FIRST)
    assert done == ["bytes", "name", "bytes"]  # file, name, folder


def test_leftovers_of_a_crash_do_no_harm(journal):
    journal.commit(3, ALICE, **FIRST)
    for name in (".0f0f.part", f"3-{ALICE.lower()}.json.tmp", f"x-{ALICE.lower()}.json"):
        (journal.folder / name).write_bytes(b"{")
    assert journal.entry(3, ALICE).bid == FIRST["bid"]
    assert journal.rounds(ALICE) == (3,)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b"\xff", b'{"attempts": [1], "committed": null}', b'{"attempts": 7}']
)
def test_a_damaged_file_is_no_traceback_and_is_not_overwritten(journal, content):
    journal.commit(3, ALICE, **FIRST)
    [path] = journal.folder.iterdir()
    path.write_bytes(content)
    for call in (lambda: journal.entry(3, ALICE), lambda: journal.commit(3, ALICE, **SECOND)):
        with pytest.raises(BadInput, match="damaged"):
            call()
    assert path.read_bytes() == content


def test_a_folder_that_cannot_be_written_is_no_traceback(tmp_path):
    (tmp_path / "rounds").write_bytes(b"a file")
    with pytest.raises(BadInput, match=r"cannot (read|write)"):
        Journal(tmp_path / "rounds", 31337, MARKET).commit(3, ALICE, **FIRST)


def test_amounts_are_written_whole(journal):
    journal.commit(3, ALICE, **FIRST)
    [path] = journal.folder.iterdir()
    assert json.loads(path.read_text())["attempts"][0]["deposit"] == 1 << 95
