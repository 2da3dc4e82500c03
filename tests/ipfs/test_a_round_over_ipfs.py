"""A round whose files travel through IPFS: who publishes has one node, who fetches another."""

import pytest

from market_node.chain import Phase
from market_node.ipfs_http import HttpxApi
from market_node.kubo import KuboStore
from market_node.models import publish_task
from market_node.node import Node
from market_node.pins import PinDuty, accepted, due_pins, keep_up
from tests.integration.test_round import Town


class IpfsTown(Town):
    """The same town, in which the aggregator and the participants have stores of their own."""

    def move(self, aggregator: KuboStore, participants: KuboStore) -> None:
        self.store = aggregator
        publish_task(self.store, self.folder / "base.safetensors", "plain")
        self.aggregator.store = aggregator
        for node in self.nodes.values():
            node.store = participants


@pytest.fixture
def town(peers, tmp_path) -> IpfsTown:
    if not peers.bob:
        pytest.skip("no second peer")
    town = IpfsTown(tmp_path)
    town.move(KuboStore(HttpxApi(peers.alice), 30.0), KuboStore(HttpxApi(peers.bob), 30.0))
    return town


def duty(node: Node, number: int, paid: list[int]) -> PinDuty:
    round_, phase = node.round(number), node.chain.phase(number)
    mine = round_.aggregator == node.chain.account and round_.deliveries is not None
    return due_pins(
        node.chain.account, [round_], {number: phase}, paid, {number: node.deliveries(round_)} if mine else {}
    )


def test_a_round_over_ipfs_and_what_stays_pinned_until_it_is_paid_out(town, tmp_path):
    number = town.open()
    town.commit(number, "alice", "bob", "carol")
    town.draw(number)
    town.reveal(number, "alice", "bob", "carol")
    town.settle(number)
    personal = town.alice.fetch(number, tmp_path / "personal.safetensors")
    assert personal.stat().st_size > 0

    published = duty(town.aggregator, number, []).keep
    compared = frozenset(accepted(town.aggregator.round(number)).values())
    assert len(compared) == 3, "the next round is compared with these"
    assert len(published - compared) == 4, "the list, and a personal model for each"
    assert published <= town.store.pins()
    model = duty(town.alice, number, []).keep
    assert model <= town.alice.store.pins()

    town.finish(number)
    assert town.aggregator.chain.phase(number) == Phase.PAYOUT
    assert keep_up(town.store, duty(town.aggregator, number, [number])).released == published - compared
    assert keep_up(town.alice.store, duty(town.alice, number, [number])).released == model
    assert published & town.store.pins() == compared
    assert town.task.digest in town.store.pins(), "the next round is for the same task"
