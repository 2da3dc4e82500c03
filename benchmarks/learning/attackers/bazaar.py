"""The market with two attackers."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import mean

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from market_node.copies import Copy, find_copies
from market_node.pins import COMPARED
from market_node.records import ONE, Bid, Purchase, Round, Settlement
from market_node.settlement import settle
from market_node.sketch import cosine

from ..market import TOKEN, Rule, Stand
from .kinds import COPIES, RESELLING, dressed, offers
from .training import CLIENTS, HONEST, TARGET, Trained, mark

LOOKED_AT = (1, 5, 10)
"""Rounds after which accuracy is measured."""


@dataclass
class Record:
    """What one run found."""

    accuracies: dict[int, float] = field(default_factory=dict)
    """Round → mean over the eight, percent of their own mixes."""
    cosines: dict[int, float] = field(default_factory=dict)
    """Round → mean cosine of the attackers' sketches with the eight's."""
    layers: list[list[float]] = field(default_factory=list)
    """In the first round, of each layer: its share of an attacker's update, squared; the mean cosine of that part with
    the same part of those that buy the update, and of those that do not (NaN where there are none)."""
    sold: list[int] = field(default_factory=list)
    """Of each round: how many of the eight bought from an attacker, times two where from both."""
    sold_by_others: list[int] = field(default_factory=list)
    earned: list[float] = field(default_factory=list)
    """Tokens of each round, both attackers together."""
    excluded: list[int] = field(default_factory=list)
    """Attackers, of each round."""
    wrongly: list[int] = field(default_factory=list)
    """Of the eight, each round."""
    rated: list[int] = field(default_factory=list)
    """By the eight, for rows in which no attacker has part."""
    rated_with: list[int] = field(default_factory=list)
    """By the eight, for rows in which one has."""
    reputations: list[int] = field(default_factory=list)
    """Of the eight, at the end, 2**16 = 1."""
    attackers_reputations: list[int] = field(default_factory=list)
    backdoor: float = 0.0
    """Share of the eight's marked test pictures that they call `TARGET` at the end, percent."""
    copies: dict[str, list[int]] = field(default_factory=lambda: {name: [0, 0] for name in COPIES})
    """How a delivery was dressed up → [tried, excluded], for one more participant in each round."""
    seconds: float = 0.0


class Bazaar(Stand):
    """Places 0 to 7 are honest, 8 and 9 are not."""

    lab: Trained

    def __init__(self, lab: Trained, kind: str) -> None:
        super().__init__(lab, Rule())
        self.kind = kind
        self.weights = lab.train(lab.base, 0)
        self.past: list[dict[int, Tensor]] = []
        """Of each round: participant → update of those that were accepted."""
        self.bought: dict[int, Tensor] = {}
        """Attacker → its last delivery, one row."""
        self.found = Record()

    def run(self) -> Record:
        began = time.process_time()
        for number in range(1, self.lab.rounds + 1):
            self._one(number)
            if number in LOOKED_AT:
                self.found.accuracies[number] = mean(self.lab.measure(self.used)[:HONEST])
        self.found.reputations = self.reputations[:HONEST]
        self.found.attackers_reputations = self.reputations[HONEST:]
        self.found.backdoor = self._fooled()
        self.found.seconds = time.process_time() - began
        return self.found

    def _one(self, number: int) -> None:
        rows = torch.cat([self.weights[:HONEST], offers(self.kind, number, self.lab, self.weights, self.bought)])
        updates = [self.update(row) for row in rows]
        round_ = self._round(number, updates)
        excluded = self._excluded(updates)
        settlement = settle(round_, frozenset(excluded))
        self._note(number, round_, settlement, excluded)
        if number == 1:
            self.found.layers = self._layers(rows - self.lab.base, settlement)
        if self.kind == "absent" and self.past:
            self._try_copies(updates)
        delivered = self.deliveries(round_, settlement, updates)
        for attacker in delivered.keys() - self._honest:
            self.bought[attacker] = self.lab.crowd.join(delivered.pop(attacker))
        self.past.append({index: update for index, update in enumerate(updates) if index not in excluded})
        self.weights = self._adopt(number, self.weights, delivered, round_, settlement)
        self._note_ratings(settlement)

    @property
    def _honest(self) -> set[int]:
        """Who mixes in what it buys."""
        return set(range(CLIENTS if self.kind == "honest" else HONEST))

    def _excluded(self, updates: Sequence[Tensor]) -> set[int]:
        there = {index: update for index, update in enumerate(updates) if self.kind != "absent" or index < HONEST}
        found = set() if self.kind == "resold, unchecked" else {each.index for each in self._copies(there)}
        return found | (set(range(CLIENTS)) - there.keys())

    def _copies(self, updates: Mapping[int, Tensor]) -> list[Copy]:
        last = [each for round_ in self.past[-COMPARED:] for each in round_.items()]
        own: dict[int, list[int]] = {}
        for place, (index, _) in enumerate(last):
            own.setdefault(index, []).append(place)
        return find_copies(updates, [update for _, update in last], own)

    def _bid(self, client: int) -> Bid:
        bid = super()._bid(client)
        if client in self._honest:
            return bid
        if self.kind in RESELLING:  # to resell it has to buy, and who claims many samples gains little by others'
            return replace(bid, cost=0)
        return Bid(0, 0, 1 << 40, 0)  # asks nothing, and claims as much as anybody believes

    # --- what is written down ---

    def _note(self, number: int, round_: Round, settlement: Settlement, excluded: set[int]) -> None:
        sketches = [participant.reveal.sketch for participant in round_.participants if participant.reveal]
        alike = [cosine(one, other) for one in sketches[HONEST:] for other in sketches[:HONEST]]
        self.found.cosines[number] = mean(alike) / ONE
        sales: list[Purchase] = [each for row in settlement.rows[:HONEST] for each in row]
        mine = [each for each in sales if each.seller >= HONEST]
        self.found.sold.append(len(mine))
        self.found.sold_by_others.append(len(sales) - len(mine))
        self.found.earned.append(sum(each.price for each in mine) / TOKEN)
        self.found.excluded.append(sum(index >= HONEST for index in excluded))
        self.found.wrongly.append(sum(index < HONEST for index in excluded))

    def _note_ratings(self, settlement: Settlement) -> None:
        for buyer, said in self.rated.items():
            if buyer < HONEST:
                cheated = any(purchase.seller >= HONEST for purchase in settlement.rows[buyer])
                (self.found.rated_with if cheated else self.found.rated).append(said)

    def _layers(self, updates: Tensor, settlement: Settlement) -> list[list[float]]:
        buyers = torch.zeros(CLIENTS - HONEST, HONEST, dtype=torch.bool)
        for buyer, row in enumerate(settlement.rows[:HONEST]):
            for purchase in row:
                if purchase.seller >= HONEST:
                    buyers[purchase.seller - HONEST, buyer] = True
        places: dict[str, list[Tensor]] = {}
        for name, place in self.lab.crowd.places.items():
            places.setdefault(name.partition(".")[0], []).append(updates[:, place])
        found = []
        for parts in places.values():
            part = torch.cat(parts, dim=1).double()
            alike = cosine_similarity(part[HONEST:, None], part[None, :HONEST], dim=2)
            share = (part[HONEST:].norm(dim=1) / updates[HONEST:].double().norm(dim=1)).square().mean()
            found.append([float(share), float(alike[buyers].mean()), float(alike[~buyers].mean())])
        return found

    def _try_copies(self, updates: Sequence[Tensor]) -> None:
        """One more participant, who offers a copy."""
        earlier = self.past[-2] if len(self.past) > 1 else {}
        draw = torch.Generator().manual_seed(len(self.past))
        for _ in range(2):
            for name, copy in dressed(self.past[-1], earlier, draw).items():
                found = self._copies({**dict(enumerate(updates[:HONEST])), CLIENTS: copy})
                self.found.copies[name][0] += 1
                self.found.copies[name][1] += any(each.index == CLIENTS for each in found)

    def _fooled(self) -> float:
        shares = []
        for index in range(HONEST):
            test = self.lab.federation.owners[index].test
            others = mark(test.inputs[test.labels != TARGET])
            model = self.lab.crowd.load(self.used[index]).eval()
            with torch.no_grad():
                shares.append(float((model(others).argmax(dim=1) == TARGET).double().mean()))
        return 100 * mean(shares)
