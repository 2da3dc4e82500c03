"""Attackers on the models: what each kind earns, what it costs others, and which copies are found.

    python -m benchmarks.learning.attackers              every kind, three partitions, 60 samples
    python -m benchmarks.learning.attackers --samples 200 --kinds honest,label-flip,backdoor

Ten participants, two of them attackers of one kind. Sketches, settlement, reputations, copies and deliveries are the
market's own; there is no chain. Runs are cached in build/learning; the document is written from all that are there.
"""

import argparse
import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import mean
from typing import Any

import torch
from torch import Tensor

from benchmarks.document import machine, table, write
from market_node.aggregate import personal_model
from market_node.copies import find_copies
from market_node.fixed import update_of
from market_node.learning import LEAST_RATED, keeps_own, rating, share
from market_node.pins import COMPARED
from market_node.records import ONE, Bid, Purchase, Round, Settlement
from market_node.settlement import reputations, row_weights, settle
from market_node.sketch import cosine
from market_node.weights import flatten, unflatten

from .lab import Lab
from .market import TOKEN, Rule, Stand
from .runs import CACHE
from .settings import PARTITIONS, Setting, fashion

CLIENTS, ATTACKERS = 10, 2
"""Of the ten, the last ones of a shuffle by seed attack: 20 %."""

LOOKED_AT = (1, 5, 10)
"""Rounds after which accuracy is measured."""

RULES = 1
"""Raised by hand whenever the code changes what it finds."""

MOST_WEIGHT = 127.9
"""What fixed-point weights hold."""

TARGET = 0
"""The class that a backdoor shows."""

NOISES = (10, 30, 50)
"""Percent of a copy's size."""

COPIES = (
    "as it is",
    "averaged",
    *(f"{level} % noise" for level in NOISES),
    "30 % of each weight",
    "bfloat16",
    "kept back",
)
"""How a copy is dressed up."""

KINDS = {
    "absent": "nobody attacks, eight participants",
    "honest": "nobody attacks, ten",
    "shuffled": "an update in another order",
    "sign-flipped": "an update times −1",
    "constant": "the same number everywhere",
    "noise": "random weights",
    "scaled": "an update times 10",
    "label-flip": "trained on labels 9 − y",
    "backdoor": "trained on a third of its pictures with a mark, labelled 0",
    "resold": "a delivery as it is",
    "resold, unchecked": "the same, and nobody looks for copies",
}
"""Kind → what its two offer, each as large as a real update but for `scaled`."""


@dataclass
class Record:
    """What one run found."""

    accuracies: dict[int, float]
    """Round → mean over the eight, percent of their own mixes."""
    cosines: dict[int, float]
    """Round → mean cosine of the attackers' sketches with the eight's."""
    sold: list[int]
    """Of each round: how many of the eight bought from an attacker, times two where from both."""
    sold_by_others: list[int]
    earned: list[float]
    """Tokens of each round, both attackers together."""
    excluded: list[int]
    """Attackers, of each round."""
    wrongly: list[int]
    """Of the eight, each round."""
    ratings: list[int]
    """By the eight, for rows in which no attacker has part."""
    ratings_of_attackers: list[int]
    reputations: list[int]
    """Of the eight, at the end, 2**16 = 1."""
    attackers_reputations: list[int]
    backdoor: float
    """Share of the eight's marked test pictures that they call `TARGET` at the end, percent."""
    copies: dict[str, list[int]]
    """How a delivery was dressed up → [tried, excluded], for one more participant in each round."""
    seconds: float


class Bazaar(Stand):
    """The market with two attackers. Places 0 to 7 are honest, 8 and 9 are not."""

    def __init__(self, lab: Lab, kind: str, check: bool, trained: "Trained") -> None:
        super().__init__(lab, Rule())
        self.kind, self.check, self.trained = kind, check, trained
        self.fixed = flatten(lab.crowd.split(trained.base[0]), self.manifest)  # the lab's model is another by now
        self.honest = CLIENTS - ATTACKERS
        self.weights = trained.honest(0)
        self.past: list[list[tuple[int, Tensor]]] = []
        """Of each round: (participant, update) of those that were accepted."""
        self.bought: dict[int, Tensor] = {}
        """Attacker → its last delivery, one row."""
        self.found = Record({}, {}, [], [], [], [], [], [], [], [], [], 0.0, {name: [0, 0] for name in COPIES}, 0.0)

    def run(self) -> Record:
        began = time.process_time()
        for number in range(1, self.lab.rounds + 1):
            self._one(number)
            if number in LOOKED_AT:
                accuracies = self.lab.measure(self.weights)[: self.honest]
                self.found.accuracies[number] = mean(accuracies)
        self.found.reputations = self.reputations[: self.honest]
        self.found.attackers_reputations = self.reputations[self.honest :]
        self.found.backdoor = self._fooled()
        self.found.seconds = time.process_time() - began
        return self.found

    def _one(self, number: int) -> None:
        rows = torch.cat([self.weights[: self.honest], self._offers(number)])
        updates = [update_of(flatten(self.lab.crowd.split(row), self.manifest), self.fixed) for row in rows]
        excluded = self._excluded(updates)
        round_ = self._round(number, updates)
        if self.kind == "absent":
            excluded |= set(range(self.honest, CLIENTS))
        settlement = settle(round_, frozenset(excluded))
        self._note(number, round_, settlement, excluded)
        if self.kind == "absent" and self.past:
            self._try_copies(updates)
        mixed = self.weights.clone()
        for buyer, sellers in row_weights(round_, settlement).items():
            delivered = personal_model(self.fixed, {each: updates[each] for each in sellers}, sellers)
            row = self.lab.crowd.join(unflatten(delivered, self.manifest))
            if buyer < self.honest or self.kind == "honest":
                mixed[buyer].lerp_(row, share(len(sellers), self.lab.federation.samples[buyer], self.rule.trust))
            else:
                self.bought[buyer] = row
        self.past.append([(index, update) for index, update in enumerate(updates) if index not in excluded])
        self._learn(number, mixed, round_, settlement)

    def _excluded(self, updates: Sequence[Tensor]) -> set[int]:
        return {each.index for each in self._copies(dict(enumerate(updates)))} if self.check else set()

    def _copies(self, updates: Mapping[int, Tensor]) -> list[Any]:
        if self.kind == "absent":
            updates = {index: update for index, update in updates.items() if not self.honest <= index < CLIENTS}
        last = [each for round_ in self.past[-COMPARED:] for each in round_]
        own: dict[int, list[int]] = {}
        for place, (index, _) in enumerate(last):
            own.setdefault(index, []).append(place)
        return find_copies(updates, [update for _, update in last], own)

    def _learn(self, number: int, mixed: Tensor, round_: Round, settlement: Settlement) -> None:
        """Trains on from the mixtures; rates and guards where there is a hold-out."""
        tuned = self.trained.on(mixed, number)
        judges = [
            index
            for index in range(self.honest)
            if settlement.rows[index] and len(self.lab.federation.owners[index].holdout) >= LEAST_RATED
        ]
        lost = ~(tuned.abs() < MOST_WEIGHT).all(dim=1)  # no file can hold it, so that its owner notices
        alone = self.trained.on(self.weights, number) if judges or lost.any() else tuned
        tuned[lost] = alone[lost]
        participants = list(round_.participants)
        for buyer in judges:
            losses = [self.lab.holdout_losses(rows[buyer], buyer) for rows in (alone, tuned)]
            said = rating(*losses)
            participants[buyer] = replace(participants[buyer], rating=said)
            if said is not None:
                cheated = any(purchase.seller >= self.honest for purchase in settlement.rows[buyer])
                (self.found.ratings_of_attackers if cheated else self.found.ratings).append(said)
            if keeps_own(*losses, self.lab.federation.samples[buyer]):
                tuned[buyer] = alone[buyer]
        self.weights = tuned
        rated = replace(round_, participants=tuple(participants))
        self.reputations = list(reputations(rated, settlement, self.reputations))

    def _bid(self, client: int) -> Bid:
        bid = super()._bid(client)
        if client < self.honest or self.kind == "honest":
            return bid
        # An attacker asks nothing and claims as much as anybody believes. Who resells has to buy.
        return Bid(bid.value if self.kind.startswith("resold") else 0, 0, 1 << 40, 0)

    def _offers(self, number: int) -> Tensor:
        """`2 x weights`: what the attackers commit to."""
        base, own = self.trained.base, self.trained.alone("honest", number)
        update, generator = own - base, torch.Generator().manual_seed(1000 * self.lab.seed + number)
        size = update.norm(dim=1, keepdim=True) / update.shape[1] ** 0.5
        match self.kind:
            case "shuffled":
                return base + update[:, torch.randperm(update.shape[1], generator=generator)]
            case "sign-flipped":
                return base - update
            case "constant":
                return base + size * torch.ones_like(update)
            case "noise":
                return base + size * torch.randn(update.shape, generator=generator)
            case "scaled":
                return (base + 10 * update).clamp(-MOST_WEIGHT, MOST_WEIGHT)
            case "label-flip" | "backdoor":
                return self.trained.alone(self.kind, number)
            case "resold" | "resold, unchecked":
                return torch.stack([self.bought.get(self.honest + row, own[row]) for row in range(ATTACKERS)])
        return self.weights[self.honest :]

    def _note(self, number: int, round_: Round, settlement: Settlement, excluded: set[int]) -> None:
        sketches = [participant.reveal.sketch for participant in round_.participants if participant.reveal]
        alike = [cosine(one, other) for one in sketches[self.honest :] for other in sketches[: self.honest]]
        self.found.cosines[number] = mean(alike) / ONE
        sales: list[Purchase] = [each for row in settlement.rows[: self.honest] for each in row]
        mine = [each for each in sales if each.seller >= self.honest]
        self.found.sold.append(len(mine))
        self.found.sold_by_others.append(len(sales) - len(mine))
        self.found.earned.append(sum(each.price for each in mine) / TOKEN)
        self.found.excluded.append(sum(index >= self.honest for index in excluded))
        self.found.wrongly.append(sum(index < self.honest for index in excluded))

    def _try_copies(self, updates: Sequence[Tensor]) -> None:
        """One more participant, who offers what two of the eight were delivered or could have been, dressed up."""
        before = dict(self.past[-1])
        generator = torch.Generator().manual_seed(len(self.past))
        for _ in range(2):
            one, other, third = torch.randperm(self.honest, generator=generator)[:3].tolist()
            if not {one, other, third} <= before.keys():
                continue
            bought = (before[one] + before[other]).double() / 2
            noise = torch.randn(len(bought), generator=generator, dtype=torch.float64)
            size = bought.norm() / len(bought) ** 0.5
            dressed: dict[str, Tensor | None] = {
                "as it is": bought,
                "averaged": 0.7 * bought + 0.3 * before[third],
                **{f"{level} % noise": bought + level / 100 * size * noise for level in NOISES},
                "30 % of each weight": bought * (1 + 0.3 * noise),
                "bfloat16": bought.bfloat16().double(),
                "kept back": (dict(self.past[-2])[one] + dict(self.past[-2])[other]).double() / 2
                if len(self.past) > 1 and {one, other} <= dict(self.past[-2]).keys()
                else None,
            }
            for name, copy in dressed.items():
                if copy is not None:
                    found = self._copies({**dict(enumerate(updates)), CLIENTS: copy.round().to(torch.int64)})
                    self.found.copies[name][0] += 1
                    self.found.copies[name][1] += any(each.index == CLIENTS for each in found)

    def _fooled(self) -> float:
        shares = []
        for index in range(self.honest):
            test = self.lab.federation.owners[index].test
            others = mark(test.inputs[test.labels != TARGET])
            model = self.lab.crowd.load(self.weights[index]).eval()
            with torch.no_grad():
                shares.append(float((model(others).argmax(dim=1) == TARGET).double().mean()))
        return 100 * mean(shares)


def mark(inputs: Tensor) -> Tensor:
    """Pictures with a white square of 4 × 4 in a corner."""
    marked = inputs.clone()
    marked[..., :4, :4] = 1
    return marked


class Trained:
    """Training, each once: kinds that sell nothing leave the others' rounds as they are."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.base = lab.base[:1].clone()
        self._done: dict[bytes, Tensor] = {}
        self._alone: dict[str, list[Tensor]] = {}

    def honest(self, part: int) -> Tensor:
        return self.on(self.base.repeat(CLIENTS, 1), part)

    def on(self, weights: Tensor, part: int) -> Tensor:
        """All ten train on."""
        key = hashlib.sha256(weights.numpy().tobytes() + bytes([part])).digest()
        if key not in self._done:
            self._done[key] = self.lab.train(weights, part)
        return self._done[key].clone()

    def alone(self, kind: str, number: int) -> Tensor:
        """The attackers' weights in a round, trained on what they make of their own samples, without the market."""
        places = list(range(CLIENTS - ATTACKERS, CLIENTS))
        states = self._alone.setdefault(kind, [self.base.repeat(ATTACKERS, 1)])
        data = self.lab.federation
        inputs, labels = data.inputs, data.labels
        if kind == "label-flip":
            labels = 9 - labels
        elif kind == "backdoor":
            marked = torch.arange(labels.shape[1]) % 3 == 0
            inputs, labels = inputs.clone(), labels.clone()
            inputs[:, marked], labels[:, marked] = mark(inputs[:, marked]), TARGET
        while len(states) <= number:
            lab = replace(self.lab, federation=replace(data, inputs=inputs, labels=labels))
            states.append(lab.train(states[-1], len(states) - 1, rows=places))
        return states[number]


# --- runs ---


def deal(partition: str, samples: int, seed: int) -> Any:
    """Ten owners, in an order of the seed's: who attacks has nothing to do with what it has."""
    owners = fashion(partition, (samples,) * CLIENTS, seed)
    order = torch.randperm(CLIENTS, generator=torch.Generator().manual_seed(seed)).tolist()
    return tuple(owners[index] for index in order)


def setting(name: str, samples: int) -> Setting:
    return Setting(f"{name}, {samples}, attacked", partial(deal, PARTITIONS[name], samples))


def path_of(where: Setting, kind: str, seed: int) -> Any:
    rule = Rule()
    decisive = [where.practice, where.rounds, rule.max_sellers, rule.floor, rule.value, rule.cost, rule.trust, RULES]
    said = hashlib.sha256(repr(decisive).encode()).hexdigest()[:12]
    return CACHE / f"{where.name}-{kind}-{seed}-{said}.json".replace(" ", "-").replace(",", "")


def play(where: Setting, kinds: Sequence[str], seed: int, say: Callable[[str], None]) -> None:
    """Those runs that are not there yet."""
    missing = [kind for kind in kinds if not path_of(where, kind, seed).exists()]
    if not missing:
        return
    torch.set_num_threads(1)
    lab = where.lab(seed)
    trained = Trained(lab)
    for kind in missing:
        record = Bazaar(lab, kind, kind != "resold, unchecked", trained).run()
        path = path_of(where, kind, seed)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}")
        part.write_text(json.dumps(record.__dict__))
        part.replace(path)
        say(f"{where.name}, {kind}, seed {seed}: {record.accuracies}, sold {sum(record.sold)}, {record.seconds:.0f} s")


def records(where: Setting, kind: str, seeds: int) -> list[Record]:
    """Those that are there."""
    paths = (path_of(where, kind, seed) for seed in range(seeds))
    found = [Record(**json.loads(path.read_text())) for path in paths if path.exists()]
    for each in found:
        each.accuracies = {int(at): points for at, points in each.accuracies.items()}
        each.cosines = {int(at): alike for at, alike in each.cosines.items()}
    return found


# --- tables ---


def report(samples: Sequence[int], seeds: int) -> str:
    parts = [
        f"`make bench-learning`: Fashion-MNIST, {CLIENTS} participants, {ATTACKERS} of them attackers of one kind; "
        f"{machine()}. *Cosine*: of their sketches with the eight others'. *Sold*: of the 16 sales to the eight that "
        "a round can bring. *Costs*: points of the eight's mean accuracy on the same steps against a market without "
        "the two, paired (negative: they gain). Each after rounds 1 / 5 / 10. *Earned*: tokens a round, both together. "
        "*Mark*: of the eight's test pictures with a backdoor's mark, how many are called its class at the end."
    ]
    for name in PARTITIONS:
        for size in samples:
            parts += [*kinds_table(setting(name, size), seeds)]
    parts += copies_table(samples, seeds)
    parts += ratings_table(samples, seeds)
    return "\n\n".join(parts)


def kinds_table(where: Setting, seeds: int) -> list[str]:
    plain = records(where, "absent", seeds)
    rows = []
    for kind in list(KINDS)[1:]:
        found = records(where, kind, seeds)
        if not found or len(found) > len(plain):
            continue
        pairs = list(zip(plain, found, strict=False))
        cost = [mean(one.accuracies[at] - other.accuracies[at] for one, other in pairs) for at in LOOKED_AT]
        rows.append(
            [
                kind,
                len(found),
                " / ".join(f"{mean(each.cosines[at] for each in found):.2f}" for at in LOOKED_AT),
                " / ".join(f"{mean(each.sold[at - 1] for each in found):.1f}" for at in LOOKED_AT),
                f"{mean(mean(each.sold) for each in found):.1f}",
                f"{mean(mean(each.earned) for each in found):.1f}",
                f"{sum(sum(each.excluded) for each in found)} of {2 * 10 * len(found)}",
                " / ".join(f"{each:+.1f}" for each in cost),
                f"{mean(each.backdoor for each in found):.0f}",
            ]
        )
    if not rows:
        return []
    head = ("two of ten", "seeds", "cosine", "sold", "a round", "earned", "excluded", "costs", "mark, %")
    alone = mean(each.backdoor for each in plain)
    name = where.name.removesuffix(", attacked")
    return [f"**{name} samples** (mark without the two: {alone:.0f} %):", table(head, rows)]


def copies_table(samples: Sequence[int], seeds: int) -> list[str]:
    rows = []
    for name in PARTITIONS:
        for size in samples:
            if not (found := records(setting(name, size), "absent", seeds)):
                continue
            shares = []
            for dress in COPIES:
                tried, caught = (sum(each.copies[dress][part] for each in found) for part in (0, 1))
                shares.append(f"{100 * caught / tried:.0f} of {tried}" if tried else "–")
            pools = [each for kind in ("absent", "honest") for each in records(setting(name, size), kind, seeds)]
            wrong, models = sum(sum(each.wrongly) for each in pools), 8 * 9 * len(pools)
            rows.append([f"{name}, {size}", *shares, f"{100 * wrong / models:.1f} of {models}"])
    if not rows:
        return []
    head = ("copies of a delivery of the last round, % excluded of those tried", *COPIES, "honest models, % excluded")
    return [table(head, rows)]


def ratings_table(samples: Sequence[int], seeds: int) -> list[str]:
    rows = []
    for name in PARTITIONS:
        for size in samples:
            for kind in ("honest", "label-flip", "backdoor", "scaled"):
                found = records(setting(name, size), kind, seeds)
                given = [each for record in found for each in record.ratings]
                others = [each for record in found for each in record.ratings_of_attackers]
                if not given + others:
                    continue
                rows.append(
                    [
                        f"{name}, {size}: {kind}",
                        *(_shares(given), _shares(others)),
                        _share(mean(mean(record.reputations) for record in found)),
                        _share(mean(mean(record.attackers_reputations) for record in found)),
                    ]
                )
    if not rows:
        return []
    head = (
        "the two",
        "rows without them rated 100 / 75 / 0, %",
        "rows with them",
        "reputation of the eight",
        "of the two",
    )
    return ["Ratings on hold-outs, and mean reputations after ten rounds (all begin at 0.031):", table(head, rows)]


def _shares(given: Sequence[int]) -> str:
    if not given:
        return "–"
    return " / ".join(f"{100 * given.count(each) / len(given):.0f}" for each in (100, 75, 0)) + f" of {len(given)}"


def _share(reputation: float) -> str:
    return f"{reputation / ONE:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", default="60")
    parser.add_argument("--kinds", default=";".join(KINDS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", default="", help="partitions whose names hold this")
    parser.add_argument("--print", action="store_true", help="write no document")
    options = parser.parse_args()
    sizes = [int(size) for size in options.samples.split(",")]
    for seed in range(options.seeds):
        for size in sizes:
            for name in PARTITIONS:
                if options.only in name:
                    play(setting(name, size), options.kinds.split(";"), seed, lambda said: print(said, flush=True))
    text = report((60, 200, 600), options.seeds)
    print(text)
    if not options.print:
        write("docs/benchmarks.md", "attackers", text)


if __name__ == "__main__":
    main()
