"""An auditor that is stopped, deceived or overtaken by a reorganisation challenges all the same, and once."""

from dataclasses import dataclass

import pytest

from market_node.chain import Chain
from market_node.contracts import read_log
from market_node.deploy import deploy
from market_node.devnet import Devnet
from market_node.errors import BadInput
from tests.conftest import Actors
from tests.integration.desk import Desk, Stage, dearer
from tests.integration.stage import Meddler, result

# --- restarts ---


class Crash(Exception):
    """The process ends here."""


def crash(*_: object) -> None:
    raise Crash


def test_a_crash_before_a_challenge_is_sent_is_written_down_and_the_challenge_made_once(stage, desk, monkeypatch):
    stage.settle_as(dearer)
    written = []

    def lose_power(*_: object) -> None:
        written.append(desk.actions(stage.number))
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(desk.chain, "challenge", lose_power)
        with pytest.raises(Crash):
            desk.step()
    assert written == [[("challenging", 1, None)]]
    desk.restart().step()
    desk.restart().step()
    assert desk.actions(stage.number) == [("challenging", 1, "done")]
    assert len(stage.seen().challenges) == 1


def test_a_crash_after_a_challenge_was_sent_does_not_send_it_again(stage, desk, monkeypatch):
    stage.settle_as(dearer)
    mine = desk.chain.challenge
    with monkeypatch.context() as patch:
        patch.setattr(desk.chain, "challenge", lambda *given: crash(mine(*given)))
        with pytest.raises(Crash):
            desk.step()
    assert desk.actions(stage.number) == [("challenging", 1, None)]
    desk.restart().step()
    assert desk.actions(stage.number) == [("challenging", 1, "done")]
    assert len(stage.seen().challenges) == 1


def test_what_is_sent_and_not_deep_enough_to_be_seen_is_not_sent_again(stage, desk, actors, monkeypatch):
    stage.settle_as(dearer)
    for _ in range(3):
        stage.devnet.mine()
    patient = Chain(stage.devnet.provider, actors.deployment.market, actors.erin.signer, confirmations=3, timeout=0.1)
    desk.restart(patient)
    (line,) = desk.auditor.step().failed
    assert "is not mined after 0.1 s" in line
    assert desk.actions(stage.number) == [("challenging", 1, None)]
    assert desk.restart().step() == [f"round {stage.number}: 1 wrong rows, of participants 1"]
    assert len(stage.seen().challenges) == 1
    for _ in range(2):
        stage.devnet.mine()
    desk.step()
    assert desk.actions(stage.number) == [("challenging", 1, "done")]
    assert len(stage.seen().challenges) == 1


def test_a_settlement_that_is_not_deep_enough_is_not_looked_at(stage, actors, tmp_path):
    stage.settle_as(dearer)
    patient = Chain(stage.devnet.provider, actors.deployment.market, actors.erin.signer, confirmations=2)
    desk = Desk(patient, tmp_path)
    assert desk.step() == []
    with pytest.raises(BadInput, match="too few confirmations"):
        desk.auditor.challenge(stage.number)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"actions":[{"nonce":"x"}]}'])
def test_a_damaged_report_keeps_nobody_from_challenging(stage, desk, content):
    stage.settle_as(dearer)
    desk.folder.mkdir()
    (desk.folder / f"round-{stage.number}.json").write_bytes(content)
    assert "is damaged" in desk.step()[0]
    assert desk.actions(stage.number) == [("challenging", 1, "done")]


def test_a_folder_of_another_market_is_left_alone(stage, desk):
    stage.settle_as(dearer)
    desk.step()
    path = desk.folder / f"round-{stage.number}.json"
    foreign = path.read_bytes().replace(b'"market":"0x', b'"market":"1x')
    path.write_bytes(foreign)
    (line,) = desk.restart().auditor.step().failed
    assert "is a report on another market" in line
    assert path.read_bytes() == foreign


def test_nothing_is_sent_where_nothing_can_be_written(stage, desk, actors):
    stage.settle_as(dearer)
    desk.folder.write_text("a file where the folder should be")
    (line,) = desk.auditor.step().failed
    assert "cannot write" in line or "cannot read" in line
    assert stage.seen().challenges == ()


# --- the endpoint ---


def test_an_endpoint_that_fails_is_said_once_and_tried_again(stage, actors, tmp_path):
    broken: list[bool] = []

    def sometimes(params, ask):
        if broken:
            raise ConnectionError
        return ask("eth_getLogs", params)

    desk = Desk(
        Chain(Meddler(stage.devnet, eth_getLogs=sometimes), actors.deployment.market, actors.erin.signer), tmp_path
    )
    stage.settle_as(dearer)
    broken.append(True)
    (line,) = desk.auditor.step().failed
    assert "does not answer" in line
    assert desk.step() == []
    broken.clear()
    desk.step()
    assert desk.actions(stage.number) == [("challenging", 1, "done")]


def test_an_endpoint_that_hides_a_reveal_makes_nobody_challenge(stage, actors, tmp_path):
    """A right row looks wrong to who does not see a seller, and whoever said so on chain would lose a bond."""
    hidden = stage.players[2].account

    def forgetful(params, ask):
        logs = ask("eth_getLogs", params)["result"]
        read = [
            read_log({**log, "blockNumber": int(log["blockNumber"], 16), "logIndex": int(log["logIndex"], 16)})
            for log in logs
        ]
        kept = [each.name != "BidRevealed" or each.arguments["account"] != hidden for each in read]
        return result([log for log, keep in zip(logs, kept, strict=True) if keep])

    stage.settle()
    chain = Chain(Meddler(stage.devnet, eth_getLogs=forgetful), actors.deployment.market, actors.erin.signer)
    failed = Desk(chain, tmp_path).auditor.step().failed
    assert any("do not give the reveals" in line for line in failed)
    assert stage.seen().challenges == ()


def test_an_endpoint_that_is_gone_when_a_challenge_is_sent_may_have_sent_it(stage, actors, tmp_path):
    def lost(params, ask):
        ask("eth_sendRawTransaction", params)
        raise ConnectionError

    stage.settle_as(dearer)
    chain = Chain(Meddler(stage.devnet, eth_sendRawTransaction=lost), actors.deployment.market, actors.erin.signer)
    desk = Desk(chain, tmp_path)
    (line,) = desk.auditor.step().failed
    assert "may have been sent" in line
    desk.step()
    assert desk.actions(stage.number) == [("challenging", 1, "done")]
    assert len(stage.seen().challenges) == 1


# --- reorganisations ---


@dataclass
class Fork:
    """One of two chains with the same beginning."""

    devnet: Devnet
    actors: Actors
    stage: Stage


@pytest.fixture
def forks() -> list[Fork]:
    """Two forks that part before the settlement."""
    made = []
    for devnet in (Devnet(), Devnet()):
        actors = Actors(devnet, deploy(devnet.provider, devnet.accounts[0], min_phase=60))
        actors.erin  # noqa: B018  (funds her)
        stage = Stage(devnet, actors.operator, [actors.alice, actors.bob, actors.carol])
        made.append(Fork(devnet, actors, stage.open().commit().draw().reveal()))
    return made


def test_a_challenge_that_a_reorganisation_took_away_is_made_again(forks, tmp_path):
    for fork in forks:
        fork.stage.settle_as(dearer)
    provider = Meddler(forks[0].devnet)
    desk = Desk(Chain(provider, forks[0].actors.deployment.market, forks[0].actors.erin.signer), tmp_path)
    desk.step()
    assert len(forks[0].stage.seen().challenges) == 1
    provider.honest = forks[1].devnet.provider
    forks[1].devnet.mine()  # another block where the challenge was
    assert forks[1].stage.seen().challenges == ()
    desk.step()
    desk.step()
    assert len(forks[1].stage.seen().challenges) == 1


def test_a_settlement_that_a_reorganisation_replaced_is_recomputed(forks, tmp_path):
    forks[0].stage.settle()
    forks[1].stage.settle_as(dearer)
    provider = Meddler(forks[0].devnet)
    desk = Desk(Chain(provider, forks[0].actors.deployment.market, forks[0].actors.erin.signer), tmp_path)
    assert desk.step() == ["round 1: every row is right"]
    provider.honest = forks[1].devnet.provider
    assert desk.step()[0] == "round 1: 1 wrong rows, of participants 1"
    assert len(forks[1].stage.seen().challenges) == 1
