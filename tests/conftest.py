"""What the tests share: an embedded chain, a market on it, and funded accounts with names. One of each per module."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:  # the pure tests must not wait for an EVM
    from market_node.chain import Chain
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
