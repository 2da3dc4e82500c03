"""A PostgreSQL of the tests' own: in a temporary folder, on a socket in it, gone afterwards."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ABSENT = "no PostgreSQL here: install Debian's package `postgresql`, and `market-node[postgres]`"


def programs() -> Path | None:
    """The folder of `initdb` and `pg_ctl`: Debian keeps them out of the path. The newest where there are several."""
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if found:
        return max(found, key=lambda folder: float(folder.parent.name))
    program = shutil.which("initdb")
    return Path(program).parent if program else None


def usable() -> bool:
    """Whether one can be started."""
    try:
        import psycopg  # noqa: F401
    except ImportError:
        return False
    return programs() is not None and (os.getuid() != 0 or _other() is not None)


@contextmanager
def server() -> Iterator[str]:
    """A running server; the URL of its database `postgres`. Nothing in it is synced: it is for tests."""
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    bin_, user = programs(), _other() if os.getuid() == 0 else None
    assert bin_ is not None
    try:
        if user is not None:
            shutil.chown(folder, user)
        _run(user, bin_ / "initdb", "-D", folder / "data", "-U", "node", "-A", "trust", "--no-sync", "-E", "UTF8")
        with open(folder / "data" / "postgresql.conf", "a") as settings:
            settings.write(f"listen_addresses = ''\nunix_socket_directories = '{folder}'\nfsync = off\n")
        _run(user, bin_ / "pg_ctl", "-D", folder / "data", "-w", "-l", folder / "log", "start")
        try:
            yield f"postgresql://node@/postgres?host={folder}"
        finally:
            _run(user, bin_ / "pg_ctl", "-D", folder / "data", "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def restart(url: str) -> None:
    """Stops a server as a crash would, and starts it again."""
    folder = Path(url.rpartition("host=")[2])
    bin_, user = programs(), _other() if os.getuid() == 0 else None
    assert bin_ is not None
    for what in (("-m", "immediate", "stop"), ("-l", str(folder / "log"), "start")):
        _run(user, bin_ / "pg_ctl", "-D", folder / "data", "-w", *what)


def _other() -> str | None:
    """Somebody else than root, as whom PostgreSQL refuses to run."""
    names = {entry.pw_name for entry in pwd.getpwall()}
    return next((name for name in ("postgres", "nobody") if name in names), None)


def _run(user: str | None, *command: object) -> None:
    subprocess.run(
        list(map(str, command)), user=user, cwd="/", check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
