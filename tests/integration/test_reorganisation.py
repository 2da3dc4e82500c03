"""A chain that is reorganised around a reveal and around a settlement: what was read is undone, what was sent is sent
again, and the round completes."""

from dataclasses import dataclass

import pytest

from market_node.chain import Chain
from market_node.codec import encode_excluded, encode_rows
from market_node.deploy import deploy
from market_node.devnet import Devnet
from market_node.errors import Reverted
from market_node.history import History
from market_node.settlement import payout, reveals_hash, settle
from tests.conftest import Actors
from tests.integration.pool import fork
from tests.integration.stage import MODEL, PHASE, SALT, SKETCH, Meddler, Play

DEPTHS = range(1, 9)
PLAYERS = ("alice", "bob", "carol")


@dataclass
class Town:
    """A market whose chain can be reorganised under everybody's feet."""

    devnet: Devnet
    node: Meddler
    play: Play

    def reorganise(self, depth: int, blocks: int) -> None:
        """The last blocks are others now: so many that a miner found without anybody's transactions."""
        other = fork(self.devnet, len(self.devnet.mined) - 1 - depth)
        other.shift(self.devnet.now() - other.now())
        for _ in range(blocks):
            other.mine()
        self.devnet, self.node.honest = other, other.provider
        self.play.devnet = other

    def bury(self, blocks: int) -> None:
        for _ in range(blocks):
            self.devnet.mine()

    @property
    def chains(self) -> list[Chain]:
        return [self.play.aggregator, *self.play.players]


@pytest.fixture(scope="module")
def drawn() -> Devnet:
    """A round whose seed is drawn, before anything is revealed. Each test goes on with a copy."""
    devnet = Devnet()
    actors = Actors(devnet, deploy(devnet.provider, devnet.accounts[0], min_phase=60))
    Play(devnet, actors.operator, [getattr(actors, name) for name in PLAYERS]).open().commit().draw()
    return devnet


@pytest.fixture
def town(drawn) -> Town:
    devnet = fork(drawn, len(drawn.mined) - 1)
    node = Meddler(devnet)
    market = next(each.created for each in devnet.mined if each.created and each.receipt.gas_used > 3_000_000)
    address = "0x" + market.hex()
    signers = devnet.accounts
    operator, *players = (Chain(node, address, signers[index], timeout=5) for index in range(4))
    return Town(devnet, node, Play(devnet, operator, players, number=1))


def reveal(town: Town, index: int) -> None:
    player, play = town.play.players[index], town.play
    player.reveal(1, index, player.state(1).seed, play.bid, SALT, MODEL, SKETCH, b"\7" * 80)


def post(town: Town, history: History) -> None:
    history.refresh()
    round_ = history.round(1)
    outcome = settle(round_, frozenset())
    words, rows = encode_excluded(frozenset(), len(PLAYERS)), encode_rows(outcome.rows)
    town.play.aggregator.settle(1, reveals_hash(round_), words, rows, b"\x11" * 32)
    town.play.posted = (rows, words)


def finish(town: Town, history: History) -> None:
    """The round ends as if nothing had happened: everybody is paid what is due."""
    town.play.pay_out()
    round_ = history.check(1)
    due = payout(round_, round_.settlement)
    trail = history.trail(1)
    assert [trail.credits[each.account] for each in round_.participants] == list(due.credits)
    assert town.play.aggregator.pot(1) == 0


@pytest.mark.parametrize("depth", DEPTHS)
def test_a_reveal_that_is_undone_is_unread_sent_again_and_the_round_completes(town, depth):
    history = History(town.chains[0])
    reveal(town, 0)
    reveal(town, 1)
    town.bury(depth - 1)  # Bob's reveal is so deep that the reorganisation just reaches it
    history.refresh()
    assert history.round(1).reveal_order == (0, 1)

    town.reorganise(depth, depth + 1)
    history.refresh()
    assert history.round(1).reveal_order == (0,)

    for chain in town.chains:
        chain.prepare()
    history.refresh()
    assert history.round(1).reveal_order == (0, 1)
    reveal(town, 2)
    town.devnet.warp(PHASE)
    post(town, history)
    finish(town, history)


@pytest.mark.parametrize("depth", DEPTHS)
def test_a_settlement_that_is_undone_is_unread_sent_again_and_the_round_completes(town, depth):
    history = History(town.chains[0])
    for index in (2, 0, 1):
        reveal(town, index)
    town.devnet.warp(PHASE)
    post(town, history)
    town.bury(depth - 1)
    history.refresh()
    assert history.round(1).settlement is not None

    town.reorganise(depth, depth + 1)
    history.refresh()
    assert history.round(1).settlement is None and history.round(1).reveal_order == (2, 0, 1)

    town.play.aggregator.prepare()
    history.refresh()
    assert history.round(1).settlement is not None
    finish(town, history)


@pytest.mark.parametrize("depth", [3, 5, 8])
def test_a_settlement_of_reveals_that_came_back_in_another_order_is_refused(town, depth):
    """Between reveal and settle: what the aggregator has read is no longer what happened."""
    history = History(town.chains[0])
    for index in (2, 0, 1):
        reveal(town, index)
    town.bury(depth - 3)
    history.refresh()
    before = history.round(1)

    town.reorganise(depth, depth + 1)
    for chain in town.play.players:  # Alice first
        chain.prepare()
    town.devnet.warp(PHASE)
    words, rows = encode_excluded(frozenset(), len(PLAYERS)), encode_rows(settle(before, frozenset()).rows)
    with pytest.raises(Reverted, match="WrongReveals"):
        town.play.aggregator.settle(1, reveals_hash(before), words, rows, b"\x11" * 32)
    post(town, history)
    assert history.round(1).reveal_order == (0, 1, 2)
    finish(town, history)


def test_a_reorganisation_while_the_node_was_stopped_is_said(town, open_state, caplog):
    def start() -> tuple[Chain, History]:
        chain = Chain(town.node, town.play.aggregator.market, town.play.aggregator.signer)
        chain.remember(open_state())
        return chain, History(chain)

    _, history = start()
    reveal(town, 0)
    history.refresh()
    town.reorganise(1, 3)
    _, history = start()
    history.refresh()
    assert "is not the one that was read before the node was stopped" in caplog.text
    assert history.round(1).reveal_order == ()


def test_nothing_is_said_where_the_blocks_are_the_same_after_a_restart(town, open_state, caplog):
    for _ in range(2):
        chain = Chain(town.node, town.play.aggregator.market)
        chain.remember(open_state())
        History(chain).refresh()
        town.bury(2)
    assert caplog.text == ""
