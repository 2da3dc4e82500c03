"""An older backup was restored in the middle of a round: the state is gone, the key folder is there."""

import pytest

from market_node.database import open_database
from market_node.errors import BadInput
from market_node.keys import EncryptionKeys
from market_node.node import Node
from tests.integration.test_round import BID, Town


@pytest.fixture(scope="module")
def town(tmp_path_factory) -> Town:
    return Town(tmp_path_factory.mktemp("town"))


@pytest.fixture(scope="module")
def drawn(town) -> int:
    number = town.open()
    town.commit(number, "alice", "bob", "carol")
    town.draw(number)
    return number


def restored(town: Town, name: str, keys: EncryptionKeys | None = None) -> Node:
    """The node of an account whose state is as new."""
    before = town.nodes[name]
    folder = town.folder / f"{name}-restored"
    return Node(folder, before.chain, town.store, keys or before.keys, open_database(folder))


def test_a_lost_bid_is_found_with_the_keys_and_revealed(town, drawn):
    alice = restored(town, "alice")
    with pytest.raises(BadInput, match="has no bid"):
        alice.journal.entry(drawn, alice.chain.account)
    alice.reveal(drawn)
    assert alice.round(drawn).participants[0].reveal.bid == BID


def test_what_was_found_is_what_was_written_down_and_is_written_down_again(town, drawn):
    bob, account = restored(town, "bob"), town.bob.chain.account
    bob.entry(bob.round(drawn))
    assert bob.journal.entry(drawn, account) == town.bob.journal.entry(drawn, account)


def test_without_the_key_of_then_the_node_says_what_is_lost(town, drawn):
    carol = restored(town, "carol", EncryptionKeys([b"\5" * 32]))
    with pytest.raises(BadInput, match="the reveal bond is lost; the rest of the deposit comes back"):
        carol.reveal(drawn)
