"""payOut with rows of another round.

Mallory brings to the payout rows that were never settled in this round: another round's, the settled ones with one
price raised, one byte more, or the same rows with other exclusions. She hopes to be paid from them. A round stores
the hash of exclusions and rows together, and nothing else is accepted. (docs/protocol.md §9, settlement)
"""

from market_node.codec import encode_excluded, encode_rows
from market_node.records import Purchase
from tests.attacks.play import BID, Game, Story, Town, refused, tell


def attack() -> Story:
    town = Town()
    people = [town.alice, town.bob, town.mallory]
    other = Game(town).enter(*people, value=2 * BID.value).draw().reveal().settle()
    game = Game(town).enter(*people).draw().reveal().settle().close()
    rows, words = game.posted
    assert other.posted[0] != rows
    dear = game.true_rows()
    dear[0] = (Purchase(2, dear[0][0].price + 1), *dear[0][1:])
    before, pot = town.wealth(), town.alice.pot(game.number)

    tries = (
        (other.posted[0], words),
        (encode_rows(dear), words),
        (rows + b"\0", words),
        (rows[:-1], words),
        (b"", words),
        (rows, encode_excluded({0}, 3)),
        (rows, ()),
        (rows, (*words, 0)),
    )
    names = {refused(town.mallory.pay_out, game.number, *t, 0, 3) for t in tries}
    assert names == {"WrongSettlement"}
    assert (town.wealth(), town.alice.pot(game.number)) == (before, pot)
    game.pay_out()
    assert town.is_solvent()
    return Story(f"WrongSettlement, {len(tries)} of {len(tries)} times", "gas only")


def test_only_the_settled_rows_are_paid():
    attack()


if __name__ == "__main__":
    tell(attack)
