"""The whole market in one process: nine owners of pictures, an aggregator and an auditor, three rounds, a real chain.

Nothing is played: the chain runs the contracts, files are sealed and stored, models are trained, and whatever the
report says was read from the chain or recomputed from it.
"""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from eth_account.signers.local import LocalAccount

from .adoption import adopt
from .aggregator import Aggregator
from .audit import Audit, audit
from .chain import Chain
from .data import Owner
from .deploy import deploy, mint
from .devnet import Devnet
from .history import History
from .keys import EncryptionKeys
from .learning import OwnTraining, Weights, accuracy, fine_tune, weights_of
from .models import publish_task
from .node import Node
from .records import NOT_SELLING, Round, Settlement, Terms
from .scenario import TOKEN, Actor, Scenario, noise
from .seal import generate_keypair
from .settlement import settle
from .store import BlockStore
from .task import Task
from .weights import write_weights

PHASE = 3600
"""Seconds of each phase; the chain's clock is set forward, so nobody waits."""

PURSE = 1000 * TOKEN
"""What everybody brings to the market."""

LIES = (0.5, 0.8, 1.25, 2.0)
"""Factors by which each seller's cost is misstated when the last round is replayed."""

STEPS = {
    "RoundOpened": "open",
    "Committed": "commit",
    "SeedBlockChosen": "draw, first",
    "SeedDrawn": "draw, second",
    "BidRevealed": "reveal",
    "RoundSettled": "settle",
    "DeliveryRated": "rate",
    "DeliveryRejected": "reject",
    "PaidOut": "payOut",
}
"""Event → the step whose transaction says it."""

Say = Callable[[str], None]


@dataclass
class Player:
    """One participant and what it has learned so far."""

    actor: Actor
    owner: Owner
    """Its pictures."""
    training: OwnTraining
    node: Node
    alone: Weights
    """Trained for the same steps on the same batches, without the market."""
    offer: Weights
    """What it trains on from and offers."""
    model: Weights
    """What it uses."""
    spent: int = 0
    earned: int = 0
    bought: int = 0
    sold: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the demo found."""

    scenario: Scenario
    players: tuple[Player, ...]
    rounds: tuple[Round, ...]
    audits: tuple[Audit, ...]
    accuracies: tuple[tuple[float, float], ...]
    """(alone, after the market) of each player, in percent of its own test pictures."""
    reputations: tuple[int, ...]
    gas: dict[str, list[int]]
    """Step → gas of each of its transactions."""
    temptation: tuple[int, str]
    """The most that any seller would have gained by a false cost in the last round, base units, and who and how."""
    balance: tuple[int, int]
    """Σ deposits + bonds, and Σ credits + burnt, over all rounds."""


class Demo:
    """Sets the market up and plays its rounds.

    Args:
        folder: where every node keeps its own folder, and all share one store.
        say: called with what happens, a line each.
    """

    def __init__(self, scenario: Scenario, folder: Path, say: Say = lambda _: None) -> None:
        self.scenario = scenario
        self.say = say
        self.devnet = Devnet()
        operator, self._auditor, *accounts = self.devnet.accounts
        self.deployment = deploy(self.devnet.provider, operator, min_phase=PHASE)
        self.store = BlockStore(folder / "store")
        say(f"market deployed at {self.deployment.market}")

        owners = scenario.owners()
        trainings = scenario.trainings(owners)
        self.base = weights_of(trainings[0].build_model())
        self.task = self._publish(folder)
        self.aggregator = Aggregator(folder / "aggregator", *self._join(operator, operator))
        self.players = [
            self._player(actor, owner, training, folder, operator, account)
            for actor, owner, training, account in zip(scenario.actors, owners, trainings, accounts, strict=False)
        ]
        # The auditor has an address to read from and nothing else: no keys, no store, no models.
        self.history = History(Chain(self.devnet.provider, self.deployment.market))

    def play(self) -> Outcome:
        """All rounds, then what they came to."""
        for number in range(1, self.scenario.rounds + 1):
            self.play_round(number)
        return self._outcome()

    def play_round(self, number: int) -> None:
        """One round, step by step, by nodes that know nothing of each other but the chain and the store."""
        opened = self.aggregator.open_round(self._terms())
        assert opened == number
        for player in self.players:
            path = player.node.folder / "offer.safetensors"
            write_weights(path, self._offer(player, number))
            player.node.commit(number, path, player.actor.bid)
        self.say(f"round {number}: {len(self.players)} sealed bids and models committed")
        self._pass(PHASE)
        self.aggregator.draw(number)
        self.aggregator.draw(number)
        for player in self.players:
            player.node.reveal(number)
        self._pass(PHASE)
        settlement = self.aggregator.settle(number)
        trades = sum(map(len, settlement.rows))
        self.say(f"round {number}: settled, {trades} models sold, {len(settlement.excluded)} excluded")
        for player in self.players:
            self._learn(player, number)
        self._pass(PHASE)
        self.aggregator.pay_out(number)
        self.say(f"round {number}: paid out")

    def _learn(self, player: Player, number: int) -> None:
        """Fetches what was bought, trains on, rates; and trains the same without the market."""
        row = self._settled(player.node.round(number)).rows[self.players.index(player)]
        if row:
            path = player.node.fetch(number, player.node.folder / "bought.safetensors")
            delivered = player.node.task(player.node.round(number)).tensors(path)
            adoption = adopt(player.training, self.base, player.offer, delivered, len(row), seed=number)
            player.offer, player.model = adoption.offer, adoption.model
            if adoption.rating is not None:
                player.node.rate(number, adoption.rating)
        else:
            player.offer = player.model = fine_tune(player.training, player.offer, seed=number)
        player.alone = fine_tune(player.training, player.alone, seed=number)

    def _offer(self, player: Player, number: int) -> Weights:
        if player.actor.offers_noise:
            return noise(self.base, player.offer, self.scenario.seed * 100 + number)
        return player.offer

    # --- setting up ---

    def _publish(self, folder: Path) -> Task:
        """Stores the task's base checkpoint and its spec."""
        path = folder / "base.safetensors"
        write_weights(path, self.base)
        name = f"{self.scenario.dataset}-{self.scenario.seed}"
        return publish_task(self.store, path, name, architecture=dict(self.scenario.architecture))

    def _join(self, operator: LocalAccount, account: LocalAccount) -> tuple[Chain, BlockStore, EncryptionKeys]:
        """An account's chain, store and keys: it has tokens in the escrow and its encryption key on chain."""
        chain = Chain(self.devnet.provider, self.deployment.market, account)
        mint(self.devnet.provider, operator, self.deployment.token, account.address, PURSE)
        chain.fund(PURSE)
        private, public = generate_keypair()
        chain.set_encryption_key(public)
        return chain, self.store, EncryptionKeys([private])

    def _player(
        self,
        actor: Actor,
        owner: Owner,
        training: OwnTraining,
        folder: Path,
        operator: LocalAccount,
        account: LocalAccount,
    ) -> Player:
        node = Node(folder / actor.name, *self._join(operator, account))
        first = fine_tune(training, self.base, seed=0)
        return Player(actor, owner, training, node, alone=first, offer=first, model=first)

    def _terms(self) -> Terms:
        scenario = self.scenario
        return Terms(
            task=self.task.digest,
            fee=scenario.fee,
            reveal_bond=scenario.reveal_bond,
            bond=scenario.bond,
            max_samples=scenario.max_samples,
            similarity_floor=scenario.similarity_floor,
            max_sellers=scenario.max_sellers,
            max_participants=len(self.players),
            commit_deadline=self.devnet.now() + PHASE,
            draw_time=PHASE,
            reveal_time=PHASE,
            settle_time=PHASE,
            challenge_time=PHASE,
            refute_time=PHASE,
        )

    def _pass(self, seconds: int) -> None:
        self.devnet.warp(seconds)

    # --- what came of it: from the chain's logs alone, but for the accuracies ---

    def _outcome(self) -> Outcome:
        self.history.refresh()
        rounds = tuple(self.history.round(number) for number in range(1, self.scenario.rounds + 1))
        audits = tuple(audit(round_, self.history.trail(round_.number)) for round_ in rounds)
        for round_ in rounds:
            self._book(round_)
        aggregator = self.aggregator.chain.account
        return Outcome(
            scenario=self.scenario,
            players=tuple(self.players),
            rounds=rounds,
            audits=audits,
            accuracies=tuple((_measure(p, p.alone), _measure(p, p.model)) for p in self.players),
            reputations=tuple(self.history.chain.reputation(aggregator, p.node.chain.account) for p in self.players),
            gas=self._gas(),
            temptation=temptation(rounds[-1], [player.actor for player in self.players]),
            balance=self._balance(rounds),
        )

    def _book(self, round_: Round) -> None:
        for player, row in zip(self.players, self._settled(round_).rows, strict=True):
            player.bought += len(row)
            for purchase in row:
                player.spent += purchase.price
                self.players[purchase.seller].sold += 1
                self.players[purchase.seller].earned += purchase.price

    def _balance(self, rounds: Sequence[Round]) -> tuple[int, int]:
        paid_in = sum(sum(p.deposit for p in round_.participants) + round_.terms.bond for round_ in rounds)
        trails = [self.history.trail(round_.number) for round_ in rounds]
        paid_to = sum(sum(trail.credits.values()) + trail.burnt + (trail.aggregator or 0) for trail in trails)
        return paid_in, paid_to

    def _gas(self) -> dict[str, list[int]]:
        """Gas of every transaction of a round, by what it did."""
        chain = self.history.chain
        events = chain.events(0, chain.block())
        steps = {event.transaction: STEPS[event.name] for event in events if event.name in STEPS}
        gas: dict[str, list[int]] = {step: [] for step in STEPS.values()}
        for transaction, step in steps.items():
            gas[step].append(chain.gas(transaction))
        return {step: used for step, used in gas.items() if used}

    @staticmethod
    def _settled(round_: Round) -> Settlement:
        assert round_.settlement is not None
        return round_.settlement


def _measure(player: Player, weights: Weights) -> float:
    """Accuracy on the player's own test pictures, weighted with its own mix of labels, percent."""
    model = player.training.build_model()
    model.load_state_dict(weights)
    return 100 * accuracy(model, player.owner.test, player.owner.label_mix)


def temptation(round_: Round, actors: Sequence[Actor]) -> tuple[int, str]:
    """The most that any seller could have gained by a false cost, all else equal: base units, and who and how.

    Each seller's round is settled with its true cost and with each of `LIES` times that.
    """
    best, told = 0, "nobody, by no factor"
    for index, actor in enumerate(actors):
        if actor.cost == NOT_SELLING:
            continue
        honest = profit(round_, index, actor.cost, actor.cost)
        for factor in LIES:
            gained = profit(round_, index, int(actor.cost * factor), actor.cost) - honest
            if gained > best:
                best, told = gained, f"{actor.name}, who would have bid {factor} times its cost"
    return best, told


def profit(round_: Round, index: int, bid: int, cost: int) -> int:
    """What a seller whose true cost is `cost` makes in the round when it bids `bid`, all else equal. Base units."""
    participants = list(round_.participants)
    reveal = participants[index].reveal
    assert reveal is not None
    participants[index] = replace(participants[index], reveal=replace(reveal, bid=replace(reveal.bid, cost=bid)))
    rows = settle(replace(round_, participants=tuple(participants)), frozenset()).rows
    return sum(purchase.price - cost for row in rows for purchase in row if purchase.seller == index)


def run(scenario: Scenario, say: Say = lambda _: None) -> Outcome:
    """Plays a scenario in a folder that vanishes."""
    torch.set_num_threads(1)  # networks this small only wait for a second one
    with tempfile.TemporaryDirectory(prefix="market-node-demo-") as folder:
        return Demo(scenario, Path(folder), say).play()
