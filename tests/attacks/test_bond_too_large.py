"""A bond so large that nobody can afford to challenge.

A challenger locks a part of the aggregator's bond, and a bond has a least amount but no most. Mallory, who is rich,
opens a round with a bond of more than 32 times what any auditor holds and settles it so that every buyer's deposit goes
to her accomplice: everybody would see the theft, and nobody could pay for the challenge. It fails, because a challenger
never locks more than a reveal bond (docs/protocol.md, 14), which whoever joined the round could afford; and the larger
her bond, the more she loses.
"""

from market_node.chain import Phase
from market_node.deploy import mint
from market_node.judge import wrong_rows
from market_node.records import Purchase
from tests.attacks.play import DEPOSIT, FORTUNE, Game, Story, Town, tell

FACTOR = 64
"""Her bond, in fortunes of anybody else."""


def play(town: Town, bond: int) -> Game:
    """A round that Mallory settles for her accomplice."""
    game = Game(town, town.mallory, changes={"bond": bond})
    game.enter(town.alice, town.bob, town.carol, town.accomplice).draw().reveal()
    rows = []
    for buyer, row in enumerate(game.true_rows()):
        room = DEPOSIT - game.terms.fee - game.terms.reveal_bond
        rows.append((Purchase(3, room),) if buyer < 3 else row)
    return game.settle(rows)


def attack() -> Story:
    town = Town()
    auditors = [town.victor, town.wendy]
    mint(town.devnet.provider, town.devnet.accounts[0], town.deployment.token, town.mallory.account, FACTOR * FORTUNE)
    town.mallory.fund(FACTOR * FORTUNE)
    before = town.wealth("alice", "bob", "carol", "accomplice", "victor", "wendy", "mallory")

    # With a bond as large as the rules ask for, one challenge is enough.
    modest = play(town, 16 << 20)
    modest.challenge(auditors[0], 0)
    modest.close().close()
    modest.refund()
    town.alice.refund_challenge(modest.number, 0)
    assert town.gains(before)["mallory"] == -(16 << 20)
    assert min(town.gains(before)[name] for name in ("alice", "bob", "carol")) > 0

    # With this one it is enough too, and what it locks is a reveal bond.
    before = town.wealth()
    game = play(town, (FACTOR - 1) * FORTUNE)
    assert wrong_rows(game.round)[:3] == (0, 1, 2)
    game.challenge(auditors[0], 0)
    locked = -town.gains(before)["victor"]
    assert locked == game.terms.reveal_bond < game.terms.bond // 32
    game.close().close()
    assert town.alice.phase(game.number) == Phase.VOID
    game.refund()
    town.alice.refund_challenge(game.number, 0)
    gains = town.gains(before)
    assert gains["mallory"] == -game.terms.bond
    assert min(gains[name] for name in ("alice", "bob", "carol", "victor")) > 0
    assert town.is_solvent()
    return Story(
        f"one challenge of {locked:,} units, a reveal bond and not the {game.terms.bond // 32:,} that are a "
        "thirty-second of hers, voids the round",
        "the whole bond",
    )


def test_one_auditor_is_enough_however_large_the_bond():
    attack()


if __name__ == "__main__":
    tell(attack)
