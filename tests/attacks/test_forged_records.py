"""A challenge with records that no reveal of this round has left.

Mallory challenges a right settlement with better lists than the truth allows: an offer that was never made, another
reputation, another sketch, a record of an earlier round, of who did not reveal, in another order, twice, too many,
for an excluded buyer, or against rows that were not posted. If one opened a challenge that no seller can refute, she
could void any round. Every record is compared with the hash that its reveal left. (docs/protocol.md §14, Lemma 1)
"""

from dataclasses import replace

from market_node.judge import BidRecord, Proof, proof, record
from market_node.records import Bid, Model
from market_node.settlement import settle
from tests.attacks.play import BID, MODEL, SKETCH, Story, plain_round, tell
from tests.evm import MALLORY, Evm, attempt


def attack() -> Story:
    evm = Evm(7)
    plain = plain_round(7, max_sellers=2)
    first = evm.play(plain)  # of another round, by the same accounts at the same places
    bids = tuple(
        replace(
            each, reveal=replace(each.reveal, bid=replace(BID, cost=500 * index), model=Model(bytes([index]) * 32, b""))
        )
        for index, each in enumerate(plain.participants)
    )
    bids = tuple(replace(each, model=replace(each.reveal.model, root=MODEL.root)) for each in bids)
    bids = tuple(replace(each, reveal=replace(each.reveal, model=each.model)) for each in bids)
    silent = replace(bids[6], reveal=None)
    round_ = evm.play(replace(plain, participants=(*bids[:6], silent), reveal_order=tuple(range(6))))
    round_ = evm.settle(round_, settle(round_, frozenset({5})))

    true = proof(round_, 0)
    buyer, (best, second, third) = true.buyer, true.listed
    assert [each.index for each in true.listed] == [1, 2, 3]

    def with_list(*listed: BidRecord) -> Proof:
        return replace(true, listed=listed)

    def with_bid(each: BidRecord, **changes: int) -> BidRecord:
        return replace(each, bid=Bid(**{name: getattr(each.bid, name) for name in Bid.__slots__} | changes))

    tries = {
        "the truth": (true, "RowIsRight"),
        "a lower cost": (with_list(with_bid(best, cost=0), second, third), "WrongRecord"),
        "more samples": (with_list(with_bid(best, samples=10**6), second, third), "WrongRecord"),
        "a reputation of 1": (with_list(replace(best, reputation=1 << 16), second, third), "WrongRecord"),
        "another sketch": (with_list(replace(best, sketch=bytes([2]) + SKETCH[1:]), second, third), "WrongRecord"),
        "another index": (with_list(replace(best, index=4), second, third), "WrongRecord"),
        "an index of nobody": (with_list(replace(best, index=7), second, third), "WrongRecord"),
        "an index of 2**255": (with_list(replace(best, index=1 << 255), second, third), "WrongRecord"),
        "of another round": (with_list(record(first, 1), second, third), "WrongRecord"),
        "of who did not reveal": (with_list(BidRecord(6, BID, 2048, silent.model, SKETCH), best), "WrongRecord"),
        "a buyer of another round": (replace(true, buyer=record(first, 0)), "WrongRecord"),
        "a buyer of more value": (replace(true, buyer=with_bid(buyer, value=BID.value * 2)), "WrongRecord"),
        "another order": (with_list(second, best, third), "ListOutOfOrder"),
        "one twice": (with_list(best, best, second), "ListOutOfOrder"),
        "too many": (with_list(best, second, third, record(round_, 4)), "ListTooLong"),
        "the buyer itself": (with_list(buyer, best, second), "NotEligible"),
        "an excluded seller": (with_list(best, second, record(round_, 5)), "NotEligible"),
        "an excluded buyer": (replace(true, buyer=record(round_, 5)), "NotTrading"),
        "other rows": (replace(true, row_hashes=(bytes(32), *true.row_hashes[1:])), "WrongSettlement"),
        "a row less": (replace(true, row_hashes=true.row_hashes[:-1]), "WrongSettlement"),
        "no rows": (replace(true, row_hashes=()), "WrongSettlement"),
        "other exclusions": (replace(true, excluded=(0,)), "WrongSettlement"),
        "no exclusions": (replace(true, excluded=()), "WrongSettlement"),
    }
    before = evm.available(MALLORY)
    found = {why: attempt(evm, MALLORY, round_.number, lie) for why, (lie, _) in tries.items()}
    assert found == {why: name for why, (_, name) in tries.items()}
    assert attempt(evm, MALLORY, first.number, true) == "WrongPhase"
    assert evm.available(MALLORY) == before
    return Story(
        f"{len(tries)} of {len(tries)} are refused by name ({', '.join(sorted(set(found.values())))})",
        "gas only; a list that leaves somebody out opens a challenge, and costs its bond",
    )


def test_a_challenge_brings_only_what_reveals_have_left():
    attack()


if __name__ == "__main__":
    tell(attack)
