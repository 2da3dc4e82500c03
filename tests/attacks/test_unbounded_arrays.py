"""Unbounded arrays.

Mallory sends more of everything than anybody needs: rows, exclusions, lists, sketches, keys. She hopes for a loop
that grows with what she sends, so that others' calls no longer fit into a transaction. Every array that is stored or
looped over later has a length of its own; only the wrapped key in a reveal's log is as long as its sender pays for,
and nothing on chain reads it again. (docs/protocol.md §9, IMarket.sol)
"""

from dataclasses import replace

from market_node.contracts import Contract
from market_node.errors import Reverted
from market_node.judge import proof
from market_node.settlement import reveals_hash, settle
from tests.attacks.play import BID, MODEL, SALT, SKETCH, Game, Story, Town, plain_round, refused, tell
from tests.evm import MALLORY, OPERATOR, Evm, attempt

KEY = 100_000
"""Bytes of a wrapped key; the right one has 80."""


def of_the_aggregator() -> set[str]:
    """What it gets for rows and exclusions that are too many."""
    evm = Evm(3)
    round_ = evm.play(plain_round(3, max_sellers=2))
    market = Contract("Market", evm.market)
    rows = b"\0" * 3
    tries = (
        ([0], rows + bytes(10_000)),  # bytes left over
        ([0], rows[:2]),
        ([0], bytes([3]) + bytes(3 * 14) + b"\0\0"),  # a row longer than maxSellers
        ([0], bytes([255]) * 3),
        ([0] * 1_000, rows),
        ([], rows),
        ([1 << 3], rows),  # an exclusion beyond the last participant
    )
    names = set()
    for excluded, posted in tries:
        try:
            evm.send(OPERATOR, market("settle", round_.number, reveals_hash(round_), excluded, posted, bytes(32)))
            names.add("")
        except Reverted as error:
            names.add(error.name)
    return names


def of_the_challenger() -> set[str]:
    """What it gets for a list, row hashes or exclusions that are too many."""
    evm = Evm(4)
    round_ = evm.play(plain_round(4, max_sellers=1))
    round_ = evm.settle(round_, settle(round_, frozenset()))
    true = proof(round_, 0)
    return {
        attempt(evm, MALLORY, round_.number, replace(true, listed=true.listed * 500)),
        attempt(evm, MALLORY, round_.number, replace(true, row_hashes=true.row_hashes * 500)),
        attempt(evm, MALLORY, round_.number, replace(true, excluded=(0,) * 1_000)),
    }


def attack() -> Story:
    assert of_the_aggregator() == {"MalformedRows", "MalformedExclusions"}
    assert of_the_challenger() == {"ListTooLong", "WrongSettlement"}

    town = Town()
    game = Game(town).enter(town.alice, town.bob, town.mallory).draw()
    small = game.reveal_one(0).gas
    game.reveal_one(1)
    seed = town.alice.state(game.number).seed
    long_sketch = (game.number, 2, seed, BID, SALT, MODEL, SKETCH * 50, b"")
    assert refused(town.mallory.reveal, *long_sketch) == "InvalidSketch"
    large = game.reveal_one(2, b"\7" * KEY).gas
    game.close().settle()
    rate = town.alice.rate(game.number, 0, 75).gas
    game.close()
    paid = town.alice.pay_out(game.number, *game.posted, 0, 3).gas
    assert len(game.round.participants[2].reveal.sealed_key) == KEY

    plain = Town()
    other = Game(plain).enter(plain.alice, plain.bob, plain.mallory).draw().reveal().settle()
    assert plain.alice.rate(other.number, 0, 75).gas == rate
    other.close()
    assert abs(plain.alice.pay_out(other.number, *other.posted, 0, 3).gas - paid) < 200  # zero bytes in calldata differ
    return Story(
        "MalformedRows, MalformedExclusions, ListTooLong, WrongSettlement, InvalidSketch; nobody else pays more",
        f"a wrapped key of {KEY:,} bytes makes her own reveal {large:,} gas instead of {small:,}",
    )


def test_nobody_pays_for_what_another_sends():
    attack()


if __name__ == "__main__":
    tell(attack)
