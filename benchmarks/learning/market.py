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
    LEAST_RATED,
    TRUST,
    Look,
    Verdict,
    drawn_back,
    drawn_in,
    has_failed,
    head,
    judged_by,
    look_at,
    mix,
    verdict,
)
from market_node.aggregate import limited, personal_model, squared_lengths
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
    lab.notes |= {"paid": stand.paid.tolist(), "earned": stand.earned.tolist(), "ratings": stand.ratings}
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
        self.ratings: list[int] = []
        self.kept = 0
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

    def mixture(self, buyer: int, own: Tensor, delivered: Weights, sellers: int) -> tuple[Tensor, Look]:
        """What a buyer trains on from, one row, and what it finds in its delivery: by `market_node.adoption`."""
        crowd, samples = self.lab.crowd, self.lab.federation.samples[buyer]
        mine = crowd.split(own)
        near = drawn_in(self.base, mine, delivered) if self.rule.draws_in else delivered
        look = Look()
        if self.rule.looks:
            look = look_at(self._judge(buyer), self._knows_nothing(buyer), mine, near, self._head)
        return crowd.join(mix(mine, near, sellers, samples, self.rule.trust, look, self._head)), look

    def _judge(self, buyer: int) -> Callable[[Weights], Tensor]:
        return partial(self._training_losses, client=buyer)

    def _knows_nothing(self, buyer: int) -> Tensor:
        if buyer not in self._ignorance:
            self._ignorance[buyer] = self._training_losses(self.base, buyer)
        return self._ignorance[buyer]

    def _training_losses(self, weights: Weights, client: int) -> Tensor:
        samples = judged_by(self.lab.federation.owners[client].training)
        return losses(self.lab.crowd.load(self.lab.crowd.join(weights)), samples)

    def _adopt(
        self, number: int, own: Tensor, delivered: Mapping[int, Weights], round_: Round, settlement: Settlement
    ) -> Tensor:
        """Trains on from the mixtures and from the own models, rates and guards."""
        mixed, looks, buyers = own.clone(), {}, list(delivered)
        for buyer, model in delivered.items():
            mixed[buyer], looks[buyer] = self.mixture(buyer, own[buyer], model, len(settlement.rows[buyer]))
        tuned = self.lab.train(mixed, number)
        self.used = tuned.clone()
        alone = dict(zip(buyers, self.lab.train(own[buyers], number, rows=buyers), strict=True))
        participants = list(round_.participants)
        for buyer in buyers:
            back = self._drawn_back(tuned[buyer], mixed[buyer], looks[buyer].body)
            said = self._verdict(buyer, alone[buyer], tuned[buyer], back)
            participants[buyer] = replace(participants[buyer], rating=said.rating)
            self.ratings += [] if said.rating is None else [said.rating]
            if said.keeps_own:
                tuned[buyer] = self.used[buyer] = alone[buyer]
                self.kept += 1
            elif said.draws_back:
                self.used[buyer] = back
        rated = replace(round_, participants=tuple(participants))
        self.reputations = list(reputations(rated, settlement, self.reputations))
        return tuned

    def _verdict(self, buyer: int, alone: Tensor, tuned: Tensor, back: Tensor) -> Verdict:
        judge, split = self._judge(buyer), self.lab.crowd.split
        failed = has_failed(self._knows_nothing(buyer), judge(split(alone)), judge(split(tuned)))
        held_out = len(self.lab.federation.owners[buyer].holdout) >= LEAST_RATED
        rows = (alone, tuned, back) if held_out else ()
        judged = [self.lab.holdout_losses(row, buyer) for row in rows] or [torch.empty(0)] * 3
        return verdict(*judged, self.lab.federation.samples[buyer], failed)

    def _drawn_back(self, tuned: Tensor, mixed: Tensor, useful: float) -> Tensor:
        crowd = self.lab.crowd
        return crowd.join(drawn_back(crowd.split(tuned), crowd.split(mixed), useful, self._head, self.rule.back))

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
