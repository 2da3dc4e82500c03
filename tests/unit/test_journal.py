"""What a lost bid costs is on the disk before the bid is sent, and stays there."""

import json
from dataclasses import astuple
from pathlib import Path

import pytest
from sqlalchemy import event, select

from market_node.codec import seal_bid
from market_node.errors import BadInput
from market_node.journal import Journal
from market_node.records import NOT_SELLING, Bid, Model
from market_node.tables import BIDS

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
def journal(database) -> Journal:
    return Journal(database, 31337, MARKET)


def test_a_bid_comes_back_as_it_was_written(journal, open_state):
    written = journal.commit(3, ALICE, **FIRST)
    entry = Journal(open_state(), 31337, MARKET).entry(3, ALICE)
    assert entry == written
    assert (entry.bid, entry.salt, entry.model, entry.key, entry.deposit) == tuple(FIRST.values())
    assert entry.sealed_bid == seal_bid(MARKET, 31337, 3, ALICE, FIRST["bid"], FIRST["salt"])


def test_it_does_not_matter_how_an_address_is_written(journal, database):
    journal.commit(3, ALICE, **FIRST)
    assert Journal(database, 31337, MARKET.lower()).entry(3, ALICE.lower()).bid == FIRST["bid"]


def test_chains_markets_rounds_and_accounts_are_kept_apart(journal, database):
    journal.commit(3, ALICE, **FIRST)
    others = [
        (journal, 4, ALICE),
        (journal, 3, BOB),
        (Journal(database, 1, MARKET), 3, ALICE),
        (Journal(database, 31337, BOB), 3, ALICE),
        (Journal(database, 31337, MARKET, genesis=b"\7" * 32), 3, ALICE),
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


def test_writing_the_same_bid_twice_changes_nothing(journal, database):
    journal.commit(3, ALICE, **FIRST)
    journal.commit(3, ALICE, **FIRST)
    with database.begin() as connection:
        assert len(connection.execute(select(BIDS)).all()) == 1


def test_the_rounds_of_an_account_are_listed_in_order(journal):
    for number in (10, 2, 33):
        journal.commit(number, ALICE, **FIRST)
    journal.commit(7, BOB, **FIRST)
    assert journal.rounds(ALICE) == (2, 10, 33)


@pytest.mark.parametrize("moment", ["INSERT INTO rounds", "INSERT INTO bids"])
def test_a_crash_while_writing_leaves_the_bids_before_it(journal, database, moment):
    first = journal.commit(3, ALICE, **FIRST)

    @event.listens_for(database.engine, "after_cursor_execute")
    def crash(_connection, _cursor, statement, *_):
        if statement.startswith(moment):
            raise RuntimeError

    with pytest.raises(RuntimeError):
        journal.commit(4, ALICE, **SECOND)
    event.remove(database.engine, "after_cursor_execute", crash)
    assert journal.rounds(ALICE) == (3,)
    assert journal.entry(3, ALICE) == first
    assert journal.commit(4, ALICE, **SECOND) == journal.entry(4, ALICE)


# --- files of an earlier version ---


def earlier(folder: Path, name: str = "31337-07070707") -> Path:
    """The file that an earlier version wrote of two attempts in round 3, of which the first is on chain."""
    path = folder / "rounds" / name / MARKET.lower() / f"3-{ALICE.lower()}.json"
    path.parent.mkdir(parents=True)
    attempts = [
        {
            "bid": list(astuple(each["bid"])),
            "salt": each["salt"].hex(),
            "model": [each["model"].cid.hex(), each["model"].root.hex()],
            "key": each["key"].hex(),
            "deposit": each["deposit"],
            "sealedBid": seal_bid(MARKET, 31337, 3, ALICE, each["bid"], each["salt"]).hex(),
        }
        for each in (FIRST, SECOND)
    ]
    path.write_text(json.dumps({"attempts": attempts, "committed": attempts[0]["sealedBid"]}))
    return path


@pytest.fixture
def ours(database) -> Journal:
    return Journal(database, 31337, MARKET, genesis=b"\7" * 32)


def test_the_files_of_an_earlier_version_are_taken_over_once(ours, tmp_path):
    earlier(tmp_path)
    assert ours.take_over(tmp_path / "rounds") == 2
    entry = ours.entry(3, ALICE)  # the one on chain, not the last attempt
    assert (entry.bid, entry.salt, entry.model, entry.key, entry.deposit) == tuple(FIRST.values())
    assert ours.entry(3, ALICE, seal_bid(MARKET, 31337, 3, ALICE, SECOND["bid"], SECOND["salt"])).key == SECOND["key"]
    assert ours.take_over(tmp_path / "rounds") == 0


def test_the_files_that_were_taken_over_are_kept(ours, tmp_path):
    content = earlier(tmp_path).read_bytes()
    ours.take_over(tmp_path / "rounds")
    [kept] = (tmp_path / "rounds").rglob("*.json")
    assert kept.read_bytes() == content


def test_a_crash_between_taking_over_and_renaming_takes_over_the_same(ours, tmp_path, monkeypatch):
    earlier(tmp_path)

    def crash(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", crash)
        with pytest.raises(KeyboardInterrupt):
            ours.take_over(tmp_path / "rounds")
    assert ours.take_over(tmp_path / "rounds") == 0
    assert ours.entry(3, ALICE).bid == FIRST["bid"]


def test_what_was_written_since_stays(ours, tmp_path):
    earlier(tmp_path)
    third = ours.commit(3, ALICE, **{**FIRST, "salt": b"\x08" * 32})
    ours.committed(3, ALICE, third.sealed_bid)
    ours.take_over(tmp_path / "rounds")
    assert ours.entry(3, ALICE) == third


def test_files_of_another_chain_are_left_alone(ours, tmp_path):
    path = earlier(tmp_path, "31337-08080808")
    assert ours.take_over(tmp_path / "rounds") == 0
    assert path.exists()


def test_leftovers_of_a_crash_do_no_harm(ours, tmp_path):
    folder = earlier(tmp_path).parent
    for name in (".0f0f.part", f"3-{ALICE.lower()}.json.tmp", f"x-{ALICE.lower()}.json"):
        (folder / name).write_bytes(b"{")
    assert ours.take_over(tmp_path / "rounds") == 2
    assert ours.rounds(ALICE) == (3,)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b"\xff", b'{"attempts": [1], "committed": null}', b'{"attempts": 7}']
)
def test_a_damaged_file_is_no_traceback_and_nothing_is_taken_over(ours, tmp_path, content):
    good = earlier(tmp_path)
    bad = good.with_name(f"4-{ALICE.lower()}.json")
    bad.write_bytes(content)
    with pytest.raises(BadInput, match="damaged"):
        ours.take_over(tmp_path / "rounds")
    assert ours.rounds(ALICE) == ()
    assert good.exists() and bad.read_bytes() == content
