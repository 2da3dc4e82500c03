"""Which files a node has to keep, and until when."""

from dataclasses import replace
from pathlib import Path

import pytest

from market_node.delivery import Delivery, DeliveryList
from market_node.errors import NotFound
from market_node.phases import Phase
from market_node.pins import Kept, PinDuty, due_pins, keep_up, predecessors
from market_node.records import Bid, Model, Participant, Reveal, Round, Settlement, Terms
from market_node.store import BlockStore
from market_node.stores import Stores

ALICE, BOB, CAROL = (f"0x{digit * 40}" for digit in "abc")
TERMS = Terms(bytes(32), *[1] * 13)


def digest(text: str) -> bytes:
    return text.encode().ljust(32)


def settled(number: int, *, models: tuple[str, str] = ("of alice", "of bob")) -> Round:
    """A round of Alice and Bob that Carol has settled."""
    participants = tuple(
        Participant(account, 1, model=Model(digest(f"{model} {number}"), bytes(32)))
        for account, model in zip((ALICE, BOB), models, strict=True)
    )
    return Round(number, CAROL, TERMS, participants=participants, deliveries=digest(f"list {number}"))


def listed(number: int) -> DeliveryList:
    deliveries = tuple(
        Delivery(index, account, digest(f"to {name} {number}"), b"", b"", b"")
        for index, (account, name) in enumerate([(ALICE, "alice"), (BOB, "bob")])
    )
    return DeliveryList(1, CAROL, number, deliveries, ())


def due(account: str, phase: Phase, *, paid: bool = False) -> PinDuty:
    return due_pins(account, [settled(1)], {1: phase}, [1] if paid else [], {1: listed(1)})


UNPAID = [phase for phase in Phase if phase != Phase.VOID]


@pytest.mark.parametrize("phase", UNPAID)
def test_a_participant_keeps_its_own_model_until_the_round_is_paid_out(phase):
    assert due(ALICE, phase) == PinDuty(frozenset([digest("of alice 1")]), ())


@pytest.mark.parametrize("phase", UNPAID)
def test_an_aggregator_keeps_the_list_and_all_deliveries_until_the_round_is_paid_out(phase):
    kept = frozenset(map(digest, ["list 1", "to alice 1", "to bob 1"]))
    assert due(CAROL, phase) == PinDuty(kept, ())


@pytest.mark.parametrize(("phase", "paid"), [(Phase.PAYOUT, True), (Phase.VOID, False)])
def test_what_is_over_is_released(phase, paid):
    assert due(ALICE, phase, paid=paid) == PinDuty(frozenset(), (digest("of alice 1"),))
    assert due(CAROL, phase, paid=paid).keep == frozenset()
    assert due(CAROL, phase, paid=paid).release == tuple(map(digest, ["to alice 1", "to bob 1", "list 1"]))


def test_a_round_of_unknown_phase_is_not_over():
    assert due_pins(ALICE, [settled(1)], {}, [1], {}).keep == {digest("of alice 1")}


def test_who_took_no_part_owes_nothing():
    assert due("0x" + "d" * 40, Phase.CHALLENGE) == PinDuty(frozenset(), ())


def test_addresses_are_compared_without_their_checksums():
    assert due(ALICE.upper().replace("X", "x"), Phase.COMMIT).keep


def test_a_model_that_another_round_needs_is_not_released():
    again = settled(2)
    same = Participant(ALICE, 1, model=Model(digest("of alice 1"), bytes(32)))
    rounds = [settled(1), Round(2, CAROL, TERMS, participants=(same, *again.participants[1:]))]
    duty = due_pins(ALICE, rounds, {1: Phase.PAYOUT, 2: Phase.REVEAL}, [1], {})
    assert duty == PinDuty(frozenset([digest("of alice 1")]), ())


class Node:
    """A store with pins, which can get back only what is reachable."""

    def __init__(self, pinned: set[bytes], reachable: set[bytes]) -> None:
        self.pinned, self.reachable = pinned, reachable

    def put(self, path: Path) -> bytes:
        raise NotImplementedError

    def get(self, digest: bytes, path: Path, limit: int) -> None:
        raise NotImplementedError

    def has(self, digest: bytes) -> bool:
        raise NotImplementedError

    def pin(self, digest: bytes) -> None:
        if digest not in self.reachable:
            raise NotFound("nowhere")
        self.pinned.add(digest)

    def unpin(self, digest: bytes) -> None:
        self.pinned.discard(digest)

    def pins(self) -> frozenset[bytes]:
        return frozenset(self.pinned)


def test_keeping_up_restores_releases_and_says_what_is_lost():
    mine, gone, lost, over, foreign = map(digest, ["mine", "gone", "lost", "over", "foreign"])
    node = Node({mine, over, foreign}, {gone})
    duty = PinDuty(frozenset([mine, gone, lost]), (over, digest("over long ago")))
    done = keep_up(node, duty)
    assert done == Kept(frozenset([over]), frozenset([gone]), {lost: "nowhere"})
    assert node.pinned == {mine, gone, foreign}, "what others have pinned stays"
    assert keep_up(Stores([node]), duty) == Kept(lost={lost: "nowhere"})


def test_a_folder_forgets_nothing(tmp_path):
    assert keep_up(BlockStore(tmp_path), PinDuty(frozenset([bytes(32)]), ())) == Kept()


def opened(number: int) -> Round:
    """A settled round whose reveals were seen; Bob's model was excluded."""
    plain = settled(number)
    participants = tuple(
        replace(each, reveal=Reveal(Bid(0, 0, 1, 0), 1, each.model, b"")) for each in plain.participants
    )
    return replace(plain, participants=participants, settlement=Settlement(frozenset([1]), ((), ())))


def test_an_aggregator_keeps_the_accepted_models_of_the_last_two_rounds_to_find_copies():
    rounds = [opened(number) for number in (1, 2, 3)]
    phases, paid = {1: Phase.PAYOUT, 2: Phase.PAYOUT, 3: Phase.VOID}, [1, 2]
    duty = due_pins(CAROL, rounds, phases, paid, {})
    assert duty.keep == {digest("of alice 2"), digest("of alice 3")}
    assert digest("of alice 1") in duty.release
    assert digest("of bob 2") in duty.release, "what was excluded is not compared with"


def test_rounds_of_other_tasks_and_aggregators_are_not_compared_with():
    task = TERMS.task
    others = [
        replace(opened(4), aggregator=ALICE),
        replace(opened(5), terms=replace(TERMS, task=b"\1" * 32)),
        settled(6),
    ]
    assert [each.number for each in predecessors(CAROL, task, [opened(2), opened(1), *others])] == [2, 1]
    assert [each.number for each in predecessors(CAROL, task, [opened(2), opened(1)], before=2)] == [1]
