"""The market as a method: real sketches, settlement, prices, reputations and deliveries; no chain.

What a buyer makes of its delivery is `market_node.adoption`'s, not a copy.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from market_node.adoption import (
    DRAWN_BACK,
    TRUST,
    Buyer,
    Look,
    Mixture,
    choose,
    drawn_in,
    head,
    judged_by,
    look_at,
    mix,
    mixture,
)
from market_node.aggregate import limited, personal_model, squared_lengths
from market_node.data import Examples
from market_node.fixed import update_of
from market_node.learning import Weights, losses
from market_node.records import LEAST_REPUTATION, ONE, Bid, Model, Participant, Reveal, Round, Settlement, Terms
from market_node.settlement import reputations, row_weights, settle
from market_node.sketch import sketch
from market_node.weights import flatten, manifest_of, unflatten

from .lab import K, Lab

TOKEN = 10**18
UNUSED = bytes(32)


@dataclass(frozen=True, slots=True)
class Rule:
    """What the rounds' terms and the clients' bids say, and how buyers mix."""

    max_sellers: int = 8
    floor: float = 0.2
    value: float = 0.0
    """Tokens that a perfect model is worth; 0: √(K/N), the paper's."""
    cost: float = 1.0
    """Tokens for each copy: the paper's c."""
    trust: int = TRUST
    """n₀ of the mixtures."""
    back: float = DRAWN_BACK
    """How far the models that are used are drawn back."""
    draws_in: bool = True
    """Whether long deliveries are shortened."""
    looks: bool = True
    """Whether a buyer looks at a delivery before it mixes it in."""
    grafts: bool = True
    """Whether body and head are told apart."""


def market(lab: Lab, **knobs: float) -> Tensor:
    """Rounds of the market between trainings."""
    rule = Rule(**knobs)  # type: ignore[arg-type]
    stand = Stand(lab, rule)
    weights = lab.train(lab.base, 0)
    for number in range(1, lab.rounds + 1):
        weights = stand.play(number, weights)
    lab.notes |= {"paid": stand.paid.tolist(), "earned": stand.earned.tolist()}
    return stand.used


class Stand:
    """The clients' accounts over all rounds."""

    def __init__(self, lab: Lab, rule: Rule) -> None:
        self.lab, self.rule = lab, rule
        self.base = lab.crowd.split(lab.base[0])
        self._head = head(self.base) if rule.grafts else frozenset()
        self.manifest = manifest_of(self.base)
        self.fixed = flatten(self.base, self.manifest)
        self.reputations = [LEAST_REPUTATION] * lab.clients
        self.paid, self.earned = torch.zeros(lab.clients), torch.zeros(lab.clients)
        self.rated: dict[int, int] = {}
        """Buyer → its rating in the last round, of those that gave one."""
        self.used = lab.base
        """The models that the clients use since the last round, `clients x weights`."""
        self._ignorance: dict[int, Tensor] = {}

    def play(self, number: int, weights: Tensor) -> Tensor:
        """One round, and the training after it. What is trained on from, `clients x weights`."""
        updates = [self.update(row) for row in weights]
        round_ = self._round(number, updates)
        settlement = settle(round_, frozenset())
        self.lab.trade(self._book(settlement), weights)
        delivered = self.deliveries(round_, settlement, updates)
        return self._adopt(number, weights, delivered, round_, settlement)

    def update(self, row: Tensor) -> Tensor:
        """What a client offers, in fixed point."""
        return update_of(flatten(self.lab.crowd.split(row), self.manifest), self.fixed)

    def deliveries(self, round_: Round, settlement: Settlement, updates: Sequence[Tensor]) -> dict[int, Weights]:
        """Buyer → its personal model."""
        rows = row_weights(round_, settlement)
        shares = limited(rows, squared_lengths(rows, dict(enumerate(updates))))
        return {
            buyer: unflatten(personal_model(self.fixed, {s: updates[s] for s in sellers}, sellers), self.manifest)
            for buyer, sellers in shares.items()
        }

    def _buyer(self, index: int, own: Tensor) -> Buyer:
        """`own`: what it offered, one row."""
        known, split = self._known(index), self.lab.crowd.split
        if index not in self._ignorance:
            self._ignorance[index] = known(self.base)
        return Buyer(
            base=self.base,
            own=split(own),
            samples=self.lab.federation.samples[index],
            last=self._head,
            known=known,
            held_out=partial(self._losses, self.lab.federation.owners[index].holdout),
            nothing=self._ignorance[index],
        )

    def _known(self, client: int) -> Callable[[Weights], Tensor]:
        return partial(self._losses, judged_by(self.lab.federation.owners[client].training))

    def _losses(self, examples: Examples, weights: Weights) -> Tensor:
        return losses(self.lab.crowd.load(self.lab.crowd.join(weights)), examples)

    def _mixture(self, buyer: Buyer, delivered: Weights, sellers: int) -> Mixture:
        """As nodes do it, but for what the rule leaves out."""
        if self.rule.draws_in and self.rule.looks:
            return mixture(buyer, delivered, sellers, self.rule.trust)
        near = drawn_in(buyer.base, buyer.own, delivered) if self.rule.draws_in else delivered
        look = look_at(buyer.known, buyer.nothing, buyer.own, near, buyer.last) if self.rule.looks else Look()
        return Mixture(mix(buyer.own, near, sellers, buyer.samples, self.rule.trust, look, buyer.last), look)

    def _adopt(
        self, number: int, own: Tensor, delivered: Mapping[int, Weights], round_: Round, settlement: Settlement
    ) -> Tensor:
        """Trains on from the mixtures and from the own models, rates and guards."""
        crowd, starts = self.lab.crowd, own.clone()
        buyers = {index: self._buyer(index, own[index]) for index in delivered}
        mixed = {
            index: self._mixture(buyer, delivered[index], len(settlement.rows[index]))
            for index, buyer in buyers.items()
        }
        for index, each in mixed.items():
            starts[index] = crowd.join(each.weights)
        offers, rows = self.lab.train(starts, number), list(buyers)
        alone = dict(zip(rows, self.lab.train(own[rows], number, rows=rows), strict=True))
        self.used, self.rated = offers.clone(), {}
        participants = list(round_.participants)
        for index, buyer in buyers.items():
            tuned = (crowd.split(row) for row in (alone[index], offers[index]))
            adoption = choose(buyer, mixed[index], *tuned, self.rule.back)
            participants[index] = replace(participants[index], rating=adoption.rating)
            offers[index], self.used[index] = crowd.join(adoption.offer), crowd.join(adoption.model)
            if adoption.rating is not None:
                self.rated[index] = adoption.rating
        rated = replace(round_, participants=tuple(participants))
        self.reputations = list(reputations(rated, settlement, self.reputations))
        return offers

    def _round(self, number: int, updates: Sequence[Tensor]) -> Round:
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
        value = self.rule.value or (K / samples) ** 0.5
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
