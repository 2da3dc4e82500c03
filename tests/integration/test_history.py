"""What the logs tell: the same however they are cut, each block read once, and nothing left out unnoticed."""

from dataclasses import replace
from random import Random

import pytest

from market_node.audit import audit
from market_node.chain import Chain
from market_node.contracts import Event, read_log
from market_node.deploy import deploy
from market_node.devnet import Devnet
from market_node.errors import BadInput, ChainError
from market_node.history import History
from market_node.ledger import Ledger, replay
from market_node.records import LEAST_REPUTATION
from market_node.settlement import payout, refunds
from tests.conftest import Actors
from tests.integration.stage import BID, DEPOSIT, MODEL, PHASE, SKETCH, Meddler, Play, result


@pytest.fixture(scope="module")
def played(devnet, actors) -> Play:
    """A round to its end: three participants that all buy from each other, one of which rates and one rejects."""
    play = Play(devnet, actors.operator, [actors.alice, actors.bob, actors.carol])
    play.open().commit().draw().reveal().settle()
    actors.alice.rate(play.number, 0, 100)
    actors.bob.reject(play.number, 1)
    return play.pay_out((0, 2), (1, 3))


@pytest.fixture(scope="module")
def events(played, actors) -> list[Event]:
    return actors.operator.events(0, actors.operator.block())


def read(provider, actors) -> History:
    """A history that has read everything."""
    history = History(Chain(provider, actors.deployment.market))
    history.refresh()
    return history


# --- what a round leaves ---


def test_a_round_is_rebuilt_from_its_logs(played, actors, devnet):
    history = read(devnet.provider, actors)
    round_, state = history.round(played.number), actors.operator.state(played.number)
    assert (round_.aggregator, round_.terms, round_.seed) == (actors.operator.account, state.terms, state.seed)
    assert round_.encryption_key == b"\1" * 32
    assert [each.account for each in round_.participants] == [player.account for player in played.players]
    assert [each.encryption_key[0] for each in round_.participants] == [2, 3, 4]
    assert {each.deposit for each in round_.participants} == {DEPOSIT}
    assert round_.reveal_order == (2, 1, 0)
    bob = round_.participants[1]
    assert (bob.reveal.bid, bob.reveal.sketch, bob.reveal.model, bob.model) == (BID, SKETCH, MODEL, MODEL)
    assert (bob.reveal.reputation, bob.reveal.sealed_key) == (LEAST_REPUTATION, b"\7" * 80)
    assert [(each.rating, each.rejected) for each in round_.participants] == [(100, False), (None, True), (None, False)]
    assert [len(row) for row in round_.settlement.rows] == [2, 2, 2]
    assert round_.deliveries == b"\x11" * 32
    assert history.check(played.number) == round_


def test_the_trail_of_a_payout_is_what_was_due(played, actors, devnet):
    history = read(devnet.provider, actors)
    round_, trail = history.round(played.number), history.trail(played.number)
    due = payout(round_, round_.settlement)
    assert trail.paid == {0, 1, 2} and not trail.refunded
    assert [trail.credits[each.account] for each in round_.participants] == list(due.credits)
    assert (trail.burnt, trail.aggregator) == (due.burnt, due.aggregator)
    assert due.burnt > 0  # Bob rejected
    assert audit(round_, trail).findings == ()


def test_the_trail_of_a_refund_is_what_was_due(devnet, actors):
    play = Play(devnet, actors.operator, [actors.alice, actors.bob, actors.carol]).open().commit().draw().reveal(1, 2)
    devnet.warp(PHASE)
    actors.dave.refund(play.number, 2, 3)
    actors.dave.refund(play.number, 0, 3)
    history = read(devnet.provider, actors)
    round_, trail = history.round(play.number), history.trail(play.number)
    due = refunds(round_, with_fault=True)
    assert trail.paid == {0, 1, 2} and trail.refunded
    assert [trail.credits[each.account] for each in round_.participants] == list(due.credits)
    assert (trail.burnt, trail.aggregator) == (due.burnt, due.aggregator)
    assert audit(round_, trail).findings == ()


def test_reputations_are_recomputed_and_go_on_from_round_to_round(devnet, actors):
    """Alice rates Bob well, Carol never reveals. The contract says it in no log, and believes it at the next reveal."""
    rounds = []
    for _ in range(3):
        play = Play(devnet, actors.erin, [actors.alice, actors.bob, actors.carol]).open().commit().draw()
        rounds.append(play.reveal(1, 0).settle())
        actors.alice.rate(play.number, 0, 100)
        play.pay_out((1, 3), (0, 2))
    ledger = read(devnet.provider, actors).ledger
    for (aggregator, account), reputation in ledger.reputations.items():
        assert actors.alice.reputation(aggregator, account) == reputation
    assert ledger.reputations[actors.erin.account, actors.bob.account] > LEAST_REPUTATION
    believed = [ledger.trails[play.number].reputations for play in rounds]
    assert [[index for index, _, _ in each] for each in believed] == [[1, 0]] * 3
    assert all(due == emitted for each in believed for _, due, emitted in each)
    bob = [emitted for each in believed for index, _, emitted in each if index == 1]
    assert bob[0] == LEAST_REPUTATION < bob[1] < bob[2]


def test_a_missing_reveal_costs_half_a_reputation(devnet, actors):
    def play(*indices) -> None:
        one = Play(devnet, actors.dave, [actors.alice, actors.bob, actors.carol]).open().commit().draw()
        one.reveal(*indices).settle()
        actors.alice.rate(one.number, 0, 100)
        one.pay_out()

    for _ in range(4):
        play(0, 1, 2)
    account = (actors.dave.account, actors.bob.account)
    before = read(devnet.provider, actors).ledger.reputations[account]
    play(0, 2)
    after = read(devnet.provider, actors).ledger.reputations[account]
    assert 2 * LEAST_REPUTATION < before == 2 * after + before % 2
    assert after == actors.alice.reputation(*account)


def test_the_key_in_force_is_the_last_one_set(devnet, actors):
    actors.dave.set_encryption_key(b"\x44" * 32)
    actors.dave.set_encryption_key(b"\x55" * 32)
    history = read(devnet.provider, actors)
    assert (
        history.ledger.encryption_keys[actors.dave.account]
        == b"\x55" * 32
        == actors.dave.encryption_key(actors.dave.account)
    )


def test_a_round_that_is_not_there_is_said_so(played, actors, devnet):
    with pytest.raises(BadInput, match="no round 999; the last one is"):
        read(devnet.provider, actors).round(999)


# --- the fold ---


def test_the_fold_does_not_care_how_the_logs_are_cut(events):
    whole = replay(events)
    rng = Random(7)
    for _ in range(20):
        cuts = sorted(rng.sample(range(len(events) + 1), rng.randrange(5)))
        ledger = Ledger()
        for start, end in zip([0, *cuts], [*cuts, len(events)], strict=True):
            ledger = replay(events[start:end], ledger)
        assert ledger == whole


def test_the_fold_leaves_the_ledger_that_it_started_from_alone(events):
    middle = replay(events[: len(events) // 2])
    copy = replay(events[: len(events) // 2])
    replay(events[len(events) // 2 :], middle)
    assert middle == copy


def test_unknown_logs_change_nothing(events):
    junk = [
        read_log(
            {"topics": topics, "data": data, "blockNumber": 1, "transactionHash": b"", "logIndex": 0, "address": a}
        )
        for topics, data in [([], b""), ([b"\1" * 32], b"\2" * 50), ([b"\1" * 32] * 4, b"")]
        for a in ["0x" + "11" * 20]
    ]
    assert replay([*junk, *events, *junk]) == replay(events)
    assert {each.name for each in junk} == {""}


def test_logs_cut_short_are_no_events_of_that_name(events, actors):
    """Every event of the round with its bytes cut, or its topics: none of them decodes to something else."""
    for mined in actors.devnet.mined:
        for log in mined.receipt.logs if mined.receipt else ():
            topics = [topic.to_bytes(32, "big") for topic in log.topics]
            where = {"blockNumber": 1, "transactionHash": b"", "logIndex": 0, "address": "0x" + log.address.hex()}
            assert read_log({"topics": topics, "data": log.data, **where}).name != ""
            assert read_log({"topics": topics[:1], "data": log.data, **where}).name in ("", *without_topics)
            if log.data:
                assert read_log({"topics": topics, "data": log.data[:-1], **where}).name == ""


without_topics = ("EIP712DomainChanged",)


@pytest.mark.parametrize("rows", [b"", b"\xff" * 7, b"\0\0\0\0", bytes([200]) + bytes(2800)])
def test_rows_that_do_not_decode_stop_nothing(events, played, rows):
    """The contract takes none such. Were it wrong, one round must not end the reading of all."""
    spoilt = [
        replace(event, arguments={**event.arguments, "rows": rows}) if event.name == "RoundSettled" else event
        for event in events
        if event.name not in ("PaidOut", "Credited", "Burnt", "AggregatorPaid")
    ]
    round_ = replay(spoilt).rounds[played.number]
    assert round_.settlement is None
    assert len(round_.participants) == 3


@pytest.mark.parametrize("name", ["RoundOpened", "Committed"])
def test_a_log_that_others_need_is_missed_at_once(events, name):
    missing = next(index for index, event in enumerate(events) if event.name == name)
    with pytest.raises(ChainError, match=r"logs of round 1 are missing"):
        replay(events[:missing] + events[missing + 1 :])


# --- the reader ---


@pytest.mark.parametrize("name", ["BidRevealed", "SeedDrawn", "RoundSettled"])
def test_a_log_that_no_other_needs_is_missed_by_the_check(devnet, actors, played, name):
    def forgetful(params, ask):
        logs = ask("eth_getLogs", params)["result"]
        return result([log for log in logs if read_log(whole(log)).name != name])

    history = read(Meddler(devnet, eth_getLogs=forgetful), actors)
    with pytest.raises(ChainError, match="do not give"):
        history.check(played.number)


def whole(log) -> dict:
    """A log as `read_log` takes it."""
    return {**log, "blockNumber": int(log["blockNumber"], 16), "logIndex": int(log["logIndex"], 16)}


def test_no_block_is_read_twice(devnet, actors, played):
    spy = Meddler(devnet)
    history = History(Chain(spy, actors.deployment.market, from_block=actors.deployment.block))
    for _ in range(3):
        history.refresh()
        actors.alice.set_encryption_key(b"\2" * 32)
    history.refresh()
    spans = [
        (int(p[0]["fromBlock"], 16), int(p[0]["toBlock"], 16)) for method, p in spy.asked if method == "eth_getLogs"
    ]
    assert spans[0][0] == actors.deployment.block
    assert [start for start, _ in spans[1:]] == [end + 1 for _, end in spans[:-1]]
    assert spans[-1][1] == actors.alice.block()


def test_blocks_that_are_not_deep_enough_are_not_read(devnet, actors, played):
    history = History(Chain(devnet.provider, actors.deployment.market, confirmations=3))
    actors.dave.set_encryption_key(b"\x66" * 32)
    key = history.refresh().encryption_keys[actors.dave.account]
    assert key != b"\x66" * 32
    devnet.mine()
    devnet.mine()
    assert history.refresh().encryption_keys[actors.dave.account] == b"\x66" * 32


def test_a_refresh_that_fails_changes_nothing(devnet, actors, played):
    broken = []

    def sometimes(params, ask):
        if broken:
            return {"jsonrpc": "2.0", "id": 1, "error": {"code": -32000, "message": "busy"}}
        return ask("eth_getLogs", params)

    history = read(Meddler(devnet, eth_getLogs=sometimes), actors)
    before = history.ledger
    actors.alice.set_encryption_key(b"\x77" * 32)
    broken.append(True)
    with pytest.raises(ChainError, match="busy"):
        history.refresh()
    assert history.ledger is before
    broken.clear()
    assert history.refresh().encryption_keys[actors.alice.account] == b"\x77" * 32


def test_a_reorganisation_is_undone_and_read_again():
    """Two devnets with the same beginning are two forks of one chain."""
    forks = [Devnet(), Devnet()]
    markets = [Actors(fork, deploy(fork.provider, fork.accounts[0], min_phase=60)) for fork in forks]
    assert markets[0].deployment == markets[1].deployment
    for market in markets:
        market.alice.set_encryption_key(b"\1" * 32)
    shared = forks[0].provider
    provider = Meddler(forks[0])
    history = History(Chain(provider, markets[0].deployment.market))
    history.refresh()
    common = history.ledger

    markets[0].alice.set_encryption_key(b"\2" * 32)
    history.refresh()
    markets[0].alice.set_encryption_key(b"\3" * 32)
    assert history.refresh().encryption_keys[markets[0].alice.account] == b"\3" * 32

    provider.honest = forks[1].provider
    assert provider.honest is not shared
    assert history.refresh() == common
    markets[1].alice.set_encryption_key(b"\4" * 32)
    assert history.refresh().encryption_keys[markets[1].alice.account] == b"\4" * 32


def test_a_chain_that_began_again_is_read_from_its_beginning(devnet, actors, played):
    provider = Meddler(devnet)
    history = read(provider, actors)
    assert history.ledger.rounds
    provider.honest = Devnet().provider
    assert history.refresh().rounds == {}
