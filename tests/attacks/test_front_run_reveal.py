"""Front-run reveal.

Mallory sees Alice's reveal on its way and sends the same bytes first from her own account, or another bid for Alice's
place. She hopes that Alice's own reveal then fails and her bond is lost. Only the account that committed can reveal for
its index. (docs/protocol.md §2, IMarket.reveal)
"""

from dataclasses import replace

from tests.attacks.play import BID, MODEL, SALT, SKETCH, Game, Story, Town, refused, tell


def attack() -> Story:
    town = Town()
    game = Game(town).enter(town.alice, town.bob, town.mallory).draw()
    seed = town.alice.state(game.number).seed
    rest = (SALT, MODEL, SKETCH, b"\7" * 80)
    reveal = town.mallory.reveal
    names = {
        refused(reveal, game.number, 0, seed, BID, *rest),
        refused(reveal, game.number, 0, seed, replace(BID, value=0), *rest),
        refused(town.erin.reveal, game.number, 0, seed, BID, *rest),  # who did not even commit
        refused(reveal, game.number, 1023, seed, BID, *rest),  # nobody's place
        refused(reveal, game.number, 1 << 200, seed, BID, *rest),
    }
    assert names == {"NotTheParticipant"}
    gas = game.reveal_one(0).gas  # Alice's own still counts
    assert game.round.participants[0].reveal.bid == BID
    return Story(f"NotTheParticipant; Alice's own reveal ({gas:,} gas) counts as if nothing had been", "gas only")


def test_nobody_reveals_in_anothers_place():
    attack()


if __name__ == "__main__":
    tell(attack)
