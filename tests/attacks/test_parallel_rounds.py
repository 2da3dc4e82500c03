"""One reputation spent in many rounds at once.

A reveal takes the reputation of that moment, and what a round shows of an account counts only after its payout.
Mallory, who has earned a reputation, enters many rounds of one aggregator that overlap, with a model that is worth
nothing, and is believed in all of them as if each were the first. Played one after the other, each would have halved
what the next one believes. An aggregator that has one round at a time, and payouts before the next reveals, leaves no
room for it. (docs/protocol.md §8: the value used is the one emitted at reveal)
"""

from market_node.mechanism import gain
from market_node.records import LEAST_REPUTATION, ONE
from market_node.settlement import reputation_after
from tests.attacks.play import BID, Game, Story, Town, tell

ROUNDS = 2


def believed_in() -> list[int]:
    """On chain: Mallory's reputation in each of two rounds that overlap, and after both."""
    town = Town()
    people = [town.mallory, town.alice, town.bob, town.carol]
    honest = Game(town).enter(*people).draw().reveal().settle()
    for index, person in enumerate(people):
        person.rate(honest.number, index, 100)
    honest.close().pay_out()
    earned = town.alice.reputation(town.operator.account, town.mallory.account)
    assert earned == LEAST_REPUTATION * 3 // 2

    games = [Game(town).enter(town.mallory, town.alice, town.bob) for _ in range(ROUNDS)]
    games[0].draw()
    for game in games[1:]:
        town.operator.draw_seed(game.number)
        town.operator.draw_seed(game.number)
    for game in games:
        for index in range(3):
            game.reveal_one(index)
    town.devnet.warp(600)
    for game in games:
        game.settle(excluded=frozenset({0}))  # her model was nothing
    town.devnet.warp(600)
    for game in games:
        game.pay_out()
    seen = [game.round.participants[0].reveal.reputation for game in games]
    after = town.alice.reputation(town.operator.account, town.mallory.account)
    assert seen == [earned] * ROUNDS
    assert after == LEAST_REPUTATION
    assert town.is_solvent()
    return seen


def sold(reputation: int) -> int:
    """What a model of nothing brings at most from one plain buyer, if a reputation of 1 is believed 3,200 samples."""
    return gain(BID.value, BID.samples, 3_200 * reputation // ONE)


def attack() -> Story:
    believed_in()
    lines, ratios = [f"{'rounds':>7} {'one after the other':>20} {'at once':>12}"], {}
    for rounds in (1, 2, 5, 20):
        reputation, in_turn = ONE, 0
        for _ in range(rounds):
            in_turn += sold(reputation)
            reputation = reputation_after(reputation, missing=False, ratings=[0, 0, 0])
        at_once = rounds * sold(ONE)
        ratios[rounds] = at_once / in_turn
        lines.append(f"{rounds:>7} {in_turn:>20,} {at_once:>12,}")
    assert ratios[1] == 1
    assert ratios[2] > 1 and ratios[20] > ratios[5] > ratios[2]
    return Story(
        f"**it works**: {ROUNDS} rounds of one aggregator that overlap believe the same reputation; one of 1 brings "
        f"× {ratios[5]:.1f} in five at once of what it brings in five in turn, × {ratios[20]:.1f} in twenty",
        "the reputation, which ends at 1/32 either way, and a fee or reveal bond in each round",
        "\n".join(lines),
    )


def test_rounds_that_overlap_believe_the_same_reputation():
    attack()


if __name__ == "__main__":
    tell(attack)
