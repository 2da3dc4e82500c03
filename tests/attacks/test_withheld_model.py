"""A model that is never published, and a store that never says so, so that the aggregator cannot settle.

Mallory commits to a file that she keeps to herself. The aggregator's stores are an IPFS node of its own, which finds
the file nowhere, and a gateway, which says nothing: it stalls, and what stalls is not known to be missing. She hopes
that the aggregator, which excludes nobody because a store is down, asks until its settle phase is over and its bond is
lost; a part of that is hers. In the last quarter of the phase, what cannot be read should count as missing, provided
that what the aggregator itself stores comes back. (docs/protocol.md §12)
"""

import tempfile
import threading
from hashlib import sha256
from pathlib import Path

import pytest

from market_node.chain import Phase
from market_node.errors import StorageError
from market_node.seal import new_key
from market_node.stores import Stores
from tests.attacks.play import Story, tell
from tests.integration.test_round import PHASE, Town, cheat

NOBODYS = sha256(b"a model that Mallory keeps to herself").digest()
PLAYERS = ("alice", "bob")


class Stalling:
    """A gateway from which nothing comes."""

    def put(self, path: Path) -> bytes:
        raise StorageError("gateways give and do not take")

    def get(self, digest: bytes, path: Path, limit: int) -> None:
        raise StorageError("the gateway gave nothing for 20 s")

    def has(self, digest: bytes) -> bool:
        raise StorageError("the gateway gave nothing for 20 s")


class Silent(Stalling):
    """A gateway that does not even break off."""

    def __init__(self) -> None:
        self.over = threading.Event()

    def get(self, digest: bytes, path: Path, limit: int) -> None:
        self.over.wait(600)
        raise StorageError("the gateway was asked too long ago")


class Forgetful(Stalling):
    """A store that takes everything, and gives nothing back."""

    def put(self, path: Path) -> bytes:
        return sha256(path.read_bytes()).digest()


def withheld(town: Town) -> int:
    """A round in which Dave, who is Mallory, has committed to nobody's file; everybody has revealed."""
    number = town.open()
    town.commit(number, *PLAYERS)
    cheat(town, number, cid=NOBODYS, root=bytes(32), key=new_key())
    town.aggregator.store = Stores([town.store, Stalling()])
    town.devnet.warp(PHASE)
    return number


def settles(town: Town, number: int) -> bool:
    try:
        town.aggregator.settle(number)
    except StorageError:
        return False
    return True


def attack() -> Story:
    with tempfile.TemporaryDirectory() as folder:
        town = Town(Path(folder))
        number = withheld(town)
        before = town.dave.chain.available(town.dave.chain.account)
        assert not settles(town, number), "a store that is down for a moment excludes nobody"
        town.devnet.warp(PHASE * 3 // 4)
        if not settles(town, number):
            town.devnet.warp(PHASE)
            town.alice.refund(number)
            gain = town.dave.chain.available(town.dave.chain.account) - before
            return Story(f"**it works**: the aggregator does not settle and loses its bond; {gain} units are hers", "")
        [exclusion] = town.aggregator.deliveries(town.aggregator.round(number)).exclusions
        town.finish(number)
        terms = town.alice.round(number).terms
        lost = 16 * terms.reveal_bond - (town.dave.chain.available(town.dave.chain.account) - before)
        assert (exclusion.index, lost) == (2, terms.reveal_bond)
        return Story(
            f"waited for until three quarters of the settle phase have passed, then excluded as {exclusion.reason}; "
            "the round completes",
            f"the reveal bond, {lost:,} units",
        )


@pytest.fixture(scope="module")
def town(tmp_path_factory) -> Town:
    return Town(tmp_path_factory.mktemp("town"))


def test_a_model_that_nobody_publishes_is_missing_in_the_last_quarter(town):
    number = withheld(town)
    assert not settles(town, number)
    town.devnet.warp(PHASE * 3 // 4)
    assert settles(town, number)
    round_ = town.aggregator.round(number)
    assert round_.settlement.excluded == {2}
    assert [each.reason for each in town.aggregator.deliveries(round_).exclusions] == ["missing"]


def test_a_model_that_is_never_given_and_never_refused_is_missing_in_the_last_quarter(town, monkeypatch):
    number = withheld(town)
    silent = Silent()
    town.aggregator.store = Stores([town.store, silent])
    monkeypatch.setattr("market_node.aggregator.longest_try", lambda *_: 10)
    assert not settles(town, number)
    town.devnet.warp(PHASE * 3 // 4)
    assert settles(town, number)
    silent.over.set()
    assert town.aggregator.round(number).settlement.excluded == {2}


def test_a_store_that_gives_back_nothing_at_all_excludes_nobody_however_late(town):
    number = withheld(town)
    town.aggregator.store = Forgetful()
    town.devnet.warp(PHASE * 3 // 4)
    assert not settles(town, number)
    assert town.alice.chain.phase(number) == Phase.SETTLE


if __name__ == "__main__":
    tell(attack)
