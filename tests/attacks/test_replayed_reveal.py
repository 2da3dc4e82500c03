"""Replayed reveal, and a sealed bid of another round.

Mallory sends a reveal that is already on chain once more, her own or another's, and brings a sealed bid of one round to
the next. She hopes to be counted twice or to sell without a commit of her own. A reveal is its account's alone and is
accepted once; the seal names market, chain, round and account. (docs/protocol.md §9)
"""

from dataclasses import replace

from market_node.codec import seal_bid
from tests.attacks.play import BID, DEPOSIT, MODEL, SALT, SKETCH, Game, Story, Town, refused, tell


def attack() -> Story:
    town = Town()
    first = Game(town).enter(town.alice, town.mallory).draw()
    first.reveal_one(0)
    first.reveal_one(1)
    hash_before = town.alice.state(first.number).reveals_hash
    again = refused(first.reveal_one, 1)

    seed = town.alice.state(first.number).seed
    alices = (first.number, 0, seed, BID, SALT, MODEL, SKETCH, b"\7" * 80)
    as_mallory = refused(town.mallory.reveal, *alices)
    assert town.alice.state(first.number).reveals_hash == hash_before

    # The seal of the first round, in the second.
    second = Game(town).enter(town.alice, town.bob)
    old = seal_bid(town.mallory.market, town.mallory.chain_id, first.number, town.mallory.account, BID, SALT)
    town.mallory.commit(second.number, old, MODEL, DEPOSIT)
    second.draw()
    seed = town.alice.state(second.number).seed
    rest = (SALT, MODEL, SKETCH, b"\7" * 80)
    elsewhere = refused(town.mallory.reveal, second.number, 2, seed, BID, *rest)
    changed = refused(town.mallory.reveal, second.number, 2, seed, replace(BID, cost=0), *rest)
    assert (again, as_mallory, elsewhere, changed) == (
        "AlreadyRevealed",
        "NotTheParticipant",
        "WrongSeal",
        "WrongSeal",
    )

    before = town.wealth()
    second.players.append(second.players[0])  # Mallory has a row too, and it is empty
    second.reveal(0, 1)
    assert second.true_rows()[2] == ()
    second.settle().close().pay_out()
    bond = first.round.terms.reveal_bond
    assert town.wealth()["mallory"] - before["mallory"] == DEPOSIT - bond
    assert town.is_solvent()
    return Story(
        f"{again}, {as_mallory}, {elsewhere}",
        f"gas; who commits to a seal that it cannot open loses the reveal bond ({bond:,} units)",
    )


def test_a_reveal_counts_once_for_its_own_account_in_its_own_round():
    attack()


if __name__ == "__main__":
    tell(attack)
