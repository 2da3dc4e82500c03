"""An escrow filled to the brim.

An escrow holds at most 2**96 - 1 base units, so that a balance and an account share a word. Mallory, where the token
has more units than that, funds nearly all of it and leaves it there: nobody else can fund. She touches nobody's
balance, and those who are in can play, be paid and withdraw. A market's token should have fewer than 2**96 base units
(7.9 * 10**28; with 18 decimals 79 thousand million tokens). (docs/protocol.md §3: amounts are below 2**96)
"""

from market_node.deploy import mint
from tests.attacks.play import FORTUNE, Game, Story, Town, refused, tell

BRIM = (1 << 96) - 1


def attack() -> Story:
    town = Town()
    before = town.wealth("operator", "alice", "bob")
    for name in ("mallory", "carol"):
        town.people[name] = person = town.newcomer()
        mint(town.devnet.provider, town.devnet.accounts[0], town.deployment.token, person.account, BRIM)
    room = BRIM - sum(before.values())
    gas = town.mallory.fund(room).gas
    name = refused(town.carol.fund, 1)
    assert name == "TooMuchHeld"

    # Who is in is not touched: a round is played, paid and withdrawn.
    game = Game(town).enter(town.alice, town.bob).draw().reveal().settle().close().pay_out()
    assert town.alice.pot(game.number) == 0
    town.bob.withdraw(FORTUNE // 2)
    town.carol.fund(FORTUNE // 2)  # what one leaves, another can take
    assert town.is_solvent()
    town.mallory.withdraw(room)  # at any time
    town.carol.fund(FORTUNE)
    return Story(
        f"**it works** with a token of that many units: {name} for everybody else who funds; nothing that is inside is "
        "touched",
        f"{room / 2**96:.0%} of 2**96 base units for as long as it is to last, and {gas:,} gas",
    )


def test_a_full_escrow_keeps_others_out_and_touches_nobody():
    attack()


if __name__ == "__main__":
    tell(attack)
