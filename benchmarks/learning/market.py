"""The market as a method: real sketches, settlement, prices, reputations and deliveries; no chain.

What a buyer makes of its delivery is `market_node.learning`'s, not a copy.
"""

import hashlib
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from market_node.aggregate import personal_model
from market_node.fixed import update_of
from market_node.learning import LEAST_RATED, TRUST, keeps_own, rating, share
from market_node.records import LEAST_REPUTATION, ONE, Bid, Model, Participant, Reveal, Round, Settlement, Terms
from market_node.settlement import reputations, row_weights, settle
from market_node.sketch import sketch
from market_node.weights import flatten, manifest_of, unflatten

from .lab import Lab

TOKEN = 10**18
UNUSED = bytes(32)


@dataclass(frozen=True, slots=True)
class Rule:
    """What the rounds' terms and the clients' bids say, and how buyers mix."""

    max_sellers: int = 2
    floor: float = 0.1
    value: float = 0.0
    """Tokens that a perfect model is worth; 0: √(K/N), the paper's."""
    cost: float = 1.0
    """Tokens for each copy: the paper's c."""
    trust: int = TRUST
    counted: int = 32
    """So many sellers at most count for the share of a delivery in the mixture."""
    head: float = 1.0
    """The last layer's share, relative to the others'."""
    fade: float = 0.0
    """By how much the shares have fallen in the last round, in a straight line."""
    anchor: float = 0.0
    """How far the last model is drawn back to the mixture that it was trained from."""


def market(lab: Lab, **knobs: float) -> Tensor:
    """Rounds of the market between trainings."""
    rule = Rule(**knobs)  # type: ignore[arg-type]
    stand = Stand(lab, rule)
    weights = lab.train(lab.base, 0)
    for number in range(1, lab.rounds + 1):
        weights = stand.play(number, weights)
    lab.notes |= {"paid": stand.paid.tolist(), "earned": stand.earned.tolist(), "ratings": stand.ratings}
    return weights


class Stand:
    """The clients' accounts over all rounds."""

    def __init__(self, lab: Lab, rule: Rule) -> None:
        self.lab, self.rule = lab, rule
        self.manifest = manifest_of(lab.crowd.split(lab.base[0]))
        self.fixed = flatten(lab.crowd.split(lab.base[0]), self.manifest)
        self.reputations = [LEAST_REPUTATION] * lab.clients
        self.paid, self.earned = torch.zeros(lab.clients), torch.zeros(lab.clients)
        self.ratings: list[int] = []
        self.kept = 0

    def play(self, number: int, weights: Tensor) -> Tensor:
        """One round, and the training after it."""
        updates = [update_of(flatten(self.lab.crowd.split(row), self.manifest), self.fixed) for row in weights]
        round_ = self._round(number, updates)
        settlement = settle(round_, frozenset())
        shares = row_weights(round_, settlement)
        self.lab.trade(self._book(settlement), weights)
        mixed = weights.clone()
        for buyer, sellers in shares.items():
            delivered = unflatten(personal_model(self.fixed, {s: updates[s] for s in sellers}, sellers), self.manifest)
            mixed[buyer] += self._shares(number, len(sellers), buyer) * (self.lab.crowd.join(delivered) - mixed[buyer])
        return self._adopt(number, weights, mixed, round_, settlement)

    def _shares(self, number: int, sellers: int, buyer: int) -> Tensor:
        """The share of the delivery in each weight of the mixture."""
        fading = 1 - self.rule.fade * (number - 1) / max(1, self.lab.rounds - 1)
        samples = self.lab.federation.samples[buyer]
        alpha = fading * share(min(sellers, self.rule.counted), samples, self.rule.trust)
        return torch.where(self.lab.crowd.columns(1), alpha * self.rule.head, alpha)

    def _adopt(self, number: int, own: Tensor, mixed: Tensor, round_: Round, settlement: Settlement) -> Tensor:
        """Trains on from the mixtures, and rates and guards where there is a hold-out to do it with."""
        tuned = self.lab.train(mixed, number)
        if number == self.lab.rounds:
            tuned.lerp_(mixed, self.rule.anchor)
        owners = self.lab.federation.owners
        judges = [i for i, owner in enumerate(owners) if settlement.rows[i] and len(owner.holdout) >= LEAST_RATED]
        alone = self.lab.train(own[judges], number, rows=judges)
        participants = list(round_.participants)
        for buyer, before in zip(judges, alone, strict=True):
            losses = [self.lab.holdout_losses(row, buyer) for row in (before, tuned[buyer])]
            said = rating(*losses)
            participants[buyer] = replace(participants[buyer], rating=said)
            self.ratings += [] if said is None else [said]
            if keeps_own(*losses, self.lab.federation.samples[buyer]):
                tuned[buyer] = before
                self.kept += 1
        rated = replace(round_, participants=tuple(participants))
        self.reputations = list(reputations(rated, settlement, self.reputations))
        return tuned

    def _round(self, number: int, updates: list[Tensor]) -> Round:
        seed = hashlib.sha256(f"benchmark {self.lab.seed} {number}".encode()).digest()
        participants = tuple(
            Participant(
                f"client {index}",
                deposit=ONE * TOKEN,
                reveal=Reveal(self._bid(index), self.reputations[index], Model(UNUSED, UNUSED), sketch(update, seed)),
            )
            for index, update in enumerate(updates)
        )
        return Round(
            number,
            "aggregator",
            self._terms(),
            participants=participants,
            seed=seed,
            reveal_order=tuple(range(len(updates))),
        )

    def _bid(self, client: int) -> Bid:
        samples = self.lab.federation.samples[client]
        value = self.rule.value or (5e5 / samples) ** 0.5
        return Bid(int(value * TOKEN), int(self.rule.cost * TOKEN), samples, 0)

    def _terms(self) -> Terms:
        """A newcomer is believed whatever the largest client has."""
        most = max(self.lab.federation.samples) * ONE // LEAST_REPUTATION
        return Terms(
            UNUSED,
            0,
            TOKEN,
            ONE * TOKEN,
            most,
            int(self.rule.floor * ONE),
            self.rule.max_sellers,
            self.lab.clients,
            *(1, 1, 1, 1, 1, 1),
        )

    def _book(self, settlement: Settlement) -> Tensor:
        graph = torch.zeros(self.lab.clients, self.lab.clients, dtype=torch.bool)
        for buyer, row in enumerate(settlement.rows):
            for purchase in row:
                graph[buyer, purchase.seller] = True
                self.paid[buyer] += purchase.price / TOKEN
                self.earned[purchase.seller] += purchase.price / TOKEN
        return graph
