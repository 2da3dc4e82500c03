"""An aggregator that excludes a competitor, or lets a sketch pass that no model has.

Mallory runs the round and has a seller of her own in it. She excludes the honest seller who is cheaper, for a reason
that she makes up; or her seller waits until the buyer has revealed, and reveals the buyer's own sketch, so that it
resembles it fully. Who opens the models decides both, and only she does: the judge takes exclusions and sketches as
they are. This works, and is said to. (SECURITY.md, What an aggregator can do: participants choose whose rounds they
join)
"""

from dataclasses import replace

from market_node.judge import proof, record
from market_node.records import NOT_SELLING, ONE, Bid, Round
from market_node.settlement import payout, settle
from market_node.sketch import similarity
from tests.attacks.play import BID, SKETCH, Story, plain_round, tell
from tests.evm import AUDITOR, PHASE, Evm, account, attempt

ALICE, BOB, ACCOMPLICE = range(3)
"""The buyer, the honest seller, and hers."""

UNLIKE = bytes([1, 255]) * (len(SKETCH) // 2)
"""The sketch of what the accomplice really has: at a right angle to Alice's."""


def seats(accomplices_cost: int, sketch: bytes) -> tuple[Evm, Round]:
    evm = Evm(3)
    plain = plain_round(3, max_sellers=2)
    one = plain.participants[0]
    bids = (
        replace(BID, cost=NOT_SELLING),
        Bid(value=0, cost=1_000, samples=100, min_reputation=0),
        Bid(value=0, cost=accomplices_cost, samples=100, min_reputation=0),
    )
    players = [replace(one, reveal=replace(one.reveal, bid=bid)) for bid in bids]
    players[ACCOMPLICE] = replace(players[ACCOMPLICE], reveal=replace(players[ACCOMPLICE].reveal, sketch=sketch))
    return evm, evm.play(replace(plain, participants=tuple(players)))


def play(accomplices_cost: int, sketch: bytes, excluded: frozenset[int]) -> list[int]:
    """What the three gain. No challenge opens: by what the chain knows the settlement is right."""
    evm, round_ = seats(accomplices_cost, sketch)
    before = [evm.available(account(index)) for index in range(3)]
    round_ = evm.settle(round_, settle(round_, excluded))
    true = proof(round_, ALICE)
    assert attempt(evm, AUDITOR, round_.number, true) == "RowIsRight"
    if excluded:
        with_bob = replace(true, listed=(record(round_, BOB), *true.listed))
        assert attempt(evm, AUDITOR, round_.number, with_bob) == "NotEligible"
    evm.warp(PHASE)
    evm.pay_out(round_)
    assert evm.pot(round_.number) == 0
    due = payout(round_, round_.settlement)
    gains = [evm.available(account(index)) - was for index, was in enumerate(before)]
    assert gains == list(due.credits)
    return [gain - each.deposit for gain, each in zip(gains, round_.participants, strict=True)]


def attack() -> Story:
    terms = plain_round(3).terms
    dear = BID.value // 5
    fair, foul = play(dear, SKETCH, frozenset()), play(dear, SKETCH, frozenset({BOB}))
    assert fair[ACCOMPLICE] == -terms.fee, "beside Bob nobody buys from it"
    assert foul[BOB] == -terms.reveal_bond
    assert foul[ACCOMPLICE] > dear

    true, false = play(1_000, UNLIKE, frozenset()), play(1_000, SKETCH, frozenset())
    assert similarity([SKETCH, UNLIKE], terms.similarity_floor)[0][1] == 0
    assert similarity([SKETCH, SKETCH], terms.similarity_floor)[0][1] == ONE
    assert true[ACCOMPLICE] == -terms.fee
    assert false[ACCOMPLICE] > 0
    return Story(
        f"**it works**: excluding Bob brings her seller {foul[ACCOMPLICE]:,} units instead of {fair[ACCOMPLICE]:,} and "
        f"costs Bob his reveal bond; under Alice's own sketch it sells nothing at all for {false[ACCOMPLICE]:,}. No "
        "challenge opens",
        "nothing on chain; exclusions and their reasons are public, what is behind a sketch is not",
    )


def test_exclusions_and_sketches_are_the_aggregators_word():
    attack()


if __name__ == "__main__":
    tell(attack)
