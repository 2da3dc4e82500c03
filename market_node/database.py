"""What a node must not forget: SQLite in its home, or PostgreSQL by URL.

A transaction is on the disk when `begin` ends. What cannot be read or written is a `StateError`, in one line.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, insert, inspect, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import QueuePool

from .errors import ConfigError, StateError
from .files import sync
from .locks import AdvisoryLock, FileLock
from .state import state_url
from .tables import FACTS, TABLES

NAME = "state.db"
"""In the node's home, where nothing else is configured."""

BUSY_SECONDS = 30
"""How long to wait for another process that writes."""

PATIENCE_SECONDS = 5
"""How long a command waits for another one that is sending."""

MIGRATIONS = Path(__file__).parent / "migrations"

NEWEST = max(path.stem for path in (MIGRATIONS / "versions").glob("[0-9]*.py")).partition("_")[0]
"""The last migration: what this version of the package reads and writes."""

_MIGRATING = 0x6D61726B65746E6F
"""The advisory lock of whoever migrates."""


class Database:
    """One node's state. `open_database` and `in_memory` make it.

    Args:
        name: how errors call it, without a password.
    """

    def __init__(self, engine: Engine, name: str) -> None:
        self.engine = engine
        self.name = name
        self.mutex = RLock()
        self._lock: FileLock | AdvisoryLock | None = None
        self._holders = 0
        self._held = False

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A transaction: all of it is kept when the block ends, or nothing where it raises.

        Raises:
            StateError: the database cannot be read or written.
        """
        with self._told(), self.engine.begin() as connection:
            yield connection

    def bind(self, **facts: object) -> None:
        """Says whose state this is, or checks that it is theirs.

        Args:
            facts: `chain_id`, `genesis` (bytes), `market`, `account`; those that are known.

        Raises:
            StateError: it is another's.
        """
        given = {key: value.hex() if isinstance(value, bytes) else str(value).lower() for key, value in facts.items()}
        with self.begin() as connection:
            known: dict[str, str] = {row.name: row.value for row in connection.execute(select(FACTS))}
            for key in ("chain_id", "genesis", "market", "account"):
                if key in given and known.get(key, given[key]) != given[key]:
                    raise StateError(self._mismatch(key, known[key], given[key]))
            new = [{"name": key, "value": value} for key, value in given.items() if key not in known]
            if new:
                connection.execute(insert(FACTS), new)

    def hold(self, account: str) -> None:
        """Makes this process the only one that sends with the account's key, until `close` or its end: for a node.

        Raises:
            StateError: another process does.
        """
        with self.mutex:
            if not self._held:
                self._take(account, 0)
                self._holders += 1
                self._held = True

    @contextmanager
    def alone(self, account: str) -> Iterator[None]:
        """No other thread, and no other process, gives out a nonce of the account while the block runs.

        Raises:
            StateError: another process keeps the key.
        """
        with self.mutex:
            self._take(account, PATIENCE_SECONDS)
            self._holders += 1
            try:
                yield
            finally:
                self._holders -= 1
                if not self._holders and self._lock is not None:
                    self._lock.release()

    def close(self) -> None:
        """Closes every connection and lets go of the key."""
        if self._lock is not None:
            self._lock.release()
        self._holders, self._held = 0, False
        self.engine.dispose()

    def _take(self, account: str, patience: float) -> None:
        if self._lock is None:
            if self.engine.dialect.name == "postgresql":
                self._lock = AdvisoryLock(self.engine, account)
            elif self.engine.url.database:
                self._lock = FileLock(Path(self.engine.url.database + ".lock"))
        if self._lock is not None:
            self._lock.hold(account, patience)

    def _mismatch(self, key: str, known: str, given: str) -> str:
        aside = "move it away and a new one is made (backups of keys are not touched)"
        if key == "genesis":
            return (
                f"{self.name} belongs to a chain that began with block {known[:8]}, this one began with {given[:8]}: "
                f"was a devnet restarted? Its rounds are gone with it: {aside}"
            )
        spoken = {"chain_id": "chain", "market": "market", "account": "account"}[key]
        return f"{self.name} belongs to {spoken} {known}, not {given}: name another file as 'state', or {aside}"

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, sqlite3.Error, OSError) as error:
            raise StateError(self._line(error)) from error

    def _line(self, error: Exception) -> str:
        reason: Any = getattr(error, "orig", None) or error
        said = " ".join(str(reason).split())[:200] or type(reason).__name__
        if "malformed" in said or "not a database" in said:
            return f"{self.name} is damaged: restore it from a backup"
        if isinstance(reason, OSError) and reason.strerror:
            return f"cannot write {self.name}: {reason.strerror}"
        return f"cannot read or write {self.name}: {said}"


def open_database(home: Path, state: str = NAME) -> Database:
    """Opens a node's state and brings its tables up to date.

    Args:
        home: where a file's path starts.
        state: a file, or `postgresql://user@host/name`; see docs/state.md.

    Raises:
        ConfigError: the scheme is unknown, a password stands in the URL, or psycopg is missing.
        StateError: it cannot be opened, is damaged, or a newer version of the package has written it.
    """
    url = state_url(home, state)
    name = url.database if url.drivername == "sqlite" else url.render_as_string(hide_password=True)
    try:
        engine = create_engine(url, **({} if url.drivername == "sqlite" else {"pool_pre_ping": True}))
    except ModuleNotFoundError as error:
        raise ConfigError("a PostgreSQL 'state' needs psycopg: pip install 'market-node[postgres]'") from error
    database = Database(engine, str(name))
    if url.drivername == "sqlite":
        _listen(engine)
        with database._told():
            _make(Path(str(url.database)))
    with database._told():
        _migrate(database)
    return database


def in_memory() -> Database:
    """A state that ends with the process: for tests and scripts that lose nothing by it."""
    engine = create_engine(
        "sqlite://", poolclass=QueuePool, pool_size=1, max_overflow=0, connect_args={"check_same_thread": False}
    )
    _listen(engine)
    TABLES.create_all(engine)
    return Database(engine, "the state in memory")


def _listen(engine: Engine) -> None:
    """SQLite as a database with money in it needs it: nothing is lost by a power cut, and a transaction is one."""

    @event.listens_for(engine, "connect")
    def _(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # else Python begins transactions by itself, and not around tables
        for pragma in (
            f"busy_timeout = {BUSY_SECONDS * 1000}",
            "journal_mode = WAL",
            "synchronous = FULL",
            "foreign_keys = ON",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _(connection: Connection) -> None:
        # Two that begin to read and then write would both wait, and one would fail.
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _make(path: Path) -> None:
    """The file, for its owner alone. What SQLite puts beside it gets the same mode."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        sync(path.parent)
    except FileExistsError:
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)


def _migrate(database: Database) -> None:
    if (version := _version(database)) == NEWEST:
        return
    if version is not None and version > NEWEST:
        raise StateError(f"{database.name} was written by a newer version of market-node: install that one")
    from alembic import command  # takes as long as everything else
    from alembic.config import Config

    settings = Config()
    settings.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    with _alone(database), database.engine.connect() as connection:
        settings.attributes["connection"] = connection
        command.upgrade(settings, "head")


def _version(database: Database) -> str | None:
    with database.engine.begin() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


@contextmanager
def _alone(database: Database) -> Iterator[None]:
    """Two that open a new state at once must not both make its tables."""
    import fcntl

    if database.engine.dialect.name == "postgresql":
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("SELECT pg_advisory_lock(:number)"), {"number": _MIGRATING})
            try:
                yield
            finally:
                connection.execute(text("SELECT pg_advisory_unlock(:number)"), {"number": _MIGRATING})
        return
    with open(str(database.engine.url.database) + ".migrating", "a", opener=_private) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
