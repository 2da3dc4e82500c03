"""Challenges on a chain: what their logs tell, what they pay, and that an aggregator's node defends itself."""

from dataclasses import replace
from random import Random

import pytest

from market_node.aggregator import Aggregator
from market_node.audit import audit
from market_node.chain import Chain, Phase
from market_node.contracts import read_log
from market_node.errors import ChainError, Reverted
from market_node.history import History
from market_node.judge import claim, proof, refutation
from market_node.keys import EncryptionKeys
from market_node.ledger import Ledger, replay
from market_node.records import Challenge, Claim
from market_node.seal import generate_keypair
from market_node.settlement import settle
from market_node.store import BlockStore
from tests.integration.desk import BOND, CHALLENGE_BOND, dearer, money_findings
from tests.integration.stage import Meddler, result


@pytest.fixture
def node(actors, tmp_path) -> Aggregator:
    """The aggregator's node."""
    keys = EncryptionKeys([generate_keypair()[0]])
    return Aggregator(tmp_path, actors.operator, BlockStore(tmp_path / "store"), keys)


# --- what the logs tell ---


def test_a_challenge_is_folded_from_its_opening_to_its_refund(stage, actors):
    stage.settle_as(dearer)
    false = stage.lie(actors.dave)
    true = actors.erin.challenge(stage.number, proof(stage.seen(), 1))[1]
    assert (false, true) == (0, 1)
    round_ = stage.seen()
    assert round_.challenges == (
        Challenge(actors.dave.account, Claim(0, (), 0)),
        Challenge(actors.erin.account, claim(round_, 1)),
    )
    actors.bob.refute(stage.number, false, refutation(round_, round_.challenges[false].claim))
    stage.end().end()
    actors.alice.refund_challenge(stage.number, true)
    after = stage.seen().challenges
    assert [each.refuter for each in after] == [actors.bob.account, None]
    assert [each.refunded for each in after] == [None, CHALLENGE_BOND + BOND // 4]


def test_the_trail_tells_who_was_paid_for_a_challenge(stage, actors):
    stage.settle_as(dearer)
    round_ = stage.seen()
    for chain in (actors.dave, actors.erin):
        chain.challenge(stage.number, proof(round_, 1))
    false = stage.lie(actors.dave)
    actors.bob.refute(stage.number, false, refutation(round_, Claim(0, (), 0)))
    stage.end().end()
    actors.alice.refund_challenge(stage.number, 1)
    actors.alice.refund(stage.number, 0, 2)
    assert money_findings(stage) == []
    actors.alice.refund_challenge(stage.number, 0)
    actors.alice.refund(stage.number, 1, 3)
    history = History(actors.alice)
    history.refresh()
    assert history.trail(stage.number).rewards == {
        2: (actors.bob.account, CHALLENGE_BOND),
        1: (actors.erin.account, CHALLENGE_BOND + BOND // 8),
        0: (actors.dave.account, CHALLENGE_BOND + BOND // 8),
    }
    assert money_findings(stage) == []
    assert actors.alice.pot(stage.number) == 0
    assert audit(history.check(stage.number), history.trail(stage.number)).standing == (0, 1)


def test_the_fold_of_challenges_does_not_care_how_the_logs_are_cut(stage, actors):
    stage.settle_as(dearer)
    false = stage.lie(actors.dave)
    actors.erin.challenge(stage.number, proof(stage.seen(), 1))
    actors.bob.refute(stage.number, false, refutation(stage.seen(), Claim(0, (), 0)))
    stage.end().end()
    actors.alice.refund_challenge(stage.number, 1)
    actors.alice.refund(stage.number, 0, 3)
    events = actors.alice.events(0, actors.alice.block())
    whole, rng = replay(events), Random(3)
    for _ in range(10):
        cuts = sorted(rng.sample(range(len(events) + 1), 6))
        ledger = Ledger()
        for start, end in zip([0, *cuts], [*cuts, len(events)], strict=True):
            ledger = replay(events[start:end], ledger)
        assert ledger == whole


@pytest.mark.parametrize("later", ["ChallengeRefuted", "ChallengeOpened"])
def test_a_challenge_that_later_logs_need_is_missed_at_once(stage, actors, later):
    stage.settle()
    number = stage.lie(actors.dave)
    if later == "ChallengeRefuted":
        actors.bob.refute(stage.number, number, refutation(stage.seen(), Claim(0, (), 0)))
    else:
        stage.lie(actors.dave)
    events = actors.alice.events(0, actors.alice.block())
    first = next(
        index
        for index, event in enumerate(events)
        if event.name == "ChallengeOpened" and event.arguments["round"] == stage.number
    )
    with pytest.raises(ChainError, match=rf"logs of round {stage.number} are missing: challenge 0"):
        replay(events[:first] + events[first + 1 :])


@pytest.mark.parametrize("name", ["ChallengeOpened", "ChallengeRefuted"])
def test_a_challenge_that_an_endpoint_hides_is_missed(stage, actors, name):
    def forgetful(params, ask):
        logs = ask("eth_getLogs", params)["result"]
        read = [
            read_log({**log, "blockNumber": int(log["blockNumber"], 16), "logIndex": int(log["logIndex"], 16)})
            for log in logs
        ]
        mine = [each.arguments.get("round") == stage.number and each.name == name for each in read]
        return result([log for log, hidden in zip(logs, mine, strict=True) if not hidden])

    stage.settle()
    number = stage.lie(actors.dave)
    if name == "ChallengeRefuted":
        actors.bob.refute(stage.number, number, refutation(stage.seen(), Claim(0, (), 0)))
    history = History(Chain(Meddler(stage.devnet, eth_getLogs=forgetful), actors.deployment.market))
    with pytest.raises(ChainError, match="do not give the challenges"):
        history.check(stage.number)


# --- what they lead to ---


def test_one_true_challenge_makes_the_round_void(stage, actors):
    stage.settle_as(dearer)
    actors.dave.challenge(stage.number, proof(stage.seen(), 1))
    stage.end()
    assert actors.dave.phase(stage.number) == Phase.REFUTE
    stage.end()
    assert actors.dave.phase(stage.number) == Phase.VOID


def test_a_right_row_cannot_be_challenged(stage, actors):
    stage.settle()
    with pytest.raises(Reverted, match="RowIsRight"):
        actors.dave.challenge(stage.number, proof(stage.seen(), 1))


def test_the_contract_accepts_what_refutes_each_false_claim(stage, actors):
    """One that lists nobody, one that leaves out the best seller, and one that leaves out the last."""
    stage.settle()
    round_ = stage.seen()
    true = proof(round_, 1)
    for listed in ((), true.listed[1:], true.listed[:-1]):
        number = actors.dave.challenge(stage.number, replace(true, listed=listed))[1]
        said = stage.seen().challenges[number].claim
        assert said.listed == tuple(each.index for each in listed)
        actors.bob.refute(stage.number, number, refutation(round_, said))
    assert actors.bob.state(stage.number).open_challenges == 0


# --- the aggregator's node ---


def test_the_aggregator_refutes_every_false_challenge(stage, node, actors):
    stage.settle()
    stage.lie(actors.dave)
    stage.lie(actors.dave, buyer=2)
    before = actors.operator.available(actors.operator.account)
    assert len(node.defend(stage.number)) == 2
    assert node.defend(stage.number) == []
    assert actors.operator.available(actors.operator.account) == before + 2 * CHALLENGE_BOND
    assert actors.operator.state(stage.number).open_challenges == 0


def test_the_aggregator_cannot_refute_a_true_challenge(stage, node, actors):
    stage.settle_as(dearer)
    actors.dave.challenge(stage.number, proof(stage.seen(), 1))
    assert node.defend(stage.number) == []
    assert actors.operator.state(stage.number).open_challenges == 1


def test_an_aggregator_that_is_overtaken_goes_on_with_the_next(stage, node, actors, monkeypatch):
    stage.settle()
    stage.lie(actors.dave)
    stage.lie(actors.dave, buyer=2)
    mine = node.chain.refute

    def overtaken(number, challenge, found):
        if challenge == 0:
            actors.bob.refute(number, challenge, found)
        return mine(number, challenge, found)

    monkeypatch.setattr(node.chain, "refute", overtaken)
    assert len(node.defend(stage.number)) == 1
    assert actors.operator.state(stage.number).open_challenges == 0


# --- reveals that are not deep enough ---


def patient(stage, actors, node, timeout: float) -> Aggregator:
    chain = Chain(
        stage.devnet.provider, actors.deployment.market, actors.operator.signer, confirmations=3, timeout=timeout
    )
    return Aggregator(node.folder, chain, node.store, node.keys)


def test_an_aggregator_waits_until_all_reveals_are_confirmed(stage, node, actors, monkeypatch):
    """Blocks come while it waits, as they do."""
    waits = []

    def pause(seconds):
        waits.append(seconds)
        stage.devnet.mine()

    monkeypatch.setattr("market_node.aggregator.time.sleep", pause)
    seen = patient(stage, actors, node, 60).confirmed(stage.number)
    assert len(seen.reveal_order) == 3
    assert waits
    assert settle(seen, frozenset()) == settle(stage.seen(), frozenset())


def test_reveals_that_are_not_confirmed_in_time_are_said_so(stage, node, actors):
    with pytest.raises(ChainError, match=r"3 revealed and \d are 3 blocks deep"):
        patient(stage, actors, node, 0.1).confirmed(stage.number)


def test_a_settlement_names_the_reveals_that_were_seen(stage, node, actors):
    """After a reorganisation the contract has others, and takes none that was computed from these."""
    round_ = stage.seen()
    unseen = replace(round_, reveal_order=round_.reveal_order[:-1])
    with pytest.raises(Reverted, match="WrongRevealsHash"):
        node.post(unseen, settle(unseen, frozenset()), b"\x11" * 32)
