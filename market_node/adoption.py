"""What a buyer makes of its delivery."""

from collections.abc import Callable, Collection, Set
from dataclasses import dataclass
from functools import partial
from math import inf, sqrt

import torch
from torch import Tensor

from .data import Examples
from .errors import BadInput
from .learning import Training, Weights, fine_tune, weights_of

TRUST = 200
"""n₀: on so many samples of its own, an owner gives its model and one that it bought equal shares."""

JUDGED_BY = 1_000
"""Training samples, at most, on which a buyer looks at a delivery before it mixes it in."""

DRAWN_BACK = 0.5
"""How far the body of the model that a buyer uses lies back from the tuned mixture towards the mixture itself."""

FORGOTTEN = 0.25
"""Part of the base checkpoint's loss by which training from a mixture may know the training samples less than training
from the own model, before it counts as failed."""

LEAST_RATED = 30
"""Hold-out samples below which a node does not rate: two standard errors would say nothing."""

LEAST_GUARDED = 200
"""Training samples from which on a buyer drops what may be worse; with fewer, only what surely is."""

BETTER, NEITHER, WORSE = 100, 75, 0
"""The ratings, hundredths."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a buyer finds in a delivery before it mixes it in: the `usefulness` of its parts, 0 to 1."""

    body: float = 1.0
    """Of the delivery with the buyer's own head."""
    head: float = 1.0
    """Of the delivery as it is."""


def mix(
    own: Weights,
    delivered: Weights,
    sellers: int,
    samples: int,
    trust: int = TRUST,
    look: Look = Look(),
    last: Collection[str] = (),
) -> Weights:
    """The mixture that a buyer trains on from: (1 − α) · own + α · delivered, with an α for the body, one for the head.

    Args:
        sellers: k, how many it bought from.
        samples: N, its own training samples.
        trust: n₀.
        look: what the buyer found in the delivery.
        last: the names of the `head`.
    """
    alpha = share(sellers, samples, trust)
    return {
        name: tensor.lerp(delivered[name].to(tensor.dtype), alpha * (look.head if name in last else look.body))
        for name, tensor in own.items()
    }


def share(sellers: int, samples: int, trust: int = TRUST) -> float:
    """The share of its delivery in a buyer's mixture, α. Arguments as for `mix`."""
    return sellers * trust / (sellers * trust + samples)  # α = k·n₀ / (k·n₀ + N)


def head(weights: Weights) -> Set[str]:
    """The names of the last layer's weights: the last matrix, what is in one module with it, and what follows it.

    What comes before, the body, says what there is to see; the head says what it means, which owners may differ in
    (Arivazhagan et al. 2019, "Federated learning with personalization layers"). A model of one layer is all body.

    Args:
        weights: in the model's own order, or by name. Where that puts another layer last, body and head are told apart
            elsewhere, and each still gets what it is worth.
    """
    layers = [name.rpartition(".")[0] or name for name in weights]
    matrices = [layer for layer, tensor in zip(layers, weights.values(), strict=True) if tensor.dim() >= 2]
    if len(set(matrices)) < 2:
        return set()
    return set(list(weights)[layers.index(matrices[-1]) :])


def grafted(own: Weights, delivered: Weights, last: Collection[str]) -> Weights:
    """The delivery's body under the buyer's own head. `last`: the names of the `head`."""
    return {name: tensor if name in last else delivered[name] for name, tensor in own.items()}


def look_at(
    losses: Callable[[Weights], Tensor], base: Tensor, own: Weights, delivered: Weights, last: Collection[str]
) -> Look:
    """What a delivery is worth to its buyer, told from the buyer's training samples.

    No seller has trained on them, so that they tell nearly as honestly as a hold-out. (Nearly: sellers may have bought
    what the buyer sold before, and its own head has trained on them.)

    Args:
        losses: weights → their loss on each of these samples.
        base: that of the task's base checkpoint.
        last: the names of the `head`.
    """
    return Look(*(usefulness(base, losses(weights)) for weights in (grafted(own, delivered, last), delivered)))


def usefulness(base: Tensor, delivered: Tensor) -> float:
    """How much of its share a part of a delivery gets: all where it knows no less of the buyer's samples than a model
    that knows nothing, none where its loss is twice as high, and evenly less in between.

    Args:
        base: loss of the task's base checkpoint on each of the buyer's training samples.
        delivered: loss of the delivery on the same samples.

    Returns:
        0 to 1.
    """
    nothing, known = _mean(base), _mean(delivered)
    if not known < inf:  # or no number
        return 0.0
    if nothing <= 0:  # a loss that can be negative has no "twice"
        return float(known <= nothing)
    return min(1.0, max(0.0, 2 - known / nothing))


def has_failed(base: Tensor, own: Tensor, new: Tensor) -> bool:
    """Whether training from the mixture has failed, as the very samples say that it trained on.

    Owners of few labels have losses with cliffs: beyond one, training ends with a network that says the same of
    everything. That needs no hold-out to be seen.

    Args:
        base: loss of the task's base checkpoint on each of the buyer's training samples.
        own: of the buyer's own model, trained on.
        new: of the mixture, after the same training.
    """
    known = _mean(new)
    return not known < inf or known > _mean(own) + FORGOTTEN * abs(_mean(base))


def _mean(losses: Tensor) -> float:
    return float(losses.to(torch.float64).mean())


def judged_by(training: Examples) -> Examples:
    """The training samples on which a buyer looks at its delivery: `JUDGED_BY` at most, evenly from all."""
    return training[:: max(1, -(-len(training) // JUDGED_BY))]


def drawn_in(base: Weights, own: Weights, delivered: Weights) -> Weights:
    """The delivery, its update shortened to the length of the buyer's own where it is longer.

    Cosines know no length, so that a seller could offer its update ten times as long.

    Args:
        base: the task's base checkpoint, which updates count from.
    """
    longest, length = (_distance(base, weights) for weights in (own, delivered))
    if not 0 < longest < length:  # who has learned nothing has no length to compare with
        return delivered
    return {name: tensor.lerp(delivered[name].to(tensor.dtype), longest / length) for name, tensor in base.items()}


def drawn_back(
    tuned: Weights, mixture: Weights, useful: float, last: Collection[str] = (), by: float = DRAWN_BACK
) -> Weights:
    """The model that a buyer uses: the tuned mixture, its body drawn back towards the mixture's.

    Few samples teach a model themselves rather than what they stand for; between where a fine-tuning began and where it
    ended lie models that do better on others (Wortsman et al. 2022, "Robust fine-tuning of zero-shot models"). The head
    stays: it is what the fine-tuning taught of the buyer's own labels.

    Args:
        useful: the usefulness of the body.
        last: the names of the `head`.
    """
    return {
        name: tensor if name in last else tensor.lerp(mixture[name].to(tensor.dtype), useful * by)
        for name, tensor in tuned.items()
    }


def _distance(one: Weights, other: Weights) -> float:
    return sqrt(sum(float((other[name].double() - tensor.double()).square().sum()) for name, tensor in one.items()))


def rating(own: Tensor, new: Tensor) -> int | None:
    """What a buyer says of its delivery: better or worse only by more than two standard errors.

    Args:
        own: loss of the buyer's own model on each hold-out sample.
        new: loss of the mixture on the same samples, after the same fine-tuning.

    Returns:
        Hundredths; None where the hold-out is too small to tell.
    """
    if len(own) < LEAST_RATED:
        return None
    gain, error = _paired(own, new)
    if gain > 2 * error:
        return BETTER
    return WORSE if gain < -2 * error else NEITHER


def keeps_own(own: Tensor, new: Tensor, samples: int) -> bool:
    """Whether a buyer drops the mixture.

    It does where the hold-out loss is worse by more than two standard errors, with enough samples by more than one; and
    always where the mixture has diverged.

    Args:
        own, new: as for `rating`.
        samples: the buyer's training samples.
    """
    if not new.isfinite().all():
        return True
    if len(own) < LEAST_RATED:
        return False
    gain, error = _paired(own, new)
    return gain < -error * (1 if samples >= LEAST_GUARDED else 2)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a buyer decides about its delivery."""

    rating: int | None
    """Hundredths; None where the hold-out is too small to tell."""
    keeps_own: bool
    """Whether the mixture is dropped."""
    draws_back: bool
    """Whether the model that is used is the one drawn back."""


def verdict(own: Tensor, new: Tensor, back: Tensor, samples: int, failed: bool = False) -> Verdict:
    """Judges by losses of the same hold-out samples.

    Args:
        own: of the buyer's own model, trained on.
        new: of the mixture, after the same fine-tuning.
        back: of that, drawn back.
        samples: the buyer's training samples.
        failed: what `has_failed` says.
    """
    draws_back = len(new) < LEAST_RATED or float(back.mean()) <= float(new.mean())
    return Verdict(rating(own, new), failed or keeps_own(own, new, samples), draws_back)


def _paired(own: Tensor, new: Tensor) -> tuple[float, float]:
    """By how much the new losses are lower on average, and the standard error of that."""
    if len(own) != len(new):
        raise BadInput(f"paired losses are of the same samples, not of {len(own)} and {len(new)}")
    if not new.isfinite().all():
        return -inf, 0.0  # NaN compares false with everything: a diverged model would pass for an even one
    if not own.isfinite().all():
        return inf, 0.0
    gains = own.to(torch.float64) - new.to(torch.float64)
    return float(gains.mean()), float(gains.std() / len(gains) ** 0.5)


@dataclass(frozen=True, slots=True)
class Adoption:
    """What came of a delivery."""

    model: Weights
    """What the owner uses."""
    offer: Weights
    """What it trains on from, and offers in the next round."""
    rating: int | None
    """Hundredths; None where its hold-out is too small to tell."""
    kept_own: bool
    """Whether the guard dropped the mixture."""


@dataclass(frozen=True, slots=True)
class Buyer:
    """Who adopts a delivery, and how it judges models."""

    base: Weights
    """The task's base checkpoint."""
    own: Weights
    """What it offered in the round."""
    samples: int
    """N, its training samples."""
    last: Collection[str]
    """The names of the `head`."""
    known: Callable[[Weights], Tensor]
    """Weights → their loss on each of its training samples that are `judged_by`."""
    held_out: Callable[[Weights], Tensor]
    """Weights → their loss on each of its hold-out samples."""
    nothing: Tensor
    """The base checkpoint's losses, as `known` gives them."""


@dataclass(frozen=True, slots=True)
class Mixture:
    """What a buyer trains on from."""

    weights: Weights
    look: Look
    """What it found in the delivery."""


def mixture(buyer: Buyer, delivered: Weights, sellers: int, trust: int = TRUST) -> Mixture:
    """Draws a delivery in, looks at it, and mixes it with the own model. Arguments as for `adopt`."""
    near = drawn_in(buyer.base, buyer.own, delivered)
    look = look_at(buyer.known, buyer.nothing, buyer.own, near, buyer.last)
    return Mixture(mix(buyer.own, near, sellers, buyer.samples, trust, look, buyer.last), look)


def choose(buyer: Buyer, mixed: Mixture, alone: Weights, tuned: Weights, by: float = DRAWN_BACK) -> Adoption:
    """Draws back, rates and guards.

    Args:
        alone: the own model after a training.
        tuned: the mixture after the same training.
        by: as for `drawn_back`.
    """
    back = drawn_back(tuned, mixed.weights, mixed.look.body, buyer.last, by)
    failed = has_failed(buyer.nothing, buyer.known(alone), buyer.known(tuned))
    without, after, drawn = (buyer.held_out(weights) for weights in (alone, tuned, back))
    said = verdict(without, after, drawn, buyer.samples, failed)
    if said.keeps_own or not _is_finite(tuned):
        return Adoption(alone, alone, said.rating, kept_own=True)
    return Adoption(back if said.draws_back else tuned, tuned, said.rating, kept_own=False)


def adopt(
    training: Training,
    base: Weights,
    own: Weights,
    delivered: Weights,
    sellers: int,
    seed: int,
    trust: int = TRUST,
) -> Adoption:
    """Mixes a delivery in, fine-tunes, rates and guards.

    Args:
        base: the task's base checkpoint.
        own: the weights that the buyer offered in the round.
        delivered: its personal model.
        sellers: how many it bought from.
        seed: the one that `fine_tune` would get without a delivery, so that both arms see the same batches.
        trust: n₀.
    """
    shares = training.load_data()
    known = partial(_losses, training, judged_by(shares.training))
    buyer = Buyer(
        base=base,
        own=own,
        samples=len(shares.training),
        last=head(weights_of(training.build_model())),
        known=known,
        held_out=partial(_losses, training, shares.holdout),
        nothing=known(base),
    )
    mixed = mixture(buyer, delivered, sellers, trust)
    alone, tuned = (fine_tune(training, weights, seed) for weights in (own, mixed.weights))
    return choose(buyer, mixed, alone, tuned)


def _is_finite(weights: Weights) -> bool:
    return all(bool(tensor.isfinite().all()) for tensor in weights.values())


def _losses(training: Training, examples: Examples, weights: Weights) -> Tensor:
    model = training.build_model()
    model.load_state_dict(weights)
    return training.evaluate(model, examples).detach()
