"""A node's settings: `<home>/config.toml`, read once, refused where anything in it is not understood.

No secret stands here, only where secrets are. (An RPC endpoint's address can hold one; the file is its owner's, 0600.)
"""

import json
import tomllib
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from web3 import Web3

from .contracts import checksum
from .errors import ConfigError
from .files import replacing
from .state import check_state
from .stores import check_places

NAME = "config.toml"


@dataclass(frozen=True, slots=True)
class Config:
    """One node's settings. Paths that are not absolute start at the node's home."""

    home: Path
    """The folder of the file; everything that the node keeps is in it."""

    rpc: str | tuple[str, ...]
    """Where a node of the chain answers, http or https. Of several, the first is asked that can be believed."""

    chain_id: int
    """The chain that it must be."""

    market: str | None = None
    """The market's address; none until there is one."""

    from_block: int = 0
    """In which block the market was created: logs are read from there."""

    store: str | tuple[str, ...] = "blocks"
    """Where sealed files are: a folder of blocks, a Kubo node's RPC API (`http://127.0.0.1:5001`), or a gateway to read
    from (`gateway+https://…`). Of several, files go to the first and are looked for in each."""

    store_timeout: float = 60.0
    """How long a Kubo node or a gateway may take for one block, seconds."""

    state: str = "state.db"
    """What the node must not forget: a file of SQLite's, or a database of PostgreSQL's, `postgresql://user@host/name`."""

    keys: Path = Path("keys")
    """The folder of the account and its encryption keys."""

    signer: str | None = None
    """Who keeps the account's key instead of that folder: a signer that speaks clef's JSON-RPC, `http://127.0.0.1:8550`
    or `unix:/run/clef/clef.ipc`. `account` says whose key it must use."""

    account: str | None = None
    """The address of the signer's account; without a signer, the folder says it."""

    password_file: Path | None = None
    """A file that holds the keys' password, readable by its owner only; without one the node asks."""

    confirmations: int = 1
    """Blocks, a transaction's own included, after which it counts as mined."""

    timeout: float = 120.0
    """How long to wait for a transaction to be mined, seconds."""

    max_fee: float = 500.0
    """The most that is bid for gas, gwei."""

    mixing: int = 200
    """n₀: samples for which one bought model weighs as much as the node's own, when both are mixed."""

    def __post_init__(self) -> None:
        _check(bool(self.rpcs), "rpc", "is empty")
        for place in map(urlsplit, self.rpcs):
            right = place.scheme in ("http", "https") and bool(place.hostname)
            _check(right, "rpc", "is not an http or https address")
        _check(self.chain_id >= 1, "chain_id", "is below 1")
        _check(self.market is None or Web3.is_address(self.market), "market", "is not an address")
        _check(self.from_block >= 0, "from_block", "is below 0")
        check_places(self.stores)
        _check(0 < self.store_timeout < 86_400, "store_timeout", "is not between 0 and 86,400 seconds")
        check_state(self.state)
        _check(self.confirmations >= 1, "confirmations", "is below 1")
        _check(0 < self.timeout < 86_400, "timeout", "is not between 0 and 86,400 seconds")
        _check(0 < self.max_fee < 1e9, "max_fee", "is not between 0 and 1,000,000,000 gwei")
        _check(self.mixing >= 0, "mixing", "is below 0")
        _check((self.signer is None) == (self.account is None), "signer", "and 'account' go together")
        if self.signer is not None:
            from .signer import check_signer  # few have one

            check_signer(self.signer)
            _check(Web3.is_address(self.account), "account", "is not an address")
        for key in ("market", "account"):
            if (address := getattr(self, key)) is not None:
                object.__setattr__(self, key, checksum(address))
        for key in ("keys", "password_file"):
            if (path := getattr(self, key)) is not None:
                object.__setattr__(self, key, self.home / path)

    @property
    def rpcs(self) -> tuple[str, ...]:
        """The addresses of `rpc`."""
        return (self.rpc,) if isinstance(self.rpc, str) else self.rpc

    @property
    def most_per_gas(self) -> int:
        """`max_fee` in wei."""
        return int(self.max_fee * 10**9)

    @property
    def stores(self) -> tuple[str, ...]:
        """The places of `store`."""
        return (self.store,) if isinstance(self.store, str) else self.store


def load_config(home: Path) -> Config:
    """Reads `config.toml` in `home`.

    Raises:
        ConfigError: it is not there or not TOML, a key is missing or unknown, a value does not fit. Names file and key.
    """
    path = home / NAME
    if not path.exists():
        raise ConfigError(f"there is no {path}: make it with `market-node init`")
    return config_of(home, read_toml(path), path)


def read_toml(path: Path) -> dict[str, Any]:
    """What a TOML file holds. Raises ConfigError, which names the file."""
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error


def config_of(home: Path, values: dict[str, Any], path: Path) -> Config:
    """The settings in `values`, which were read from `path`. Raises ConfigError, which names file and key."""
    try:
        return Config(home, **_typed(values))
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def write_config(config: Config) -> Path:
    """Writes `config.toml` into the config's home, but for what has its default. Returns its path."""
    lines = ["# A node's settings. What is left out has its default."]
    for each in fields(config):
        value = getattr(config, each.name)
        default = config.home / each.default if isinstance(each.default, Path) else each.default
        if each.name != "home" and value != default:
            if isinstance(value, Path) and value.is_relative_to(config.home):
                value = value.relative_to(config.home)
            lines.append(f"{each.name} = {_toml(value)}")
    config.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with replacing(config.home / NAME, 0o600) as file:
        file.write("\n".join([*lines, ""]).encode())
    return config.home / NAME


def _toml(value: Any) -> str:
    """A value as TOML writes it, which for text and lists is as JSON does."""
    if isinstance(value, tuple):
        return json.dumps(list(value))
    return json.dumps(str(value)) if isinstance(value, str | Path) else str(value)


def _typed(values: dict[str, Any]) -> dict[str, Any]:
    known = {each.name: each for each in fields(Config) if each.name != "home"}
    for key, value in values.items():
        if key not in known:
            raise ConfigError(f"unknown key {key!r}; known are {', '.join(known)}")
        kind, spoken = _KINDS.get(known[key].type, (str, "text"))
        if key in ("rpc", "store") and type(value) is list:
            if not all(type(each) is str for each in value):
                raise ConfigError(f"{key!r} must be a text or a list of texts, not {value!r}")
            continue
        # In Python a boolean is an int; in TOML 120 is no float.
        if type(value) is not kind and not (kind is float and type(value) is int):
            raise ConfigError(f"{key!r} must be a {spoken}, not {value!r}")
    for key, each in known.items():
        if each.default is MISSING and key not in values:
            raise ConfigError(f"{key!r} is missing")
    paths = {key: Path(value).expanduser() for key, value in values.items() if key in ("keys", "password_file")}
    lists = {key: tuple(value) for key, value in values.items() if type(value) is list}
    return {**values, **paths, **lists}


_KINDS: dict[Any, tuple[type, str]] = {int: (int, "whole number"), float: (float, "number")}
"""What TOML must have for a field's type; text for all others."""


def _check(holds: bool, key: str, complaint: str) -> None:
    if not holds:
        raise ConfigError(f"{key!r} {complaint}")
