"""One round of the market on a chain in this process, for whatever the owners train: see `flower` and `lora` here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from market_node.adoption import adopt
from market_node.aggregator import Aggregator
from market_node.audit import audit
from market_node.chain import Chain
from market_node.deploy import deploy, mint
from market_node.devnet import Devnet
from market_node.keys import EncryptionKeys
from market_node.learning import Training, Weights, fine_tune, weights_of
from market_node.models import publish_task
from market_node.node import Node
from market_node.records import ONE, Bid, Round, Terms
from market_node.seal import generate_keypair
from market_node.store import BlockStore
from market_node.weights import write_weights

TOKEN = 10**18
PHASE = 3600
"""Seconds of each phase. The chain's clock is set forward, so nobody waits."""


@dataclass
class Trader:
    """A participant, and what became of it."""

    name: str
    training: Training
    node: Node
    first: Weights
    """What it offered: trained alone, from the base."""
    alone: Weights = field(default_factory=dict)
    """Trained on without the market."""
    after: Weights = field(default_factory=dict)
    """Trained on from the mixture with what it bought, as often and on the same samples."""
    sellers: tuple[str, ...] = ()
    paid: int = 0
    earned: int = 0
    """Base units."""
    rating: int | None = None
    kept_own: bool = False


def play(
    trainings: Mapping[str, Training],
    folder: Path,
    task: str,
    architecture: Mapping[str, Any],
    *,
    floor: int = ONE // 10,
    sellers: int = 2,
    say: Callable[[str], None] = print,
) -> tuple[list[Trader], Round]:
    """Everybody trains, offers, buys, mixes and trains on; and trains the same without the market, to compare.

    Args:
        trainings: by name; `build_model` of any of them gives the base checkpoint.
        floor: the cosine of two updates that counts as none, 2**16 = 1.
        sellers: the most that one buys from.
    """
    market = _Market(folder)
    base = weights_of(next(iter(trainings.values())).build_model())
    write_weights(folder / "base.safetensors", base)
    published = publish_task(market.store, folder / "base.safetensors", task, architecture=dict(architecture))
    aggregator = Aggregator(folder / "aggregator", *market.join())
    traders = [
        Trader(name, training, Node(folder / name, *market.join()), fine_tune(training, base, seed=0))
        for name, training in trainings.items()
    ]
    number = aggregator.open_round(market.terms(published.digest, floor, sellers))
    for trader in traders:
        path = trader.node.folder / "offer.safetensors"
        write_weights(path, trader.first)
        trader.node.commit(number, path, _bid(trader.training))
        say(f"{trader.name} has trained, and offers its model")
    market.warp()
    aggregator.draw(number)
    aggregator.draw(number)
    for trader in traders:
        trader.node.reveal(number)
    market.warp()
    rows = aggregator.settle(number).rows
    for trader, row in zip(traders, rows, strict=True):
        trader.sellers = tuple(traders[purchase.seller].name for purchase in row)
        trader.paid = sum(purchase.price for purchase in row)
        for purchase in row:
            traders[purchase.seller].earned += purchase.price
        _learn(trader, number)
        say(f"{trader.name} has bought from {', '.join(trader.sellers) or 'nobody'}")
    market.warp()
    aggregator.pay_out(number)
    round_ = aggregator.round(number)
    assert audit(round_, aggregator.history.trail(number)).findings == ()
    return traders, round_


def _learn(trader: Trader, number: int) -> None:
    trader.alone = trader.after = fine_tune(trader.training, trader.first, seed=number)
    if not trader.sellers:
        return
    path = trader.node.fetch(number, trader.node.folder / "bought.safetensors")
    bought = trader.node.task(trader.node.round(number)).tensors(path)
    base = weights_of(trader.training.build_model())
    adoption = adopt(trader.training, base, trader.first, bought, len(trader.sellers), seed=number)
    trader.after, trader.rating, trader.kept_own = adoption.model, adoption.rating, adoption.kept_own
    if trader.rating is not None:
        trader.node.rate(number, trader.rating)


def _bid(training: Training) -> Bid:
    return Bid(value=50 * TOKEN, cost=TOKEN, samples=len(training.load_data().training), min_reputation=0)


class _Market:
    """A chain with the contracts, a store, and accounts that have tokens and keys."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.devnet = Devnet()
        self.operator, *self.accounts = self.devnet.accounts
        self.deployment = deploy(self.devnet.provider, self.operator, min_phase=PHASE)
        self.store = BlockStore(folder / "store")

    def join(self) -> tuple[Chain, BlockStore, EncryptionKeys]:
        chain = Chain(self.devnet.provider, self.deployment.market, self.accounts.pop(0))
        mint(self.devnet.provider, self.operator, self.deployment.token, chain.account, 1000 * TOKEN)
        chain.fund(1000 * TOKEN)
        private, public = generate_keypair()
        chain.set_encryption_key(public)
        return chain, self.store, EncryptionKeys([private])

    def terms(self, task: bytes, floor: int, sellers: int) -> Terms:
        return Terms(
            task=task,
            fee=TOKEN,
            reveal_bond=10 * TOKEN,
            bond=200 * TOKEN,
            max_samples=8192,
            similarity_floor=floor,
            max_sellers=sellers,
            max_participants=16,
            commit_deadline=self.devnet.now() + PHASE,
            draw_time=PHASE,
            reveal_time=PHASE,
            settle_time=PHASE,
            challenge_time=PHASE,
            refute_time=PHASE,
        )

    def warp(self) -> None:
        self.devnet.warp(PHASE)
