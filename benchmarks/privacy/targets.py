"""Owners to be attacked, and what attacks find out about them."""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.document import TREE
from benchmarks.learning.crowd import Crowd
from benchmarks.learning.settings import CNN, FASHION, pictures
from market_node.aggregate import personal_model
from market_node.data import CLASSES, Examples
from market_node.fixed import update_of
from market_node.learning import Practice, accuracy, batch_order, shuffling_seed
from market_node.private import ONE_BY_ONE
from market_node.settlement import weights
from market_node.sketch import similarity, sketch
from market_node.weights import flatten, manifest_of, unflatten

from . import attacks
from .crowd import Budget, train

CACHE = TREE / "build" / "privacy"

RULES = 1
"""Raised by hand whenever what is run changes: older files no longer count."""

OWNERS = 8
"""Each is attacked, with the others' models as shadows."""

ROUNDS = 3

PRACTICE = Practice(steps=40, rate=0.03, cools=True)
"""With noise too: of rates of 0.003, 0.01, 0.03 and 0.1 the best or next to it, on a seed that is in no table."""

EPSILONS = (None, 8.0, 3.0, 1.0)
"""None: without."""


@dataclass(frozen=True, slots=True)
class Course:
    """How the attacked owners train: each alone, from its own model, before the first round and after each."""

    epsilon: float | None
    practice: Practice = PRACTICE
    rounds: int = ROUNDS

    @property
    def trainings(self) -> int:
        """How many a budget is for: of a node whose rounds never overlap. What it throws away is not attacked."""
        return 1 + ONE_BY_ONE * self.rounds


AS_LEARNING = Course(None, FASHION[0].practice, FASHION[0].rounds)
"""As the learning tables train, who seek accuracy and bear no noise."""

COURSES = {epsilon: Course(epsilon) for epsilon in EPSILONS}
"""By ε: the same short training, so that like is compared with like."""

SELLERS = (1, 2, 4, 7)
COLLUDING = (2, 4)

TESTED = 100
"""Pictures of each class for accuracy."""


@dataclass(frozen=True)
class Hand:
    """What one group of owners has. Nobody's picture is another's."""

    members: tuple[Examples, ...]
    """What each one trains on."""
    others: tuple[Examples, ...]
    """As many fresh ones, of the same mix of labels, for each."""
    test: Examples


def deal(size: int, seed: int, owners: int = OWNERS) -> Hand:
    """Every class alike: the attacker cannot tell by the label."""
    generator = torch.Generator().manual_seed(seed)
    all_ = pictures()
    each = size // CLASSES
    piles = []
    for label in range(CLASSES):
        pile = (all_.labels == label).nonzero().flatten()
        piles.append(pile[torch.randperm(len(pile), generator=generator)])
    hands = [
        all_[torch.cat([pile[place * each : (place + 1) * each] for pile in piles])] for place in range(2 * owners)
    ]
    return Hand(tuple(hands[::2]), tuple(hands[1::2]), all_[torch.cat([pile[-TESTED:] for pile in piles])])


def trained(crowd: Crowd, base: Tensor, hand: Hand, course: Course, seed: int) -> list[Tensor]:
    """Every owner's models: `owners x weights` for its offer in each round and for the model after the last one."""
    inputs = torch.stack([each.inputs for each in hand.members])
    labels = torch.stack([each.labels for each in hand.members])
    owners, size = labels.shape
    rows, models, practice = base.repeat(owners, 1), [], course.practice
    generator = torch.Generator().manual_seed(seed)
    samples = torch.full((owners,), size)
    for part in range(course.rounds + 1):
        if course.epsilon is None:
            orders = [
                batch_order(size, practice.batch, shuffling_seed(seed * owners + owner, part), practice.steps)
                for owner in range(owners)
            ]
            rows = crowd.train(rows, inputs, labels, torch.stack(orders, dim=1), practice)
        else:
            noise = Budget(course.epsilon, course.trainings).noise(size, practice)
            rows = train(crowd, rows, inputs, labels, samples, torch.full((owners,), noise), practice, generator)
        models.append(rows.detach())
    return models


# --- figures of one group ---


Found = dict[str, Any]
"""Figures as JSON has them."""

Scores = dict[str, tuple[Tensor, Tensor]]
"""By attack: of the members and of the others, all owners' together."""


def measure(size: int, course: Course, seed: int, stored: bool = False) -> Found | None:
    """What one group gives. Cached; None where it is not and only what is `stored` is asked for."""
    said = (size, course.epsilon, seed, OWNERS, course.rounds, course.practice, SELLERS, COLLUDING, TESTED, RULES)
    name = "as-learning" if course == AS_LEARNING else str(course.epsilon)
    return cached(f"attacks-{size}-{name}-{seed}", repr(said), lambda: _measure(size, course, seed), stored)


def cached(name: str, said: str, run: Callable[[], Found], stored: bool) -> Found | None:
    """What `run` gives, from a file where it was run before. `said`: all that decides it."""
    path: Path = CACHE / f"{name}-{hashlib.sha256(said.encode()).hexdigest()[:12]}.json"
    if not path.exists():
        if stored:
            return None
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}")
        part.write_text(json.dumps(run()))
        part.replace(path)
    found: Found = json.loads(path.read_text())
    return found


def _measure(size: int, course: Course, seed: int) -> Found:
    crowd, hand = Crowd(CNN, seed), deal(size, seed)
    base = crowd.base(1)[0]
    *offers, last = trained(crowd, base, hand, course, seed)
    scores = _gradient_attacks(crowd, base, hand, offers, last, seed)
    scores |= model_attacks(crowd, hand, last) | _deliveries(crowd, base, hand, offers[-1])
    found = {
        "accuracy": sum(100 * accuracy(crowd.load(row), hand.test) for row in last) / OWNERS,
        "attacks": {attack: [attacks.auc(*each), attacks.tpr(*each)] for attack, each in scores.items()},
    }
    if course.epsilon is None:  # arithmetic, which noise on the gradients does not change
        found["collusion"] = {str(count): _collusion(crowd, base, hand, offers[-1], count, seed) for count in COLLUDING}
    return found


def _pooled(scored: Iterable[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    members, others = zip(*scored, strict=True)
    return torch.cat(members), torch.cat(others)


def _confidences(crowd: Crowd, models: Tensor, examples: Sequence[Examples]) -> list[list[Tensor]]:
    """By model, by examples."""
    return [[attacks.confidence(crowd.load(row), each) for each in examples] for row in models]


def model_attacks(crowd: Crowd, hand: Hand, models: Tensor) -> Scores:
    """Attacks on each owner's model; the others' are the shadows."""
    n = len(models)
    seen = [_confidences(crowd, models, each) for each in (hand.members, hand.others)]
    losses, ratios = [], []
    for owner, row in enumerate(models):
        model = crowd.load(row)
        losses.append(tuple(attacks.loss_scores(model, each) for each in (hand.members[owner], hand.others[owner])))
        shadows = [other for other in range(n) if other != owner]
        ratios.append(
            tuple(
                attacks.likelihood_ratio(each[owner][owner], torch.stack([each[other][owner] for other in shadows]))
                for each in seen
            )
        )
    return {"model, loss": _pooled(losses), "model, likelihood ratio": _pooled(ratios)}


def _gradient_attacks(
    crowd: Crowd, base: Tensor, hand: Hand, offers: Sequence[Tensor], last: Tensor, seed: int
) -> Scores:
    """Attacks on updates and sketches, by the samples' gradients at the base."""
    model = crowd.load(base)
    seeds = [hashlib.sha256(f"privacy {seed} {number}".encode()).digest() for number in range(len(offers))]
    seen = [(attacks.whole, last - base)]
    seen += [
        (attacks.sketching(each, crowd.size), _sketches(offer - base, each))
        for offer, each in zip(offers, seeds, strict=True)
    ]
    found: dict[str, list[tuple[Tensor, Tensor]]] = {}
    for owner in range(OWNERS):
        scored = [
            _alignment_scores(attacks.alignments(model, examples, seen), owner)
            for examples in (hand.members[owner], hand.others[owner])
        ]
        for name, members in scored[0].items():
            found.setdefault(name, []).append((members, scored[1][name]))
    return {name: _pooled(each) for name, each in found.items()}


def _alignment_scores(cosines: Sequence[Tensor], owner: int) -> dict[str, Tensor]:
    """By attack: with what the owner shows, and how much more than with what the others show.

    Args:
        cosines: with the update, then with each round's sketch, `owners x samples` each.
    """
    update, *sketches = cosines
    parts = {"update": update, "one sketch": sketches[-1], "all sketches": torch.stack(sketches).mean(dim=0)}
    plain = {name: part[owner] for name, part in parts.items()}
    less = {
        f"{name}, less shadows'": part[owner] - (part.sum(dim=0) - part[owner]) / (OWNERS - 1)
        for name, part in parts.items()
    }
    return plain | less


def _sketches(updates: Tensor, seed: bytes) -> Tensor:
    """The bytes that a reveal publishes, as `owners x 1024`, of weights in the crowd's own order.

    A market's sketch takes them by name. The order changes nothing but which bucket a weight falls into.
    """
    rows = [sketch((row * (1 << 24)).round().to(torch.int64), seed) for row in updates]
    return torch.stack([torch.frombuffer(bytearray(row), dtype=torch.int8) for row in rows]).float()


def _fixed(crowd: Crowd, base: Tensor, models: Tensor) -> tuple[Any, Tensor, list[Tensor]]:
    """The manifest, the base in fixed point, and each model's update."""
    manifest = manifest_of(crowd.split(base))
    fixed = flatten(crowd.split(base), manifest)
    return manifest, fixed, [update_of(flatten(crowd.split(row), manifest), fixed) for row in models]


def _order(crowd: Crowd, manifest: Any) -> Tensor:
    """Where each weight of the manifest's order stands in the crowd's."""
    return torch.cat([torch.arange(crowd.size)[crowd.places[spec.name]] for spec in manifest])


# --- what buyers get ---


def _deliveries(crowd: Crowd, base: Tensor, hand: Hand, models: Tensor) -> Scores:
    """Attacks on a seller by a delivery of equal parts of so many sellers; each owner in turn is the attacked one."""
    manifest, fixed, updates = _fixed(crowd, base, models)
    seen = [_confidences(crowd, models, each) for each in (hand.members, hand.others)]
    found: Scores = {}
    for count in SELLERS:
        losses, ratios = [], []
        for owner in range(OWNERS):
            sellers = [(owner + step) % OWNERS for step in range(count)]
            part, rest = divmod(1 << 16, count)
            shares = {seller: part + (place < rest) for place, seller in enumerate(sellers)}
            delivered = personal_model(fixed, {s: updates[s] for s in sellers}, shares)
            model = crowd.load(crowd.join(unflatten(delivered, manifest)))
            tried = (hand.members[owner], hand.others[owner])
            losses.append(tuple(attacks.loss_scores(model, each) for each in tried))
            shadows = [other for other in range(OWNERS) if other not in sellers]
            ratios.append(
                tuple(
                    attacks.likelihood_ratio(
                        attacks.confidence(model, each), torch.stack([given[other][owner] for other in shadows])
                    )
                    for each, given in zip(tried, seen, strict=True)
                )
            )
        found[f"{count} sellers, loss"] = _pooled(losses)
        found[f"{count} sellers, likelihood ratio"] = _pooled(ratios)
    return found


def _collusion(crowd: Crowd, base: Tensor, hand: Hand, models: Tensor, count: int, seed: int) -> dict[str, float]:
    """`count` buyers that bought from the same `count` sellers compare their deliveries.

    The weights of their rows are what the market would give: by the similarity of their sketches.
    """
    manifest, fixed, updates = _fixed(crowd, base, models)
    drawn = hashlib.sha256(f"collusion {seed}".encode()).digest()
    alike = similarity([sketch(update, drawn) for update in updates], 0)
    sellers, buyers = range(count), range(count, 2 * count)
    rows = [weights([(seller, alike[buyer][seller]) for seller in sellers]) for buyer in buyers]
    mine = {seller: updates[seller] for seller in sellers}
    deliveries = [personal_model(fixed, mine, row) for row in rows]
    files = [flatten(unflatten(each, manifest), manifest) for each in deliveries]  # float32, as they are delivered
    shares = torch.tensor([[row[seller] for seller in sellers] for row in rows])
    found = attacks.recovered(shares, torch.stack(files), fixed)
    true = torch.stack([update.to(torch.float64) for update in mine.values()])
    order = _order(crowd, manifest)
    again = models[:count].clone()
    for row, update in zip(again, found, strict=True):
        row[order] = base[order] + (update / (1 << 24)).float()
    losses = [
        [
            tuple(attacks.loss_scores(crowd.load(row), each) for each in (hand.members[owner], hand.others[owner]))
            for owner, row in enumerate(rows)
        ]
        for rows in (again, models[:count])
    ]
    return {
        "condition": float(torch.linalg.cond(shares.to(torch.float64))),
        "error": float(((found - true).norm(dim=1) / true.norm(dim=1)).max()),
        "auc": attacks.auc(*_pooled(losses[0])),
        "auc of the models": attacks.auc(*_pooled(losses[1])),
    }
