"""Where a node's state is: a file of SQLite's, or a database of PostgreSQL's."""

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from .errors import ConfigError

if TYPE_CHECKING:  # a configuration is read without it
    from sqlalchemy import URL


def check_state(state: str) -> None:
    """Refuses what cannot be a state, without a look at it. Raises ConfigError."""
    if not state:
        raise ConfigError("'state' is empty")
    if "://" not in state:
        return
    try:
        address = urlsplit(state)
        password = address.password
    except ValueError as error:
        raise ConfigError("'state' is not a database's URL") from error
    if address.scheme not in ("sqlite", "postgresql"):
        raise ConfigError(f"'state' is a file or begins with postgresql://, not {address.scheme}://")
    if address.scheme == "sqlite" and not address.path.removeprefix("/"):
        raise ConfigError("'state' names no file")
    if password is not None or "password=" in address.query:
        raise ConfigError("'state' holds a password: put it into a file and write ?passfile=FILE, or into ~/.pgpass")


def state_url(home: Path, state: str) -> "URL":
    """Where the state is, as SQLAlchemy says it. Raises ConfigError."""
    from sqlalchemy import URL, make_url
    from sqlalchemy.exc import ArgumentError

    check_state(state)
    if "://" not in state:
        return URL.create("sqlite", database=str(home / Path(state).expanduser()))
    try:
        url = make_url(state)
    except (ArgumentError, ValueError) as error:
        raise ConfigError("'state' is not a database's URL") from error
    return url if url.drivername == "sqlite" else url.set(drivername="postgresql+psycopg")
