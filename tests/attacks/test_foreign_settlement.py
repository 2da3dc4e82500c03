"""A settlement by somebody else, of other reveals, or a second one.

Mallory settles the round before its aggregator does, so that her rows are the ones that count; or the aggregator
settles by reveals that the chain no longer has, or once more when the first settlement turns out dear. Only the
aggregator settles, once, and names the running hash of the reveals it has computed from. (docs/protocol.md §9;
IMarket.settle)
"""

from market_node.codec import NO_REVEALS, encode_excluded, encode_rows
from market_node.settlement import reveals_hash
from tests.attacks.play import Game, Story, Town, refused, tell


def attack() -> Story:
    town = Town()
    game = Game(town).enter(town.alice, town.bob, town.mallory).draw()
    game.reveal_one(0)
    game.reveal_one(1)
    stale = reveals_hash(game.round)
    game.reveal_one(2)
    game.close()
    rows, words = encode_rows(game.true_rows()), encode_excluded((), 3)
    known = reveals_hash(game.round)

    def settle(chain, seen: bytes) -> str:
        return refused(chain.settle, game.number, seen, words, rows, bytes(32))

    others = {settle(person, known) for person in (town.mallory, town.alice)}
    wrong = {settle(town.operator, seen) for seen in (stale, NO_REVEALS, b"\xff" * 30)}
    game.settle()
    before = game.round.settlement
    again = settle(town.operator, known)
    assert (others, wrong, again) == ({"NotTheAggregator"}, {"WrongRevealsHash"}, "WrongPhase")
    assert game.round.settlement == before
    game.close().pay_out()
    assert town.is_solvent()
    return Story(f"{', '.join([*others, *wrong, again])}", "gas only")


def test_a_round_is_settled_once_by_its_aggregator_from_its_reveals():
    attack()


if __name__ == "__main__":
    tell(attack)
