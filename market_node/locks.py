"""One node per state: two that send with one key would take each other's nonces.

Beside a file the lock is a file, on PostgreSQL an advisory lock. Both end with the process, however it ends. A process
has a lock once, whoever in it asks.
"""

import fcntl
import hashlib
import os
import time
from contextlib import suppress
from pathlib import Path
from threading import Lock

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from .errors import StateError

POLL_SECONDS = 0.05


class FileLock:
    """A lock on a file, whose content names the process that holds it."""

    _held: dict[Path, tuple[int, int]] = {}  # noqa: RUF012  (the process's own: path → descriptor, holders)
    _guard = Lock()

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self._mine = False

    def hold(self, whose: str, patience: float = 0) -> None:
        """Takes it, or keeps it.

        Args:
            patience: how long to wait for another process, seconds.

        Raises:
            StateError: another process has it.
        """
        with self._guard:
            if self._mine:
                return
            if self.path in self._held:
                descriptor, holders = self._held[self.path]
            else:
                descriptor, holders = self._take(whose, time.monotonic() + patience), 0
            self._held[self.path] = descriptor, holders + 1
            self._mine = True

    def _take(self, whose: str, until: float) -> int:
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StateError(f"cannot write {self.path}: {error.strerror}") from error
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if time.monotonic() < until:
                    time.sleep(POLL_SECONDS)
                    continue
                holder = os.read(descriptor, 20).decode(errors="replace").strip()
                os.close(descriptor)
                raise StateError(_refusal(whose, f"process {holder}" if holder else "another process")) from error
        with suppress(OSError):  # a full disk: whose it is helps a person, and the lock is held without it
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        return descriptor

    def release(self) -> None:
        """Lets go of it. The process does so when its last holder does."""
        with self._guard:
            if not self._mine:
                return
            self._mine = False
            descriptor, holders = self._held[self.path]
            if holders > 1:
                self._held[self.path] = descriptor, holders - 1
            else:
                del self._held[self.path]
                os.close(descriptor)


class AdvisoryLock:
    """A lock that a PostgreSQL server keeps for as long as a connection lives."""

    _held: dict[tuple[str, int], tuple[Connection, int]] = {}  # noqa: RUF012  (the process's own)
    _guard = Lock()

    def __init__(self, engine: Engine, account: str) -> None:
        self.engine = engine
        digest = hashlib.sha256(f"market-node {account.lower()}".encode()).digest()
        self.number = int.from_bytes(digest[:8], "big", signed=True)
        self._key = str(engine.url), self.number
        self._mine = False

    def hold(self, whose: str, patience: float = 0) -> None:
        """Takes it, or keeps it, or takes it again where the server has lost it.

        Args:
            patience: how long to wait for another process, seconds.

        Raises:
            StateError: another process has it, or nobody answers.
        """
        with self._guard:
            connection, holders = self._held.get(self._key, (None, 0))
            if connection is None or not self._alive(connection):
                connection = self._take(whose, time.monotonic() + patience)
            self._held[self._key] = connection, holders + (not self._mine)
            self._mine = True

    @staticmethod
    def _alive(connection: Connection) -> bool:
        try:
            return connection.execute(text("SELECT 1")).scalar() == 1
        except SQLAlchemyError:
            with suppress(SQLAlchemyError):
                connection.close()
            return False

    def _take(self, whose: str, until: float) -> Connection:
        try:
            connection = self.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            taking = text("SELECT pg_try_advisory_lock(:number)")
            while not connection.execute(taking, {"number": self.number}).scalar():
                if time.monotonic() >= until:
                    connection.close()
                    raise StateError(_refusal(whose, "another process"))
                time.sleep(POLL_SECONDS)
            return connection
        except SQLAlchemyError as error:
            raise StateError("cannot lock the state: its database does not answer") from error

    def release(self) -> None:
        """Lets go of it. The process does so when its last holder does."""
        with self._guard:
            if not self._mine:
                return
            self._mine = False
            connection, holders = self._held[self._key]
            if holders > 1:
                self._held[self._key] = connection, holders - 1
                return
            del self._held[self._key]
            with suppress(SQLAlchemyError):
                connection.execute(text("SELECT pg_advisory_unlock_all()"))
                connection.close()


def _refusal(whose: str, holder: str) -> str:
    return f"{holder} is using the key of {whose}: two nodes with one key take each other's nonces; stop that one first"
