"""A bond so large that nobody can afford to challenge.

A challenger locks a thirty-second of the aggregator's bond, and a bond has a least amount but no most. Mallory, who
is rich, opens a round with a bond of more than 32 times what any auditor holds, settles it so that every buyer's
deposit goes to her accomplice, and waits. Everybody can see the theft, nobody can pay for the challenge, and her bond
comes back whole. This works. ("One honest auditor is enough" in SECURITY.md holds only for an auditor that
has bond / 32. Until the contracts cap the challenger's part, a participant should stay away from a bond far above 16
reveal bonds.)
"""

from market_node.chain import Phase
from market_node.deploy import mint
from market_node.judge import wrong_rows
from market_node.records import Purchase
from tests.attacks.play import DEPOSIT, FORTUNE, Game, Story, Town, refused, tell

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

    # With this one nobody can, though everybody sees it.
    before = town.wealth()
    game = play(town, (FACTOR - 1) * FORTUNE)
    assert wrong_rows(game.round)[:3] == (0, 1, 2)
    names = {refused(game.challenge, person, 0) for person in [*auditors, town.alice, town.bob, town.carol]}
    assert names == {"NotEnoughAvailable"}
    game.close()
    assert town.alice.phase(game.number) == Phase.PAYOUT
    game.pay_out()
    gains = town.gains(before)
    loot = gains["accomplice"] + gains["mallory"]
    victims = [gains[name] for name in ("alice", "bob", "carol")]
    assert loot == -sum(victims) > 3 * (DEPOSIT - 2 * game.terms.reveal_bond)
    assert town.is_solvent()
    return Story(
        f"**it works**: all five who try to challenge get NotEnoughAvailable, and {loot:,} units of three "
        f"buyers go to the accomplice ({loot / sum((DEPOSIT,) * 3):.0%} of their deposits)",
        f"a bond of more than 32 times what any auditor holds (here {FACTOR - 1}), locked for the round and returned "
        "in full; with the least bond the same theft costs her the bond",
    )


def test_one_auditor_is_enough_only_if_it_can_pay_for_a_challenge():
    attack()


if __name__ == "__main__":
    tell(attack)
