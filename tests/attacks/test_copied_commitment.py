"""Copied commitment of another account.

Mallory copies Alice's sealed bid and model from her commit, and waits for Alice to open them, so as to bid exactly what
Alice bids without having thought, or trained, for it. The seal names the account that made it, so that nobody else can
open it. (docs/protocol.md §9, §11)
"""

from market_node.codec import seal_bid
from tests.attacks.play import BID, DEPOSIT, MODEL, SALT, SKETCH, Game, Story, Town, refused, tell


def attack() -> Story:
    town = Town()
    game = Game(town).enter(town.alice, town.bob)
    before = town.wealth() | {"mallory": town.mallory.available(town.mallory.account)}
    copied = seal_bid(town.alice.market, town.alice.chain_id, game.number, town.alice.account, BID, SALT)
    assert copied == game.round.participants[0].sealed_bid, "what stands in Alice's commit"
    town.mallory.commit(game.number, copied, MODEL, DEPOSIT)
    game.draw()
    game.reveal_one(0)
    game.reveal_one(1)  # Mallory has seen the bid and the salt now
    seed = town.alice.state(game.number).seed
    name = refused(town.mallory.reveal, game.number, 2, seed, BID, SALT, MODEL, SKETCH, b"\7" * 80)
    assert name == "WrongSeal"

    game.close()
    game.players.append(game.players[0])
    game.settle().close().pay_out()
    bond, fee = game.terms.reveal_bond, game.terms.fee
    gains = town.gains(before)
    assert gains["mallory"] == -bond
    # Half of her bond goes to each of the two that revealed, who bought from each other at one price.
    assert gains["alice"] == gains["bob"] == DEPOSIT - fee + bond // 2
    assert town.is_solvent()
    return Story(f"{name}", f"the reveal bond, {-gains['mallory']:,} units, which goes to those who revealed")


def test_a_copied_commitment_cannot_be_opened():
    attack()


if __name__ == "__main__":
    tell(attack)
