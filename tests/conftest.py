"""What the tests share: an embedded chain, a market on it, and funded accounts with names. One of each per module."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:  # the pure tests must not wait for an EVM
    from pathlib import Path

    from market_node.chain import Chain
    from market_node.database import Database
    from market_node.deploy import Deployment
    from market_node.devnet import Devnet

NAMES = ("operator", "alice", "bob", "carol", "dave", "erin", "stranger")
"""Who has which of the devnet's accounts. The operator deployed the market; the stranger has ether and nothing else."""

FORTUNE = 1 << 60
"""What each of them has available, base units."""


@dataclass
class Actors:
    """`actors.alice` is the market as Alice uses it: funded, and with an encryption key."""

    devnet: "Devnet"
    deployment: "Deployment"
    chains: "dict[str, Chain]" = field(default_factory=dict)

    def __getattr__(self, name: str) -> "Chain":
        if name not in NAMES:
            raise AttributeError(name)
        if name not in self.chains:
            self.chains[name] = self._enter(name)
        return self.chains[name]

    def _enter(self, name: str) -> "Chain":
        from market_node.chain import Chain
        from market_node.deploy import mint

        operator, account = self.devnet.accounts[0], self.devnet.accounts[NAMES.index(name)]
        chain = Chain(self.devnet.provider, self.deployment.market, account)
        if name != "stranger":
            mint(self.devnet.provider, operator, self.deployment.token, chain.account, FORTUNE)
            chain.fund(FORTUNE)
            chain.set_encryption_key(bytes([NAMES.index(name) + 1]) * 32)
        return chain


@pytest.fixture(scope="module")
def devnet() -> "Devnet":
    from market_node.devnet import Devnet

    return Devnet()


@pytest.fixture(scope="module")
def deployment(devnet: "Devnet") -> "Deployment":
    from market_node.deploy import deploy

    return deploy(devnet.provider, devnet.accounts[0], min_phase=60)


@pytest.fixture(scope="module")
def actors(devnet: "Devnet", deployment: "Deployment") -> Actors:
    return Actors(devnet, deployment)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a running PostgreSQL."""
    from tests.postgres import ABSENT, server, usable

    if not usable():
        pytest.skip(ABSENT)
    with server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def state(request: pytest.FixtureRequest, tmp_path: "Path") -> str:
    """Where a new, empty state is, as a configuration says it: in each database that there is."""
    if request.param == "sqlite":
        return str(tmp_path / "state" / "state.db")
    import psycopg

    url: str = request.getfixturevalue("postgres")
    name = f"state{next(_COUNT)}"
    with psycopg.connect(url, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}")
    return url.replace("/postgres?", f"/{name}?")


_COUNT = count()


@pytest.fixture
def open_state(state: str, tmp_path: "Path") -> "Iterator[Callable[[], Database]]":
    """Opens the state, again and again if need be, as processes after each other do."""
    from market_node.database import open_database

    opened: list[Database] = []

    def open_() -> "Database":
        opened.append(open_database(tmp_path, state))
        return opened[-1]

    yield open_
    for each in opened:
        each.close()


@pytest.fixture
def database(open_state: "Callable[[], Database]") -> "Database":
    """A node's state: in SQLite, and in PostgreSQL where there is one."""
    return open_state()


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Models this small only wait for a second one."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
