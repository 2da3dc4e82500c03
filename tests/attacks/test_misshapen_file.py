"""A sealed file whose blocks are no file, so that the aggregator cannot settle.

Mallory commits to the digest of a block that exists, and that every store gives back unchanged, but that is no file
of the protocol: bytes that begin as a node does and are none, a leaf that is too large, a tree of another shape. She
hopes that the aggregator's node, which opens every model before it settles, neither gets a model nor finds a reason
to exclude her, and stops there; the settlement does not come, the aggregator loses its bond, and a part of that is
hers. Her file should be excluded as `malformed`, as any other that cannot be read. (docs/protocol.md §11, §12)
"""

import tempfile
from hashlib import sha256
from pathlib import Path

from market_node.blocks import CHUNK, RAW, Link, encode_node
from market_node.chain import Phase
from market_node.errors import StorageError
from market_node.seal import new_key
from tests.attacks.play import Story, tell
from tests.integration.test_round import PHASE, Town, cheat

EMPTY, LETTER = sha256(b"").digest(), sha256(b"x").digest()
BLOCKS = {
    "no node": b"\x12\xff\xff\xff",
    "a node of nothing": b"\x0a\x00",
    "a leaf too large": b"M" * (CHUNK + 1),
    "a tree of an empty leaf": encode_node([Link(RAW, EMPTY, 5, 5)]),
    "a tree of small leaves": encode_node([Link(RAW, LETTER, 10, 10)] * 3),
}


def keep(town: Town, block: bytes) -> bytes:
    """Puts a block where every node finds it, as anybody can. Returns its digest."""
    digest = sha256(block).digest()
    (town.store.folder / digest.hex()).write_bytes(block)
    return digest


def reason(town: Town, block: bytes) -> str:
    """Why the aggregator excludes Dave, who is Mallory; "" where it cannot settle, and loses its bond."""
    number = town.open()
    town.commit(number, "alice", "bob")
    chains = {"operator": town.aggregator.chain, "mallory": town.dave.chain}
    before = {name: chain.available(chain.account) for name, chain in chains.items()}
    cheat(town, number, cid=keep(town, block), root=bytes(32), key=new_key())
    town.devnet.warp(PHASE)
    try:
        town.aggregator.settle(number)
    except StorageError:
        town.devnet.warp(PHASE)
        assert town.alice.chain.phase(number) == Phase.VOID
        town.alice.refund(number)
        terms = town.alice.round(number).terms
        gains = {name: chain.available(chain.account) - before[name] for name, chain in chains.items()}
        assert gains == {"operator": 0, "mallory": terms.bond // 4 // 3}, "the bond was locked before"
        return ""
    [exclusion] = town.aggregator.deliveries(town.aggregator.round(number)).exclusions
    assert exclusion.index == 2
    return exclusion.reason


def reasons() -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        town = Town(Path(folder))
        keep(town, b"")
        keep(town, b"x")
        return [reason(town, block) for block in BLOCKS.values()]


def attack() -> Story:
    found = reasons()
    stopped = found.count("")
    if stopped:
        return Story(
            f"**it works**: {stopped} of {len(found)} such files stop the aggregator's node (StorageError); the round "
            "is void with fault, and she gets her part of the bond",
            "gas: her deposit returns, and a quarter of the aggregator's bond is shared by who revealed",
        )
    return Story(f"excluded as {', '.join(sorted(set(found)))}, {len(found)} of {len(found)} times", "the reveal bond")


def test_a_file_of_no_shape_excludes_its_owner_and_stops_nobody():
    assert reasons() == ["malformed"] * len(BLOCKS)


if __name__ == "__main__":
    tell(attack)
