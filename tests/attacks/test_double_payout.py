"""Double payOut.

Mallory asks for her payment again: the same span, spans that overlap, one after the other and in any order, and after
everybody was paid. She hopes to be credited twice, or that the last one finds the pot empty. Each participant is paid
once, by a flag of its own, and the round's pot is all that the round can spend. (docs/protocol.md §7; IMarket.payOut)
"""

from tests.attacks.play import Game, Story, Town, refused, tell

SPANS = ((2, 4), (2, 4), (0, 3), (3, 4), (0, 4), (0, 4), (1, 2))


def play(town: Town, *spans: tuple[int, int]) -> dict[str, int]:
    """What a round of four brings everybody when it is paid out in these spans."""
    people = [town.alice, town.bob, town.carol, town.mallory]
    town.operator.available(town.operator.account)
    before = town.wealth()
    game = Game(town).enter(*people).draw().reveal().settle().close()
    game.pay_out(*spans)
    assert town.operator.pot(game.number) == 0
    assert town.is_solvent()
    return town.gains(before)


def attack() -> Story:
    once = play(Town(), (0, 4))
    town = Town()
    again = play(town, *SPANS)
    assert once == again
    # Void rounds have flags too.
    before = town.wealth()
    void = Game(town).enter(town.alice, town.mallory).close()
    void.close()
    for span in ((1, 2), (1, 2), (0, 2), (0, 2), (0, 0)):
        town.mallory.refund(void.number, *span)
    assert town.gains(before) == {}
    empty = refused(town.mallory.refund, void.number, 0, 3)
    assert empty == "WrongRange"
    gas = town.mallory.refund(void.number, 0, 2).gas
    return Story(
        "every balance is what one payment gives, in any order of spans", f"{gas:,} gas for a call that pays nobody"
    )


def test_everybody_is_paid_once():
    attack()


if __name__ == "__main__":
    tell(attack)
