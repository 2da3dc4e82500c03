"""Mallory sells what she bought, as it is and disguised, and is excluded, with figures; Alice sells her own again."""

import json
from dataclasses import replace

import pytest
import torch

from market_node.audit import audit
from market_node.explain import verdicts
from market_node.models import publish_task
from market_node.node import Node
from market_node.pins import due_pins
from market_node.weights import write_weights
from tests.integration.stage import PHASE, terms
from tests.integration.test_round import BID, Town

SHAPE = (300, 150)
OTHERS = ("bob", "carol", "dave", "erin")
COPIERS = ("mallory", "mike", "mona")
EVERYBODY = ("alice", *OTHERS, *COPIERS)


def draw(seed: int) -> torch.Tensor:
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed))


def first(name: str) -> torch.Tensor:
    return draw(0) + 0.5 * draw(1 + EVERYBODY.index(name))


class LargerTown(Town):
    """Eight participants, and a model of 45,000 weights."""

    def __init__(self, folder) -> None:
        super().__init__(folder)
        write_weights(folder / "larger.safetensors", {"layer": torch.zeros(SHAPE)})
        self.task = publish_task(self.store, folder / "larger.safetensors", "larger")
        for name, account in zip(COPIERS, self.accounts[5:], strict=False):
            self.nodes[name] = Node(folder / name, *self.join(account))

    def play(self, offers: dict[str, torch.Tensor], late: int = 0) -> int:
        """A round up to its settlement, which comes so many seconds late. Returns its number."""
        number = self.open()
        for name, offer in offers.items():
            self.nodes[name].commit(number, self.model(name, {"layer": offer}), BID)
        self.draw(number)
        self.reveal(number, *offers)
        self.devnet.warp(late)
        self.settle(number)
        return number

    def bought(self, name: str, number: int) -> torch.Tensor:
        node = self.nodes[name]
        path = node.fetch(number, self.folder / f"{name} bought")
        return node.task(node.round(number)).tensors(path)["layer"]

    def excluded(self, number: int) -> dict[str, dict]:
        """Name → evidence."""
        listed = self.aggregator.deliveries(self.aggregator.round(number))
        assert {each.reason for each in listed.exclusions} <= {"copy"}
        accounts = {node.chain.account: name for name, node in self.nodes.items()}
        participants = self.aggregator.round(number).participants
        return {accounts[participants[each.index].account]: json.loads(each.evidence) for each in listed.exclusions}

    def open(self) -> int:
        return self.aggregator.open_round(replace(terms(self.devnet.now()), task=self.task.digest))


@pytest.fixture(scope="module")
def town(tmp_path_factory) -> LargerTown:
    return LargerTown(tmp_path_factory.mktemp("town"))


def second(town: LargerTown, number: int) -> dict[str, torch.Tensor]:
    """Bob, Carol, Dave and Erin have trained on; Alice offers her own again; the others what they have bought."""
    bought = {name: town.bought(name, number) for name in EVERYBODY}
    new = {name: draw(20) + draw(21 + index) for index, name in enumerate(OTHERS)}
    offers = {"alice": first("alice")}
    offers |= {name: 0.5 * first(name) + 0.5 * bought[name] + 0.2 * new[name] for name in OTHERS}
    offers["mallory"] = bought["mallory"]
    offers["mike"] = 0.3 * bought["mike"] + 0.7 * first("bob")
    offers["mona"] = bought["mona"] + 0.3 * draw(40)
    return offers


def test_bought_models_are_excluded_as_they_are_averaged_and_under_noise(town, caplog):
    opened = town.play({name: first(name) for name in EVERYBODY})
    assert town.excluded(opened) == {}, "a first round has nothing to compare with"
    town.finish(opened)

    offers = second(town, opened)
    resold = town.play(offers)
    evidence = town.excluded(resold)
    assert {name: said["test"] for name, said in evidence.items()} == {
        "mallory": "span",
        "mike": "span",
        "mona": "noise",
    }
    assert all(said["rounds"] == [opened] for said in evidence.values())

    round_ = town.aggregator.round(resold)
    alice = EVERYBODY.index("alice")
    assert any(purchase.seller == alice for row in round_.settlement.rows for purchase in row), "her own is no copy"
    sold = {purchase.seller for row in round_.settlement.rows for purchase in row}
    assert sold.isdisjoint(EVERYBODY.index(name) for name in COPIERS)
    town.finish(resold)
    round_ = town.alice.round(resold)
    assert audit(round_, town.alice.history.trail(resold)).findings == ()
    reasons = {verdict.seller: verdict.reason for verdict in verdicts(round_, round_.settlement, alice)}
    assert reasons[EVERYBODY.index("mona")] == "excluded"

    # What the next round is compared with stays, and where it is lost the round is settled all the same.
    kept = due_pins(town.aggregator.chain.account, town.aggregator.history.ledger.rounds.values(), {}, [], {}).keep
    bobs = town.aggregator.round(opened).participants[EVERYBODY.index("bob")].model.cid
    assert bobs in kept
    (town.store.folder / bobs.hex()).unlink()
    again = {name: offers[name] for name in ("alice", *OTHERS)} | {"mallory": first("carol")}
    assert {name: said["test"] for name, said in town.excluded(town.play(again)).items()} == {"mallory": "span"}
    assert "copies of it are not found" in caplog.text

    # Nor may looking back cost the time to settle.
    assert town.excluded(town.play(again, late=PHASE * 7 // 8)) == {}
    assert "no time is left to look for copies" in caplog.text
