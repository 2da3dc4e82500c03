"""Small rounds to play on a devnet, and a node that misbehaves."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from web3.providers.base import JSONBaseProvider

from market_node.chain import Chain
from market_node.codec import encode_excluded, encode_rows, seal_bid
from market_node.devnet import Devnet
from market_node.history import History
from market_node.records import ONE, SKETCH_SIZE, Bid, Model, Terms
from market_node.settlement import reveals_hash, settle

PHASE = 600
SALT = b"\5" * 32
MODEL = Model(b"\2" * 32, b"\3" * 32)
BID = Bid(value=1 << 22, cost=1000, samples=100, min_reputation=0)
DEPOSIT = 16 << 20
SKETCH = bytes([1]) * SKETCH_SIZE


def terms(now: int, **changes: Any) -> Terms:
    """Plain terms whose commits close in `PHASE` seconds."""
    plain = Terms(
        task=bytes(range(32)),
        fee=1000,
        reveal_bond=1 << 20,
        bond=1 << 24,
        max_samples=3200,
        similarity_floor=ONE // 10,
        max_sellers=4,
        max_participants=8,
        commit_deadline=now + PHASE,
        draw_time=PHASE,
        reveal_time=PHASE,
        settle_time=PHASE,
        challenge_time=PHASE,
        refute_time=PHASE,
    )
    return replace(plain, **changes)


def commit(chain: Chain, number: int, bid: Bid = BID) -> int:
    """The account's index."""
    sealed = seal_bid(chain.market, chain.chain_id, number, chain.account, bid, SALT)
    return chain.commit(number, sealed, MODEL, DEPOSIT)[1]


@dataclass
class Play:
    """A round on a devnet, one step after the other; the first of the players opened it."""

    devnet: Devnet
    aggregator: Chain
    players: list[Chain]
    number: int = 0
    bid: Bid = BID
    changes: dict[str, Any] = field(default_factory=dict)

    def open(self) -> "Play":
        self.number = self.aggregator.open_round(terms(self.devnet.now(), **self.changes))[1]
        return self

    def commit(self) -> "Play":
        for player in self.players:
            commit(player, self.number, self.bid)
        self.devnet.warp(PHASE)
        return self

    def draw(self) -> "Play":
        self.aggregator.draw_seed(self.number)
        self.aggregator.draw_seed(self.number)
        return self

    def reveal(self, *indices: int) -> "Play":
        """By default everybody, the last one first."""
        seed = self.aggregator.state(self.number).seed
        for index in indices or reversed(range(len(self.players))):
            player = self.players[index]
            player.reveal(self.number, index, seed, self.bid, SALT, MODEL, SKETCH, b"\7" * 80)
        self.devnet.warp(PHASE)
        return self

    def settle(self, excluded: frozenset[int] = frozenset()) -> "Play":
        history = History(self.aggregator)
        history.refresh()
        round_ = history.round(self.number)
        outcome = settle(round_, excluded)
        words = encode_excluded(excluded, len(self.players))
        rows = encode_rows(outcome.rows)
        self.aggregator.settle(self.number, reveals_hash(round_), words, rows, b"\x11" * 32)
        self.posted = (rows, words)
        return self

    def pay_out(self, *spans: tuple[int, int]) -> "Play":
        self.devnet.warp(PHASE)
        for start, end in spans or ((0, len(self.players)),):
            self.aggregator.pay_out(self.number, *self.posted, start, end)
        return self


Ask = Callable[[str, Any], Any]


class Meddler(JSONBaseProvider):
    """A node between: requests go to the devnet, but for the methods that somebody meddles with.

    Args:
        tricks: method → what is done instead, given the parameters and a way to ask the devnet for the response.
    """

    def __init__(self, devnet: Devnet, **tricks: Callable[[Any, Ask], Any]) -> None:
        super().__init__()
        self.honest = devnet.provider
        self.tricks = tricks
        self.asked: list[tuple[str, Any]] = []

    def make_request(self, method: Any, params: Any) -> Any:
        self.asked.append((method, params))
        if method in self.tricks:
            return self.tricks[method](params, self.honest.make_request)
        return self.honest.make_request(method, params)


def result(value: Any) -> dict[str, Any]:
    """A JSON-RPC response."""
    return {"jsonrpc": "2.0", "id": 1, "result": value}
