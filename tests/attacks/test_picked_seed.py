"""Seed picked by the caller.

Mallory wants a seed under which her model's sketch looks like everybody's. She draws in one transaction, or waits for
a block whose hash suits her, or lets the chain forget the hash and draws again. The first call fixes a block whose
hash does not exist yet; any later call takes that hash, whoever makes it and whenever; once it is drawn it stays.
Only if *nobody else* calls for 256 blocks can she draw again. (docs/protocol.md §2, Seed; SECURITY.md, What a block
proposer can do)
"""

from eth_utils import keccak

from market_node.codec import seed as seed_of
from tests.attacks.play import PHASE, SALT, SKETCH, Game, Story, Town, refused, tell


def attack() -> Story:
    town = Town()
    game = Game(town).enter(town.alice, town.bob, town.mallory)
    early = refused(town.mallory.draw_seed, game.number)  # a seed that is known before commits close
    assert early == "WrongPhase"
    town.devnet.warp(PHASE)
    call = town.mallory.draw_seed(game.number)
    chosen, gas = town.alice.state(game.number).seed_block, call.gas
    assert chosen == call.block, "the call's own block, which has no hash yet while the call runs"

    # She sees the hash now, does not like it, and asks again: who asks, when and how often makes no difference.
    for _ in range(5):
        town.devnet.warp(1)
    due = seed_of(town.alice.endpoint.block_hash(chosen), game.number)
    gas += town.mallory.draw_seed(game.number).gas
    assert town.alice.state(game.number).seed == due
    again = refused(town.mallory.draw_seed, game.number)
    mine = (keccak(b"mine"), game.players[2].bid, SALT, game.players[2].model, SKETCH, b"")
    made_up = refused(town.mallory.reveal, game.number, 2, *mine)
    assert (again, made_up) == ("SeedAlreadyDrawn", "WrongSeed")

    # The one way to a second throw: the chain forgets the first, and nobody else has called in all that time.
    blocks = second_throw()
    return Story(
        f"{early} before commits close, then the hash of a block chosen before it existed; {again}, {made_up}",
        f"{gas:,} gas for both calls; another throw takes {blocks} blocks in which nobody else draws",
    )


def second_throw() -> int:
    """Blocks until the seed's block is forgotten."""
    town = Town()
    game = Game(town).enter(town.alice, town.bob)
    town.devnet.warp(PHASE)
    town.mallory.draw_seed(game.number)
    first = town.alice.state(game.number).seed_block
    while town.devnet.pending().block_number - first <= 256:
        town.devnet.warp(0)
    town.mallory.draw_seed(game.number)
    state = town.alice.state(game.number)
    assert state.seed == bytes(32) and state.seed_block > first, "chosen anew, nothing drawn"
    town.alice.draw_seed(game.number)  # anybody's call, in any later block, ends it
    assert town.alice.state(game.number).seed == seed_of(town.alice.endpoint.block_hash(state.seed_block), game.number)
    return state.seed_block - first


def test_whoever_calls_draws_the_same_seed():
    attack()


if __name__ == "__main__":
    tell(attack)
