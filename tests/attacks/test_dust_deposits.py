"""Deposits too small to matter that fill a round.

Mallory enters with as many accounts as the round has places, each with the least deposit, so that nobody else gets
in. If she lets others in and stays silent, they share her reveal bonds; if she reveals, she pays the fee once per
account. But where *nobody* reveals all deposits return: a round that she alone has filled costs her gas and the time
of her money. (docs/protocol.md §7, Void without fault. An aggregator's answer: another round, and a fee and reveal
bond that make places dear to hold.)
"""

from market_node.chain import Chain
from market_node.records import NOT_SELLING, Bid
from tests.attacks.play import Game, Story, Town, refused, tell

PLACES = 8


def fill(game: Game, sybils: list[Chain]) -> int:
    """The least deposit for each. Returns the gas."""
    least = game.terms.fee + game.terms.reveal_bond + game.terms.max_sellers
    nothing = Bid(value=0, cost=NOT_SELLING, samples=1, min_reputation=0)
    return sum(game.commit(sybil, nothing, deposit=least).gas for sybil in sybils)


def attack() -> Story:
    town = Town()
    sybils = town.many("mallory", PLACES)
    alice, bob = town.alice, town.bob
    before = town.wealth()

    # She was first: no place is left, nothing is revealed, everything returns.
    full = Game(town, changes={"max_participants": PLACES})
    gas = fill(full, sybils)
    name = refused(full.commit, alice)
    full.draw().close()
    full.refund()
    assert name == "RoundFull"
    assert town.gains(before) == {}

    # Two honest ones were quicker: those who stay silent pay them.
    shared = Game(town, changes={"max_participants": PLACES}).enter(alice, bob)
    fill(shared, sybils[2:])
    shared.draw().reveal(0, 1).settle().close().pay_out()
    silent = town.gains(before)
    bond = shared.terms.reveal_bond
    assert {silent[f"mallory{i}"] for i in range(2, PLACES)} == {-bond}
    lost = (PLACES - 2) * bond
    assert silent["alice"] == silent["bob"] == lost // 2 - shared.terms.fee

    # And those who reveal pay the aggregator.
    before = town.wealth()
    paid = Game(town, changes={"max_participants": PLACES}).enter(alice, bob)
    fill(paid, sybils[2:])
    paid.draw().reveal().settle().close().pay_out()
    assert {town.gains(before)[f"mallory{i}"] for i in range(2, PLACES)} == {-paid.terms.fee}
    assert town.is_solvent()
    return Story(
        "a round that one filled alone is void and returns everything; as soon as two others are in, a silent place "
        "pays them and a revealed one the aggregator",
        f"alone: {gas // PLACES:,} gas a place, and the deposits' time; else a reveal bond ({bond:,}) or a fee "
        f"({paid.terms.fee:,}) a place",
    )


def test_a_filled_round_costs_the_others_nothing():
    attack()


if __name__ == "__main__":
    tell(attack)
