"""What a node keeps is kept: whole or not at all, for its owner alone, and for one chain, market and account."""

import errno
import os
import signal
import sqlite3
import stat
import subprocess
import sys
from threading import Timer

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config as Settings
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import event, insert, select, text
from sqlalchemy.exc import IntegrityError

from market_node import database as opening
from market_node.database import MIGRATIONS, NEWEST, in_memory, open_database
from market_node.errors import BadInput, ConfigError, StateError
from market_node.seen import KEPT, Seen
from market_node.state import state_url
from market_node.tables import BIDS, BLOCKS, FACTS, TABLES
from tests import postgres as tests_postgres

ALICE = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
BOB = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"
FIRST = {"chain_id": 31337, "genesis": b"\1" * 32, "market": BOB, "account": ALICE}

HOLD = """
import sys
from pathlib import Path
from market_node.database import open_database
from market_node.errors import StateError
database = open_database(Path("."), sys.argv[1])
try:
    database.hold(sys.argv[2])
except StateError as error:
    sys.exit(str(error))
print("held", flush=True)
sys.stdin.read()
"""
"""A node that starts, says that it has the key, and waits."""


OPEN = """
import sys
from pathlib import Path
from market_node.database import open_database
open_database(Path("."), sys.argv[1])
"""


def node(state: str, account: str = ALICE) -> "subprocess.Popen[str]":
    """A process that keeps the key of a state."""
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", HOLD, state, account]
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


@pytest.fixture
def first(state):
    """A node that has the key."""
    running = node(state)
    assert running.stdout is not None and running.stdout.readline() == "held\n"
    yield running
    running.kill()
    running.communicate()


# --- one node per key ---


def test_the_second_of_two_nodes_with_one_key_refuses_in_one_line(first, state):
    out, error = (second := node(state)).communicate(timeout=60)
    assert (second.returncode, out) == (1, "")
    [line] = error.splitlines()
    assert f"is using the key of {ALICE}" in line
    assert state.startswith("postgresql") or f"process {first.pid} " in line


def test_a_key_is_free_when_its_node_was_killed(first, state):
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    second = node(state)
    assert second.stdout.readline() == "held\n"
    second.communicate("")


def test_a_command_beside_a_node_refuses(first, open_state, monkeypatch):
    monkeypatch.setattr(opening, "PATIENCE_SECONDS", 0.1)
    with pytest.raises(StateError, match="two nodes with one key"), open_state().alone(ALICE):
        pytest.fail("two send with one key")


def test_a_command_waits_for_another_one(first, open_state):
    """It keeps the key for one transaction only."""
    ending = Timer(0.3, first.kill)
    ending.start()
    with open_state().alone(ALICE):
        assert first.wait() == -signal.SIGKILL


def test_a_command_gives_the_key_back(open_state, state):
    with open_state().alone(ALICE):
        pass
    second = node(state)
    assert second.stdout.readline() == "held\n"
    second.communicate("")


def test_one_process_has_a_key_once_however_often_it_opens_the_state(open_state):
    for database in (open_state(), open_state()):
        database.hold(ALICE)
        with database.alone(ALICE):
            database.hold(ALICE)


def test_a_key_is_held_and_given_back_where_a_full_disk_keeps_no_note_of_the_holder(tmp_path, monkeypatch):
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    for database in (open_database(tmp_path), open_database(tmp_path)):
        with database.alone(ALICE):
            pass


@pytest.mark.parametrize("state", ["postgresql"], indirect=True)
def test_a_key_is_taken_again_where_the_server_lost_it(postgres, open_state, state):
    database = open_state()
    database.hold(ALICE)
    tests_postgres.restart(postgres)
    with database.alone(ALICE):
        second = node(state)
        second.communicate(timeout=60)
        assert second.returncode == 1


# --- whose state ---


def test_a_state_belongs_to_one_chain_market_and_account(database, open_state):
    database.bind(**FIRST)
    open_state().bind(**FIRST)
    open_state().bind(chain_id=31337, account=ALICE.lower())


@pytest.mark.parametrize(
    ("other", "line"),
    [
        ({"genesis": b"\2" * 32}, "was a devnet restarted?"),
        ({"chain_id": 1}, "belongs to chain 31337, not 1"),
        ({"market": ALICE}, "belongs to market 0x3c44"),
        ({"account": BOB}, "belongs to account 0x7099"),
    ],
)
def test_a_state_of_another_is_refused_in_one_line_that_says_what_to_do(database, other, line):
    database.bind(**FIRST)
    with pytest.raises(StateError) as caught:
        database.bind(**{**FIRST, **other})
    assert line in str(caught.value) and database.name in str(caught.value)
    assert "move it away" in str(caught.value) and "\n" not in str(caught.value)


def test_a_refused_state_is_left_as_it_was(database):
    database.bind(chain_id=31337)
    with pytest.raises(StateError):
        database.bind(chain_id=1, account=ALICE)
    with database.begin() as connection:
        assert [row.name for row in connection.execute(select(FACTS))] == ["chain_id"]


# --- transactions ---


def test_a_transaction_is_kept_whole_or_not_at_all(database, open_state):
    def fail() -> None:
        with database.begin() as connection:
            connection.execute(insert(BLOCKS).values(number=1, hash=b"\1"))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    with database.begin() as connection:
        connection.execute(insert(BLOCKS).values(number=2, hash=b"\2"))
    assert Seen(open_state()).last() == [(2, b"\2")]


def test_a_bid_without_its_round_is_refused(database):
    values = {column.name: b"\1" for column in BIDS.columns if column.name != "id"}
    numbers = {"value": 1, "cost": 1, "samples": 1, "min_reputation": 1, "deposit": 1, "round_id": 77}
    with pytest.raises(StateError) as caught, database.begin() as connection:
        connection.execute(insert(BIDS).values(**{**values, **numbers}))
    assert isinstance(caught.value.__cause__, IntegrityError)


@pytest.mark.parametrize("amount", [0, 1, (1 << 63), (1 << 96) - 1, (1 << 256) - 1])
def test_amounts_come_back_whole(database, amount):
    with database.begin() as connection:
        row = {"account": ALICE, "nonce": 0, "what": "", "deed": b"", "raw": b"", "hash": b"", "told": False}
        connection.execute(
            insert(TABLES.tables["transactions"]).values(max_fee=amount, sent_at=0, status="sent", **row)
        )
        assert connection.execute(select(TABLES.tables["transactions"].c.max_fee)).scalar() == amount


KILLED = """
import sys
from pathlib import Path
from market_node.database import open_database
from market_node.seen import Seen
seen = Seen(open_database(Path("."), sys.argv[1]))
for number in range(10_000):
    seen.add(number, number.to_bytes(32, "big"))
    print(number, flush=True)
"""


@pytest.mark.parametrize("after", [1, 7, 30])
def test_what_was_written_is_there_after_a_kill(state, open_state, after):
    running = subprocess.Popen([sys.executable, "-c", KILLED, state], stdout=subprocess.PIPE, text=True)
    assert running.stdout is not None
    for _ in range(after):
        said = int(running.stdout.readline())
    running.kill()
    running.communicate()
    last, digest = Seen(open_state()).last()[0]
    assert last >= said and digest == last.to_bytes(32, "big")


# --- tables ---


def test_the_migrations_make_the_tables(database):
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, TABLES) == []
        assert context.get_current_revision() == NEWEST


def test_the_newest_migration_is_the_one_that_alembic_ends_at():
    settings = Settings()
    settings.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(settings).get_heads() == [NEWEST]


def test_a_migration_that_fails_leaves_nothing_behind(open_state, state, monkeypatch):
    """Each runs in a transaction of its own, tables included."""
    from alembic.operations import Operations

    make = Operations.create_table

    def fail(self, name, *columns, **options):
        if name == "transactions":
            raise OSError(28, "No space left on device")
        return make(self, name, *columns, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Operations, "create_table", fail)
        with pytest.raises(StateError, match="No space left"):
            open_state()
    database = open_state()
    with database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), TABLES) == []


def test_a_state_that_a_newer_version_wrote_is_refused(database, open_state):
    with database.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StateError, match="newer version"):
        open_state()


def test_two_that_open_a_new_state_at_once_make_its_tables_once(state):
    running = [subprocess.Popen([sys.executable, "-c", OPEN, state]) for _ in range(3)]
    assert [each.wait(60) for each in running] == [0, 0, 0]


# --- SQLite ---


def test_sqlite_loses_nothing_by_a_power_cut(tmp_path):
    with open_database(tmp_path).begin() as connection:
        said = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert said == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 30_000}


def test_nobody_else_may_read_the_state(tmp_path):
    old = os.umask(0)
    try:
        database = open_database(tmp_path / "home")
        database.hold(ALICE)
        database.bind(**FIRST)
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "home").iterdir()}
        assert "state.db" in modes and set(modes.values()) == {0o600}
        assert stat.S_IMODE((tmp_path / "home").stat().st_mode) == 0o700
    finally:
        os.umask(old)
        database.close()


def test_a_state_that_others_may_read_is_closed_to_them(tmp_path):
    open_database(tmp_path).close()
    (tmp_path / "state.db").chmod(0o644)
    open_database(tmp_path)
    assert stat.S_IMODE((tmp_path / "state.db").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "content", [b"not a database, but long enough to be one" * 100, b"SQLite format 3\0" + b"\xff" * 8000]
)
def test_a_damaged_state_is_no_traceback_and_is_not_overwritten(tmp_path, content):
    (tmp_path / "state.db").write_bytes(content)
    with pytest.raises(StateError, match="is damaged: restore it from a backup"):
        open_database(tmp_path)
    assert (tmp_path / "state.db").read_bytes() == content


def test_a_folder_that_cannot_be_written_is_no_traceback(tmp_path):
    (tmp_path / "home").write_bytes(b"a file")
    with pytest.raises(BadInput, match="cannot write"):
        open_database(tmp_path / "home")


def test_a_full_disk_is_said_in_one_line_and_loses_nothing(tmp_path):
    database = open_database(tmp_path)
    seen = Seen(database)
    seen.add(1, b"\1" * 32)
    with database.begin() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
    event.listen(database.engine, "checkout", lambda raw, *_: raw.execute(f"PRAGMA max_page_count = {pages}"))
    with pytest.raises(StateError, match=r"state\.db: database or disk is full"):
        seen.add(2, bytes(1 << 20))
    assert seen.last() == [(1, b"\1" * 32)]


def test_a_state_in_memory_is_its_own(tmp_path):
    Seen(one := in_memory()).add(1, b"\1")
    assert Seen(in_memory()).last() == [] and Seen(one).last() == [(1, b"\1")]
    with one.alone(ALICE):  # nobody else could
        one.hold(ALICE)


def test_a_copy_of_a_closed_state_is_a_backup(tmp_path):
    database = open_database(tmp_path / "home")
    Seen(database).add(1, b"\1")
    copy = tmp_path / "copy.db"
    sqlite3.connect(tmp_path / "home" / "state.db").execute(f"VACUUM INTO '{copy}'")
    assert Seen(open_database(tmp_path, str(copy))).last() == [(1, b"\1")]


# --- where it is ---


@pytest.mark.parametrize(
    ("state", "complaint"),
    [
        ("", "is empty"),
        ("mysql://a/b", "not mysql://"),
        ("postgres://a/b", "not postgres://"),
        ("sqlite://", "names no file"),
        ("postgresql://alice:secret@db/state", "holds a password"),
        ("postgresql://alice@db/state?password=secret", "holds a password"),
        ("postgresql://[::1/state", "is not a database's URL"),
    ],
)
def test_a_state_that_cannot_be_is_refused_without_its_password(tmp_path, state, complaint):
    with pytest.raises(ConfigError, match=complaint) as caught:
        open_database(tmp_path, state)
    assert "secret" not in str(caught.value)


def test_a_path_starts_at_the_home(tmp_path):
    assert state_url(tmp_path, "state.db").database == str(tmp_path / "state.db")
    assert state_url(tmp_path, "/elsewhere/s.db").database == "/elsewhere/s.db"
    assert state_url(tmp_path, "sqlite:////elsewhere/s.db").database == "/elsewhere/s.db"


def test_a_password_file_is_passed_on(tmp_path):
    url = state_url(tmp_path, "postgresql://alice@db/state?passfile=/run/secrets/pg")
    assert (url.drivername, url.query["passfile"], url.password) == ("postgresql+psycopg", "/run/secrets/pg", None)


def test_a_server_that_does_not_answer_is_said_in_one_line(tmp_path):
    pytest.importorskip("psycopg")
    with pytest.raises(StateError) as caught:
        open_database(tmp_path, "postgresql://alice@127.0.0.1:1/state?connect_timeout=2")
    assert "\n" not in str(caught.value) and "cannot read or write" in str(caught.value)


def test_without_psycopg_it_is_said_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ConfigError, match=r"pip install 'market-node\[postgres\]'"):
        open_database(tmp_path, "postgresql://alice@db/state")


# --- blocks ---


def test_only_the_last_blocks_are_kept(database):
    seen = Seen(database)
    for number in range(KEPT + 10):
        seen.add(number, bytes([number]))
    assert [number for number, _ in seen.last()] == list(range(KEPT + 9, 9, -1))


def test_a_block_takes_the_place_of_what_was_after_it(database):
    seen = Seen(database)
    for number in (5, 6, 7):
        seen.add(number, b"old")
    seen.add(6, b"new")
    assert seen.last() == [(6, b"new"), (5, b"old")]
    seen.undo(5)
    assert seen.last() == []
