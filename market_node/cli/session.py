"""What a command needs of the world, made when it is first asked for."""

import getpass
import sys
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from ..amounts import Money
from ..errors import BadInput, ConfigError
from .screen import Screen

if TYPE_CHECKING:
    from ..aggregator import Aggregator
    from ..auditor import Auditor
    from ..chain import Chain
    from ..config import Config
    from ..database import Database
    from ..history import History
    from ..keys import EncryptionKeys
    from ..node import Node
    from ..signer import Signer
    from ..store import Store

DEVNET = "http://127.0.0.1:8545"
"""Where devnets answer unless told otherwise."""


class Session:
    """One command, run once, in one home.

    Imports stand inside: `status` must not wait for torch, nor `--help` for web3.
    """

    def __init__(self, home: Path, password_file: Path | None, screen: Screen) -> None:
        self.home = home.expanduser().absolute()
        self.password_file = password_file
        self.screen = screen

    @cached_property
    def config(self) -> "Config":
        """The node's settings."""
        from ..config import load_config

        return load_config(self.home)

    def rpc(self, given: str | None) -> str:
        """Where the chain answers: as given, as configured, or where devnets do."""
        from ..config import NAME

        if given is not None:
            return given
        return self.config.rpcs[0] if (self.home / NAME).exists() else DEVNET

    # --- secrets ---

    def password(self, *, twice: bool = False) -> str:
        """The keystore's password: from a file, or from a person. `twice` where it is a new one."""
        from ..config import NAME
        from ..keys import read_password

        path = self.password_file
        if path is None and (self.home / NAME).exists():
            path = self.config.password_file
        return read_password(path if path is not None else lambda: _ask(twice))

    @cached_property
    def signer(self) -> "Signer":
        """The account, opened; or whoever signs for it."""
        from ..keys import load_account

        if self.config.signer is not None and self.config.account is not None:
            from ..signer import RemoteSigner

            return RemoteSigner(self.config.signer, self.config.account, self.config.timeout)
        with self.screen.working("opening the keystore"):
            return load_account(self.config.keys, self._password)

    @cached_property
    def keys(self) -> "EncryptionKeys":
        """The encryption keys, opened."""
        from ..keys import load_encryption_keys

        with self.screen.working("opening the keystore"):
            return load_encryption_keys(self.config.keys, self._password)

    @cached_property
    def _password(self) -> str:
        return self.password()

    @property
    def address_if_any(self) -> str | None:
        """The account's address, which takes no password; None where the home has no account."""
        from ..keys import account_address

        return self.config.account or account_address(self.config.keys)

    @property
    def address(self) -> str:
        """The account's address, which takes no password."""
        if (address := self.address_if_any) is None:
            raise BadInput(f"{self.config.keys} holds no account: make one with `market-node init`")
        return address

    def require_account(self) -> None:
        """Raises BadInput where the home has no account: said before a password is asked for, or much is computed."""
        _ = self.address

    # --- the market ---

    @cached_property
    def chain(self) -> "Chain":
        """The market, to read."""
        from ..chain import Chain
        from ..config import NAME

        config = self.config
        if config.market is None:
            raise ConfigError(f"{self.home / NAME} names no 'market': deploy one, or write its address there")
        return Chain(
            config.rpcs,
            config.market,
            chain_id=config.chain_id,
            confirmations=config.confirmations,
            timeout=config.timeout,
            from_block=config.from_block,
            max_fee=config.most_per_gas,
        )

    @cached_property
    def signing(self) -> "Chain":
        """The market, to read and to write to."""
        chain = self.chain  # before the keystore is opened: that takes a second
        chain.signer = self.signer
        chain.remember(self.database)
        return chain

    @cached_property
    def database(self) -> "Database":
        """What the node must not forget."""
        from ..database import open_database

        return open_database(self.home, self.config.state)

    @cached_property
    def history(self) -> "History":
        """The market's rounds so far."""
        from ..history import History

        history = History(self.chain)
        with self.screen.working("reading the market's logs"):
            history.refresh()
        return history

    @cached_property
    def store(self) -> "Store":
        """Where sealed files are."""
        from ..stores import open_store

        return open_store(self.config.stores, self.config.home, self.config.store_timeout)

    @cached_property
    def node(self) -> "Node":
        """The account's node, as a participant or anyone."""
        from ..node import Node

        return Node(self.home, self.signing, self.store, self.keys, self.database)

    @cached_property
    def aggregator(self) -> "Aggregator":
        """The account's node, as an aggregator. Loads torch."""
        from ..aggregator import Aggregator

        return Aggregator(self.home, self.signing, self.store, self.keys, self.database)

    def auditor(self, folder: Path | None, least_bond: int = 0) -> "Auditor":
        """The account as an auditor, with its reports in a folder; by default one per market in the home."""
        from ..auditor import Auditor

        self.require_account()
        chain = self.signing
        name = f"{chain.chain_id}-{chain.genesis.hex()[:8]}"
        place = folder or self.home / "reports" / name / chain.market.lower()
        return Auditor(chain, place.absolute(), self.history, self.money.text, least_bond)

    def publish_key(self) -> None:
        """Puts the account's encryption key on chain where it is not there yet: commits and rounds need it."""
        if self.signing.encryption_key(self.signer.address) != self.keys.public:
            self.signing.set_encryption_key(self.keys.public)

    @cached_property
    def money(self) -> Money:
        """How the market's token is written."""
        token = self.chain.token
        return Money(token.symbol, token.decimals)


def _ask(twice: bool) -> str:
    if not sys.stdin.isatty():
        raise BadInput("no password: give --password-file, or set MARKET_NODE_PASSWORD_FILE")
    password = getpass.getpass("Password: ")
    if twice and getpass.getpass("The same again: ") != password:
        raise BadInput("the two passwords differ; nothing was written")
    return password
