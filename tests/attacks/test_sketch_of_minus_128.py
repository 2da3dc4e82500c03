"""Sketches with bytes of -128, of zeros, and of the largest products there are.

No model has a sketch with a byte of -128, but a reveal may hold one. Mallory hopes that Solidity's lanes and Python's
integers disagree about it, so that a right row can be challenged, or a wrong one cannot. Both compute the same, at
every corner; and an aggregator, which computes the sketch from the weights, excludes her. (docs/protocol.md §4)
"""

from dataclasses import replace

from market_node.chain import Phase
from market_node.judge import proof
from market_node.records import SKETCH_SIZE
from market_node.settlement import settle
from market_node.sketch import cosine
from tests.attacks.play import Story, overcharged, plain_round, tell
from tests.evm import AUDITOR, MALLORY, PHASE, Evm, attempt

LOW = bytes([128])
SKETCHES = {
    "all -128": LOW * SKETCH_SIZE,
    "-128 and 127 by turns": (LOW + b"\x7f") * (SKETCH_SIZE // 2),
    "all 127": b"\x7f" * SKETCH_SIZE,
    "one -128": LOW + bytes(SKETCH_SIZE - 1),
    "-128 in half": LOW * (SKETCH_SIZE // 2) + bytes([255]) * (SKETCH_SIZE // 2),
    "all -1": b"\xff" * SKETCH_SIZE,
    "zeros": bytes(SKETCH_SIZE),
    "one 1": bytes(SKETCH_SIZE - 1) + b"\1",
}


def attack() -> Story:
    n = len(SKETCHES)
    evm = Evm(n)
    plain = plain_round(n, similarity_floor=0, max_sellers=8)
    seats = [
        replace(plain.participants[0], reveal=replace(plain.participants[0].reveal, sketch=sketch))
        for sketch in SKETCHES.values()
    ]
    round_ = evm.play(replace(plain, participants=tuple(seats)))
    true = settle(round_, frozenset())
    right = evm.settle(round_, true)
    found = [attempt(evm, MALLORY, round_.number, proof(right, buyer)) for buyer in range(n)]
    assert found == ["RowIsRight"] * n
    assert true.rows[0], "rows are not all empty"
    assert cosine(SKETCHES["all -128"], SKETCHES["all -1"]) == 1 << 16
    assert cosine(SKETCHES["all -128"], SKETCHES["all 127"]) == 0

    # A price that is one unit too high is proven wrong with them as with any other.
    evm = Evm(n)
    round_ = evm.play(replace(plain, participants=tuple(seats)))
    buyers = [buyer for buyer, row in enumerate(true.rows) if row]
    wrong = evm.settle(round_, overcharged(round_, buyers[0]))
    gas = evm.challenge(AUDITOR, round_.number, proof(wrong, buyers[0]))
    evm.warp(2 * PHASE)
    assert evm.phase(round_.number) == Phase.VOID
    return Story(
        f"{n} of {n} right rows stand (RowIsRight), {len(buyers)} of them with purchases; a wrong one is void",
        f"gas only ({gas:,} for a challenge); with an aggregator that checks, the reveal bond",
    )


def test_both_languages_compute_the_same_from_any_bytes():
    attack()


if __name__ == "__main__":
    tell(attack)
