"""Rejections by who bought nothing.

A buyer that rejects its delivery loses price, fee and reveal bond, so that a rejection means something, and nodes
avoid aggregators that collect them. Mallory enters with accounts that buy nothing and rejects with each: the contract
logs `DeliveryRejected` all the same, and it costs her the fee that everybody pays. Whoever counts rejections has to
count those of rows that are not empty, as the payout does. (docs/protocol.md §7)
"""

from market_node.records import Bid
from market_node.settlement import counted_rows
from tests.attacks.play import BID, DEPOSIT, Game, Story, Town, tell

SYBILS = 4
NOTHING = Bid(value=0, cost=(1 << 96) - 1, samples=1, min_reputation=0)


def attack() -> Story:
    town = Town()
    game = Game(town).enter(town.alice, town.bob)
    game.enter(town.carol, value=2 * BID.value)  # who rejects what she bought
    sybils = town.many("mallory", SYBILS)
    before = town.wealth()
    before |= {name: before[name] + DEPOSIT for name in ("alice", "bob", "carol")}
    for sybil in sybils:
        game.commit(sybil, NOTHING)
    game.draw().reveal().settle()
    for index, sybil in enumerate(sybils, 3):
        sybil.reject(game.number, index)
    town.carol.reject(game.number, 2)
    game.close().pay_out()

    round_, terms = game.round, game.terms
    rejected = [index for index, each in enumerate(round_.participants) if each.rejected]
    meant = [index for index in rejected if counted_rows(round_, round_.settlement)[index]]
    assert (rejected, meant) == ([2, 3, 4, 5, 6], [2])
    gains = town.gains(before)
    assert [gains[f"mallory{i}"] for i in range(SYBILS)] == [-terms.fee] * SYBILS
    carols = sum(purchase.price for purchase in round_.settlement.rows[2])
    sold = sum(p.price for buyer in (0, 1) for p in round_.settlement.rows[buyer] if p.seller == 2)
    assert gains["carol"] == sold - carols - terms.fee - terms.reveal_bond
    assert town.alice.burnt() == carols + terms.fee + terms.reveal_bond
    assert town.is_solvent()
    return Story(
        f"**it works** on whoever counts events: {len(rejected)} rejections are logged, {len(meant)} of a delivery; "
        "the rows tell which, and no money but the fee moves",
        f"a fee ({terms.fee:,} units) for each; a rejection of a delivery cost {-gains['carol'] + sold:,}",
    )


def test_a_rejection_without_a_purchase_burns_nothing():
    attack()


if __name__ == "__main__":
    tell(attack)
