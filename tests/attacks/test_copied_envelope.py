"""Envelope and sketch replay: another account's sealed file, key and sketch under one's own name.

Mallory commits to the CID and root that Alice has committed to, waits for Alice's reveal, and reveals the same sketch
with Alice's wrapped key; or seals Alice's file, as it is, into an envelope of her own; or wraps a key of her own for
it. She hopes to sell a model that she never had. On chain all of it passes, for nobody there can open a file. The
aggregator can: envelope and wrapped key name the account they belong to. (docs/protocol.md §11; SECURITY.md)
"""

import tempfile
from pathlib import Path

from market_node.codec import seal_bid
from market_node.delivery import REASONS
from market_node.records import Model
from market_node.seal import new_key, seal_file, wrap_key
from tests.attacks.play import SALT, Story, tell
from tests.integration.test_round import BID, Town


def round_of(town: Town, cid_of, key_of) -> tuple[str, int, int]:
    """A round in which Dave is Mallory. Returns the reason of her exclusion, her gain and what she sold."""
    number = town.open()
    town.commit(number, "alice", "bob")
    alice, mallory = town.alice, town.dave.chain
    model = alice.round(number).participants[0].model
    copied = Model(cid_of(town, number, model), model.root)
    before = mallory.available(mallory.account)
    sealed = seal_bid(mallory.market, mallory.chain_id, number, mallory.account, BID, SALT)
    _, index = mallory.commit(number, sealed, copied, 16 << 20)
    town.draw(number)
    town.reveal(number, "alice", "bob")
    seen = alice.round(number)
    reveal = seen.participants[0].reveal
    mallory.reveal(number, index, seen.seed, BID, SALT, copied, reveal.sketch, key_of(town, number, seen, reveal))
    [exclusion] = town.settle(number).exclusions
    assert exclusion.index == index
    sold = sum(p.seller == index for row in alice.round(number).settlement.rows for p in row)
    town.finish(number)
    assert mallory.pot(number) == 0
    return exclusion.reason, mallory.available(mallory.account) - before, sold


def same_file(town, number, model):
    return model.cid


def sealed_again(town, number, model):
    """Alice's sealed file is all that Mallory has: she seals that."""
    town.store.get(model.cid, town.folder / "copy", 1 << 24)
    seal_file(town.folder / "copy", town.folder / "sealed", MALLORYS_KEY, town.dave.envelope(number), {})
    return town.store.put(town.folder / "sealed")


def renamed(town, number, model):
    """Alice's sealed file with Mallory's account written into its header."""
    town.store.get(model.cid, town.folder / "copy", 1 << 24)
    content = (town.folder / "copy").read_bytes()
    alice, mallory = (town.nodes[name].chain.account.encode() for name in ("alice", "dave"))
    assert alice in content
    (town.folder / "renamed").write_bytes(content.replace(alice, mallory))
    return town.store.put(town.folder / "renamed")


MALLORYS_KEY = new_key()


def alices_key(town, number, seen, reveal):
    return reveal.sealed_key


def own_key(town, number, seen, reveal):
    return wrap_key(MALLORYS_KEY, seen.encryption_key, town.dave.envelope(number))


WAYS = {
    "her file and her key": (same_file, alices_key),
    "her file, a key of one's own": (same_file, own_key),
    "her file sealed once more": (sealed_again, own_key),
    "her file with another name, her key": (renamed, alices_key),
    "her file with another name, a key of one's own": (renamed, own_key),
}


def attack() -> Story:
    with tempfile.TemporaryDirectory() as folder:
        town = Town(Path(folder))
        results = {way: round_of(town, *parts) for way, parts in WAYS.items()}
        bond = town.alice.round(1).terms.reveal_bond
    reasons = [reason for reason, _, _ in results.values()]
    assert reasons == ["names-another", "names-another", "malformed", "names-another", "wrong-key"]
    assert set(reasons) <= set(REASONS)
    assert {(gain, sold) for _, gain, sold in results.values()} == {(-bond, 0)}
    return Story(
        f"the chain accepts it, the aggregator excludes it ({', '.join(dict.fromkeys(reasons))}), {len(results)} of "
        f"{len(results)} times",
        f"the reveal bond, {bond:,} units, each time",
    )


def test_a_copied_envelope_sells_nothing():
    attack()


if __name__ == "__main__":
    tell(attack)
