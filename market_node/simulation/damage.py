"""What an attack earned and what it cost others, beside the same owners playing honestly in the same rounds."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from statistics import mean

from ..records import Terms
from .attacks import Attack, Move, Scene, honest
from .play import Owner, Seat, standing_after
from .trial import MEDIAN_COST, MEDIAN_SAMPLES, MEDIAN_VALUE, Town, town

ATTACKER = Owner(0, value=MEDIAN_VALUE, cost=MEDIAN_COST, samples=MEDIAN_SAMPLES)
"""The owner in the middle; attackers are like it, in one cluster."""


@dataclass(frozen=True, slots=True)
class Course:
    """What was earned up to and including each round, as shares of the median value."""

    attackers: tuple[float, ...]
    others: tuple[float, ...]
    """Per owner."""


@dataclass(frozen=True, slots=True)
class Damage:
    """What an attack did, by seed, as shares of the median value."""

    gained: tuple[float, ...]
    """By the attackers together, more than honestly."""
    cost: tuple[float, ...]
    """To each other owner."""

    @property
    def pays(self) -> bool:
        """Whether it gained on average more than a thousandth of a median value: less is rounding and luck."""
        return mean(self.gained) > 0.001


@lru_cache(maxsize=4096)
def course(
    attack: Attack,
    terms: Terms,
    seed: int,
    *,
    owners: int,
    rounds: int,
    exclude_copies: bool = False,
    samples: int = ATTACKER.samples,
    buys: bool = True,
) -> Course:
    """Plays an attack, every reputation new at first.

    Args:
        owners: all of them, attackers included.
        exclude_copies: whether the aggregator excludes an update that is identical to another one in the round.
        samples: of each attacker.
        buys: whether attackers have a use for models themselves.
    """
    attacker = replace(ATTACKER, samples=samples, value=ATTACKER.value if buys else 0)
    world = _with_attackers(town(owners, seed, terms), attack.members, attacker)
    standing: Mapping[str, int] = {}
    own = others = 0
    attackers, everybody_else = [], []
    for number in range(1, rounds + 1):
        seats = world.truthful(number)
        split = len(seats) - attack.members
        scene = Scene(world, number, standing, tuple(seats[:split]), tuple(seats[split:]), attack.aggregates)
        move = attack.play(scene)
        if exclude_copies:
            move = Move(move.seats, move.excludes | copies([*scene.others, *move.seats]))
        outcome = scene.play(move)
        standing = standing_after(outcome, standing)
        own += scene.gain(outcome)
        others += sum(outcome.results[seat.owner.number].profit for seat in scene.others)
        attackers.append(own / MEDIAN_VALUE)
        everybody_else.append(others / split / MEDIAN_VALUE)
    return Course(tuple(attackers), tuple(everybody_else))


def damage(
    attack: Attack,
    terms: Terms,
    seeds: Iterable[int],
    *,
    owners: int = 20,
    rounds: int = 10,
    exclude_copies: bool = False,
    samples: int = ATTACKER.samples,
    buys: bool = True,
) -> dict[int, Damage]:
    """What came of an attack after each round."""
    truth = replace(attack, play=honest)
    pairs = []
    for seed in seeds:
        world = {"owners": owners, "rounds": rounds, "samples": samples, "buys": buys}
        attacked = course(attack, terms, seed, exclude_copies=exclude_copies, **world)
        plain = course(_named(truth), terms, seed, **world)
        pairs.append((attacked, plain))
    return {
        number + 1: Damage(
            tuple(attacked.attackers[number] - plain.attackers[number] for attacked, plain in pairs),
            tuple(plain.others[number] - attacked.others[number] for attacked, plain in pairs),
        )
        for number in range(rounds)
    }


def copies(seats: Sequence[Seat]) -> frozenset[str]:
    """The accounts whose update is the same, byte for byte, as that of an earlier one."""
    first: dict[bytes, str] = {}
    return frozenset(seat.account for seat in seats if first.setdefault(seat.sketch, seat.account) != seat.account)


def _named(truth: Attack) -> Attack:
    """The same honest course, whatever it is compared with: it is played once."""
    return replace(truth, says="")


def _with_attackers(world: Town, members: int, attacker: Owner) -> Town:
    split = len(world.owners) - members
    gang = tuple(replace(attacker, number=split + place) for place in range(members))
    return replace(world, owners=(*world.owners[:split], *gang))
