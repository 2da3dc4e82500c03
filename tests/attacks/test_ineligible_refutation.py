"""Refutation by an ineligible seller.

The aggregator has overcharged Alice by one unit; Victor's challenge is true. Mallory, its friend, tries to close it
with every seller that does *not* belong into Victor's list: one that does not sell, is excluded, resembles Alice in
nothing, asks more than it is worth, did not reveal, is listed already or comes after all who are, Alice herself, and
a record with a better offer than was revealed. If one passed, any theft would stand. (docs/protocol.md §14, Lemma 2)
"""

from dataclasses import replace

from market_node.codec import encode_excluded, rows_hash
from market_node.judge import BidRecord, Refutation, refutation
from market_node.records import NOT_SELLING
from tests.attacks.play import BID, MODEL, SKETCH, Game, Story, Town, refused, tell

OPPOSITE = bytes([255]) * len(SKETCH)


def attack() -> Story:
    town = Town()
    game = Game(town, changes={"max_sellers": 1, "max_participants": 10})
    game.enter(town.alice, cost=NOT_SELLING)
    game.enter(town.bob, cost=1_000).enter(town.carol, cost=2_000)  # the candidate, and the one left out
    game.enter(town.dave, cost=NOT_SELLING)
    game.enter(town.erin)  # will be excluded
    game.commit(town.frank, BID, sketch=OPPOSITE)
    game.enter(town.grace, cost=BID.value)  # dearer than what any model is worth to Alice
    game.enter(town.heidi, cost=3_000)  # eligible, but after the one left out
    game.enter(town.ivan)  # will not reveal
    game.draw().reveal(*range(8))
    rows = game.true_rows(frozenset({4}))
    rows[0] = (replace(rows[0][0], price=rows[0][0].price + 1),)
    game.settle(rows, frozenset({4}))
    gas = game.challenge(town.victor, 0).gas
    round_ = game.round
    claim = round_.challenges[0].claim
    assert claim.listed == (1, 2)
    assert refutation(round_, claim) is None

    alice = game.record(0)
    words = (game.posted[1], rows_hash(round_.settlement.rows))
    unrevealed = BidRecord(8, BID, 2_048, MODEL, SKETCH)
    better = game.record(7)
    better = replace(better, bid=replace(better.bid, cost=0))
    tries = {
        "does not sell": game.record(3),
        "is excluded": game.record(4),
        "resembles her in nothing": game.record(5),
        "asks too much": game.record(6),
        "is the buyer": alice,
        "is listed first": game.record(1),
        "is listed last": game.record(2),
        "comes after": game.record(7),
        "did not reveal": unrevealed,
        "is better than revealed": better,
    }
    names = {
        why: refused(town.mallory.refute, game.number, 0, Refutation(claim, alice, seller, *words))
        for why, seller in tries.items()
    }
    assert list(names.values()) == 5 * ["NotEligible"] + 3 * ["NotLeftOut"] + 2 * ["WrongRecord"]

    # Nor does another claim, another buyer or another settlement help.
    bob, honest = game.record(1), Refutation(claim, alice, game.record(7), *words)
    assert refused(town.mallory.refute, game.number, 0, replace(honest, buyer=bob)) == "WrongRecord"
    short = replace(claim, listed=claim.listed[:1])
    assert refused(town.mallory.refute, game.number, 0, replace(honest, claim=short)) == "WrongClaim"
    nobody = encode_excluded(frozenset(), 9)
    assert refused(town.mallory.refute, game.number, 0, replace(honest, excluded=nobody)) == "WrongSettlement"
    right = rows_hash(game.true_rows(frozenset({4})))
    assert right != words[1]
    assert refused(town.mallory.refute, game.number, 0, replace(honest, rows_hash=right)) == "WrongSettlement"

    before = town.wealth()
    game.close().close()
    game.refund()
    town.mallory.refund_challenge(game.number, 0)
    bond = game.terms.bond
    assert town.gains(before)["victor"] == bond // 32 + bond // 4
    assert town.is_solvent()
    return Story(
        f"{len(names) + 4} of {len(names) + 4} refutations of a true challenge refused by name; the round is void and "
        "the challenger is paid",
        f"gas only; the true challenge took {gas:,} gas and earned {bond // 4:,} units",
    )


def test_nobody_refutes_what_is_true():
    attack()


if __name__ == "__main__":
    tell(attack)
