"""Nodes that are left alone: rounds in which nobody touches them, and what they do when something goes wrong."""

import json
import logging
import os
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from market_node.cli.export import _figures
from market_node.daemon.meters import Meters, Watch
from market_node.devnet import Devnet
from market_node.errors import ConfigError, MalformedUpdate, NotFound, StorageError, WrongChain
from market_node.export import Figures
from market_node.phases import Phase
from market_node.policy import Auditing, Policy
from market_node.seal import read_header
from market_node.store import BlockStore
from market_node.trainer import Learned, figures_of, read_learned
from tests.integration.stage import Meddler
from tests.integration.village import PHASE, TOKEN
from tests.soak.town import Town

KILLS = 20

# --- real processes, as an operator starts them ---


@pytest.fixture
def town(tmp_path) -> Iterator[Town]:
    with Town(tmp_path, 3) as town:
        yield town


def test_a_round_goes_through_and_nobody_touches_a_node(town):
    town.start(*town.houses)
    town.pass_round(1, 3)
    _check_that_one_key_has_one_node(town)
    town.stop(*town.houses)  # SIGTERM, and each ends with 0
    assert town.sent_twice() == []
    assert town.findings() == []
    round_ = town.history.round(1)
    assert sum(map(len, round_.settlement.rows)) == 6, "each has bought from both others"
    for name in town.houses:
        levels = {event["level"] for event in town.events(name) if "clock" not in event["message"]}
        assert levels == {"info"}, town.tail(town.houses[name])
    assert any("every row is right" in event["message"] for event in town.events("auditor"))
    _check_that_no_log_holds_a_secret(town)


def _check_that_one_key_has_one_node(town: Town) -> None:
    """A second node with the same home refuses to start, and the first goes on."""
    first = town.houses["p1"].process
    town.start("p1")
    second, town.houses["p1"].process = town.houses["p1"].process, first
    end = time.monotonic() + 60
    while (code := town._ask({"alive": [second]})[str(second)]) is None:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert code not in (0, -signal.SIGKILL)
    refusal = town.houses["p1"].log.read_text().splitlines()
    assert any(line.startswith("error: ") and "two nodes with one key" in line for line in refusal)
    os.kill(first, 0)


def _check_that_no_log_holds_a_secret(town: Town) -> None:
    from market_node.keys import load_account, load_encryption_keys
    from tests.soak.town import PASSWORD

    for house in town.houses.values():
        text = house.log.read_text().lower()
        keys = load_encryption_keys(house.home / "keys", PASSWORD)
        secrets = [load_account(house.home / "keys", PASSWORD).key.hex(), keys.private(keys.public).hex(), PASSWORD]
        assert not [secret for secret in secrets if secret.lower().removeprefix("0x") in text]


def test_nodes_that_are_killed_twenty_times_lose_nothing(tmp_path):
    """At step boundaries and at random times; `make soak` does it two hundred times."""
    with Town(tmp_path, 5, seed=7) as town:
        town.kills_wanted = KILLS
        town.start(*town.houses)
        rounds = 0
        while rounds < 2 or town.kills < KILLS:
            rounds += 1
            town.pass_round(rounds, 5)
        town.stop(*town.houses)
        assert town.kills >= KILLS
        assert town.sent_twice() == []
        assert town.findings() == []
        for number in range(1, rounds + 1):
            round_ = town.history.round(number)
            assert all(each.reveal for each in round_.participants), "nobody loses a reveal bond"
            assert round_.settlement.excluded == frozenset(), "nobody loses a key or a model"
        town.check_databases()


# --- nodes in this process, whose clock stands still ---


def test_one_account_can_take_every_role(village):
    village.join(
        "agnes", Policy(participant=village.participation(1), aggregator=village.opening(), auditor=Auditing())
    )
    village.join("alice", Policy(participant=village.participation(2)))
    village.to(Phase.PAYOUT)
    village.settle_down()
    ledger = village.daemons["alice"].outlook.node.history.refresh()
    assert len(ledger.trails[1].paid) == 2
    assert village.daemons["agnes"].chain.account in {each.account for each in ledger.rounds[1].participants}
    assert (village.folder / "agnes" / "reports" / "round-1.json").exists()


def test_a_node_that_joins_again_goes_on_where_it_was(three):
    three.settle_down()
    alice = three.join("alice", Policy(participant=three.participation(1)))
    three.to(Phase.PAYOUT)
    three.settle_down()
    index = next(i for i, each in enumerate(three.round().participants) if each.account == alice.chain.account)
    assert three.round().participants[index].reveal is not None
    assert three.round().participants[index].rating is not None


def test_a_node_to_which_its_own_commit_was_hidden_until_commits_were_closed_still_reveals(three, monkeypatch):
    """By an endpoint that lags behind the one that told the time."""
    three.settle_down()
    bob = three.daemons["bob"]
    ledger, whole = bob.outlook.ledger, bob.outlook.ledger.rounds[1]
    others = tuple(each for each in whole.participants if each.account != bob.chain.account)
    ledger.rounds[1] = replace(whole, participants=others)
    three.warp()
    with monkeypatch.context() as lagging:
        lagging.setattr(bob.outlook.node.history, "refresh", lambda: ledger)
        bob.look()
        assert 1 in bob.outlook.ended
    ledger.rounds[1] = whole
    three.to(Phase.PAYOUT)
    assert all(each.reveal is not None for each in three.round().participants)


def test_a_model_is_trained_on_from_what_was_bought(three):
    opening = three.opening(rounds=2)
    three.join("agnes", Policy(aggregator=opening))
    three.to(Phase.PAYOUT)
    three.settle_down()
    studies = three.daemons["alice"].outlook.studies
    offered, adopted = studies.path(2, "offer"), studies.judged(1)
    assert adopted is not None and offered.exists()
    assert json.loads(offered.with_suffix(".json").read_text())["loss"] == adopted.loss


def test_a_refused_round_is_said_once_and_not_joined(three, caplog):
    caplog.set_level(logging.INFO, "market_node.daemon")
    three.join("alice", Policy(participant=three.participation(1, highest_fee=0)))
    three.settle_down()
    for _ in range(3):
        three.daemons["alice"].look()
    said = [each for each in caplog.messages if "not joined" in each]
    assert said == [f"round 1: not joined: its fee of {TOKEN} base units is above 0 base units"]
    assert len(three.round().participants) == 1


def test_what_a_training_claims_of_privacy_stands_on_its_models_card(three, monkeypatch, tmp_path):
    claim = {"delta": 0.003, "epsilon": 2.97, "unit": "sample"}

    def claimed(path: Path) -> Learned | None:
        learned = read_learned(path)
        return None if learned is None else replace(learned, privacy=claim)

    monkeypatch.setattr("market_node.daemon.deeds.read_learned", claimed)
    three.settle_down()
    three.store.get(three.round().participants[0].model.cid, tmp_path / "sealed", 1 << 20)
    with open(tmp_path / "sealed", "rb") as sealed:
        assert read_header(sealed)[1]["privacy"] == claim


def test_what_fails_is_said_once_tried_again_and_holds_nobody_up(three, caplog, monkeypatch):
    alice = three.daemons["alice"]
    with monkeypatch.context() as patch:

        def full(*_: object) -> bytes:
            raise StorageError("no space left on the device")

        alice.outlook.node.store = BlockStore(three.folder / "alices blocks")
        patch.setattr(alice.outlook.node.store, "put", full)
        patch.setattr(alice.outlook.node.store, "get", three.store.get)
        three.settle_down()
        for _ in range(5):
            three.clock += 60
            three.settle_down()
        assert [each.account for each in three.round().participants] == [three.daemons["bob"].chain.account]
    said = [each for each in caplog.messages if "no space left" in each]
    assert said == ["round 1: commit: no space left on the device"]
    alice.outlook.node.store = three.store
    three.clock += 60
    three.settle_down()
    assert len(three.round().participants) == 2


def test_a_fault_in_the_code_is_an_error_in_one_line_and_the_node_goes_on(three, caplog, monkeypatch):
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a\nbug")

    with monkeypatch.context() as patch:
        patch.setattr(three.daemons["alice"].outlook.node, "commit", broken)
        three.settle_down()
    errors = [each.getMessage() for each in caplog.records if each.levelno == logging.ERROR]
    assert errors == ["round 1: commit: RuntimeError: a bug (unexpected)"]
    three.clock += 60
    three.settle_down()
    assert len(three.round().participants) == 2


def test_nothing_is_sent_while_something_is_on_its_way(three, monkeypatch):
    alice = three.daemons["alice"]
    nonce = alice.chain.endpoint.nonce
    monkeypatch.setattr(alice.chain.endpoint, "nonce", lambda who, at="latest": nonce(who, at) + (at == "pending"))
    three.settle_down()
    assert three.seen().encryption_key(alice.chain.account) is None
    monkeypatch.undo()
    three.settle_down()
    assert len(three.round().participants) == 2


def test_an_unusable_delivery_is_rejected(three, monkeypatch):
    def spoilt(*_: object) -> None:
        raise MalformedUpdate("the delivered file is not the one on the delivery list")

    alice = three.daemons["alice"]
    monkeypatch.setattr(alice.outlook.node, "fetch", spoilt)
    three.to(Phase.CHALLENGE)
    rejected = {each.account for each in three.round().participants if each.rejected}
    assert rejected == {alice.chain.account}


def test_a_delivery_that_does_not_come_is_rejected_only_when_it_is_late(three, monkeypatch):
    def missing(*_: object) -> None:
        raise NotFound("no store has it")

    alice = three.daemons["alice"]
    monkeypatch.setattr(alice.outlook.node, "fetch", missing)
    three.to(Phase.CHALLENGE)
    for _ in range(5):
        three.clock += 60
        three.settle_down()
    assert not any(each.rejected for each in three.round().participants)
    three.devnet.warp(PHASE * 4 // 5)
    three.clock += 60
    three.settle_down()
    assert {each.account for each in three.round().participants if each.rejected} == {alice.chain.account}


def test_where_the_aggregator_is_gone_the_participants_get_their_deposits_and_more(three):
    three.settle_down()
    del three.daemons["agnes"]
    three.devnet.warp(PHASE + 60)  # past everybody's turn to draw
    three.settle_down()
    three.to(Phase.VOID)
    three.devnet.warp(60)
    three.settle_down()
    for name in ("alice", "bob"):
        chain = three.daemons[name].chain
        assert chain.available(chain.account) > 1000 * TOKEN, "a share of the bond"


def test_what_is_above_the_threshold_is_withdrawn(village):
    alice = village.join(
        "alice", Policy(participant=village.participation(1, withdraw_above=500 * TOKEN, keep=200 * TOKEN))
    )
    village.settle_down()
    assert alice.chain.available(alice.chain.account) == 200 * TOKEN
    assert alice.chain.token.balance(alice.chain.account) == 800 * TOKEN


def test_a_devnet_that_was_started_anew_is_recognised(village):
    between = Meddler(village.devnet)
    alice = village.join("alice", Policy(participant=village.participation()), between)
    village.settle_down()
    another = Devnet(clock=lambda: 1_800_000_000)
    for _ in range(3):
        another.mine()
    between.honest = another.provider
    with pytest.raises(WrongChain, match="a development chain was started anew"):
        alice.look()


def test_a_chain_that_does_not_answer_is_said_once_and_asked_again(village, caplog):
    caplog.set_level(logging.INFO, "market_node.daemon")
    broken: list[bool] = []

    def sometimes(params, ask):
        if broken:
            raise ConnectionError
        return ask("eth_blockNumber", params)

    alice = village.join(
        "alice", Policy(participant=village.participation()), Meddler(village.devnet, eth_blockNumber=sometimes)
    )
    village.settle_down()
    broken.append(True)
    for _ in range(4):
        assert not alice.look()
        village.clock += 60
    broken.clear()
    alice.look()
    said = [each for each in caplog.messages if each.startswith(("look", "the chain can"))]
    assert len(said) == 2
    assert "does not answer" in said[0]


def test_a_clock_that_is_not_the_chains_is_said_once(village, caplog):
    """The devnet's stands in 2025."""
    village.join("alice", Policy(participant=village.participation()))
    village.settle_down()
    village.devnet.mine()
    village.settle_down()
    said = [each for each in caplog.messages if "clock" in each]
    assert len(said) == 1
    assert said[0].endswith("s behind this machine's; the chain's counts")


def test_the_loop_ends_after_the_step_that_it_is_taking(three, monkeypatch):
    alice = three.daemons["alice"]
    publish = alice.chain.set_encryption_key

    def end_meanwhile(key: bytes) -> object:
        alice.ending.set()
        return publish(key)

    monkeypatch.setattr(alice.chain, "set_encryption_key", end_meanwhile)
    alice.run()
    assert three.seen().encryption_key(alice.chain.account) == alice.outlook.node.keys.public


# --- what others fetch from a node ---


class Pins(BlockStore):
    """A store that forgets what is not pinned, and whose last pins can be lost."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.pinned: set[bytes] = set()
        self.failure: StorageError | None = None

    def put(self, path: Path) -> bytes:
        digest = super().put(path)
        self.pinned.add(digest)
        return digest

    def pin(self, digest: bytes) -> None:
        if not self.has(digest):
            raise NotFound(f"{digest.hex()} is nowhere")
        self.pinned.add(digest)

    def unpin(self, digest: bytes) -> None:
        self.pinned.discard(digest)

    def pins(self) -> frozenset[bytes]:
        if self.failure:
            raise self.failure
        return frozenset(self.pinned)


@pytest.fixture
def pinned(three) -> dict[str, Pins]:
    """The stores of the aggregator, Alice and Bob, each with pins of its own."""
    stores = {name: Pins(three.folder / "blocks") for name in three.daemons}
    for name, daemon in three.daemons.items():
        daemon.outlook.node.store = stores[name]
    return stores


def test_what_a_node_has_published_is_kept_until_its_round_is_paid_out(three, pinned, caplog):
    caplog.set_level(logging.INFO, "market_node.daemon")
    three.to(Phase.CHALLENGE)
    settled = three.round()
    models = {each.account: each.model.cid for each in settled.participants}
    assert pinned["alice"].pinned == {models[three.daemons["alice"].chain.account]}
    assert {settled.deliveries, *models.values()} < pinned["agnes"].pinned and len(pinned["agnes"].pinned) == 5

    pinned["agnes"].pinned.remove(settled.deliveries)  # by somebody
    three.clock += 600
    three.settle_down()
    assert "1 files that must be kept were not pinned any more, and are again" in caplog.messages
    assert len(pinned["agnes"].pinned) == 5

    three.warp()
    three.settle_down()
    three.clock += 600
    three.settle_down()
    assert three.seen().phase(1) == Phase.PAYOUT
    assert pinned["alice"].pinned == pinned["bob"].pinned == set()
    assert pinned["agnes"].pinned == set(models.values()), "with which the next round's models are compared"
    assert "3 files unpinned, whose rounds are over" in caplog.messages


def test_a_file_that_is_lost_while_it_must_be_kept_is_said_once(three, pinned, caplog):
    three.settle_down()
    mine = three.daemons["alice"].chain.account
    model = next(each.model.cid for each in three.round().participants if each.account == mine)
    pinned["alice"].pinned.clear()
    (three.folder / "blocks" / model.hex()).unlink()
    for _ in range(3):
        three.clock += 600
        three.settle_down("alice")
    said = [each for each in caplog.messages if "is lost" in each]
    assert said == [f"a file that must be kept until its round is paid out is lost: {model.hex()} is nowhere"]


def test_a_store_that_cannot_tell_its_pins_is_said_once_and_holds_nobody_up(three, pinned, caplog):
    pinned["alice"].failure = StorageError("the IPFS node cannot be reached")
    three.settle_down()
    for _ in range(3):
        three.clock += 600
        three.settle_down()
    assert len(three.round().participants) == 2
    assert [each for each in caplog.messages if "pins" in each] == ["pins: the IPFS node cannot be reached"]


# --- for whoever watches ---


def test_the_figures_of_a_training_stand_in_the_books_and_are_found_where_the_node_keeps_them(village):
    alice = village.join("alice", Policy(participant=village.participation()))
    learned = {
        (1, "offer"): Learned(200, 0.5, 0.75, 2.0),
        (1, "adopted"): Learned(200, 0.25, 0.5, 1.5, rating=100),
        (2, "offer"): Learned(200, 0.25, 0.25, 1.0),
    }
    for (number, what), each in learned.items():
        figures_of(alice.outlook.studies.path(number, what)).write_text(json.dumps(asdict(each)))
    history = SimpleNamespace(ledger=SimpleNamespace(rounds=(1, 2, 3)))
    session = SimpleNamespace(chain=alice.chain, home=village.folder / "alice", history=history)
    assert _figures(session) == {1: Figures("3.500", "0.5", "0.25"), 2: Figures("1.000", "0.25", "")}


def got(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_health_and_metrics_are_served(village):
    alice = village.join("alice", Policy(participant=village.participation()))
    watch = Watch(alice.meters, "127.0.0.1", 0)
    try:
        village.settle_down()
        status, health = got(f"http://127.0.0.1:{watch.port}/healthz")
        assert (status, json.loads(health)["ok"]) == (200, True)
        status, metrics = got(f"http://127.0.0.1:{watch.port}/metrics")
        assert status == 200
        assert 'market_node_steps_total{outcome="done",step="publish"} 1.0' in metrics
        assert "market_node_available_tokens 1000.0" in metrics
        assert "process_resident_memory_bytes" in metrics
        assert got(f"http://127.0.0.1:{watch.port}/keys")[0] == 404
    finally:
        watch.close()


def test_all_gas_is_counted_by_step(three):
    since = len(three.devnet.mined)
    for daemon in three.daemons.values():
        daemon.meters.expose()
    three.to(Phase.CHALLENGE)
    three.warp()
    three.settle_down()
    for daemon in three.daemons.values():
        lines = daemon.meters.metrics().decode().splitlines()
        counted = [float(line.split()[-1]) for line in lines if line.startswith("market_node_gas_total{")]
        sender = bytes.fromhex(daemon.chain.account[2:])
        sent = [each for each in three.devnet.mined[since:] if each.transaction and each.transaction.sender == sender]
        assert len(sent) >= 4
        assert sum(counted) == sum(each.receipt.gas_used for each in sent)


def test_a_node_that_sees_no_chain_is_not_well():
    meters = Meters(interval=1)
    watch = Watch(meters, "127.0.0.1", 0)
    try:
        meters.last_look -= meters.late + 1
        assert got(f"http://127.0.0.1:{watch.port}/healthz")[0] == 503
    finally:
        watch.close()


def test_a_port_that_is_taken_is_said():
    watch = Watch(Meters(1), "127.0.0.1", 0)
    try:
        with pytest.raises(ConfigError, match=r"cannot listen on 127\.0\.0\.1"):
            Watch(Meters(1), "127.0.0.1", watch.port)
    finally:
        watch.close()
