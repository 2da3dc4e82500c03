"""Pin duty: which files a node has to keep for others to fetch, and for how long. The rule is pure."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from .delivery import DeliveryList
from .errors import StorageError
from .phases import Phase
from .records import Round
from .store import Digest, Store

COMPARED = 2
"""How many of its last rounds an aggregator compares a round's models with, to find copies. Of copies that were kept
back for one round, most pass where only the last one is looked at."""


def predecessors(aggregator: str, task: bytes, rounds: Iterable[Round], before: int | None = None) -> list[Round]:
    """The rounds that one of this aggregator's and task's is compared with, the last one first.

    Void ones too: what was delivered in them can be offered again as well.

    Args:
        before: the number of that round; None, the next one.
    """
    settled = (
        each
        for each in rounds
        if each.settlement is not None
        and each.aggregator.lower() == aggregator.lower()
        and each.terms.task == task
        and (before is None or each.number < before)
    )
    return sorted(settled, key=lambda each: each.number, reverse=True)[:COMPARED]


def accepted(round_: Round) -> dict[int, Digest]:
    """The sealed models that a settled round has accepted, by index."""
    excluded = round_.settlement.excluded if round_.settlement is not None else ()
    return {
        index: participant.model.cid
        for index, participant in enumerate(round_.participants)
        if participant.reveal is not None and participant.model is not None and index not in excluded
    }


@dataclass(frozen=True, slots=True)
class PinDuty:
    """What an account owes its rounds."""

    keep: frozenset[Digest]
    """Must stay pinned."""
    release: tuple[Digest, ...]
    """Was pinned for rounds that are over, and for no other. What else a node has pinned is not the rule's affair.

    A list goes after what it names: a node that was killed in between finds the rest again.
    """


@runtime_checkable
class Pinning(Protocol):
    """A store that forgets what is not pinned."""

    def pin(self, digest: Digest) -> None:
        """Keeps a file."""

    def unpin(self, digest: Digest) -> None:
        """Lets a file go."""

    def pins(self) -> frozenset[Digest]:
        """All files that are kept."""


def due_pins(
    account: str,
    rounds: Iterable[Round],
    phases: Mapping[int, Phase],
    paid: Collection[int],
    lists: Mapping[int, DeliveryList],
) -> PinDuty:
    """What an account must keep: its own sealed models, and as an aggregator its delivery lists and deliveries.

    Each until its round is paid out or void: before, buyers fetch, and others check what they got. An aggregator also
    keeps the sealed models of those rounds that the next one of the task is compared with.

    Args:
        phases: by round's number; a round without one is not over.
        paid: numbers of the rounds in which everybody has been paid.
        lists: the account's own delivery lists, by round's number.
    """
    keep: set[Digest] = set()
    release: dict[Digest, None] = {}
    rounds = tuple(rounds)
    for task in {each.terms.task for each in rounds}:
        for each in predecessors(account, task, rounds):
            keep.update(accepted(each).values())
    for each in rounds:
        phase = phases.get(each.number)
        over = phase == Phase.VOID or (phase == Phase.PAYOUT and each.number in paid)
        files = _files(account.lower(), each, lists.get(each.number))
        if over and each.aggregator.lower() == account.lower():
            release.update(dict.fromkeys(_opened(each)))  # each was kept when it was found to be whole
        release.update(dict.fromkeys(files)) if over else keep.update(files)
    return PinDuty(frozenset(keep), tuple(digest for digest in release if digest not in keep))


def _opened(round_: Round) -> Iterable[Digest]:
    """What an aggregator has opened: also what it has excluded as a copy."""
    return (each.model.cid for each in round_.participants if each.reveal is not None and each.model is not None)


def _files(account: str, round_: Round, listed: DeliveryList | None) -> Iterable[Digest]:
    """What the account has published in a round."""
    for participant in round_.participants:
        if participant.account.lower() == account and participant.model is not None:
            yield participant.model.cid
    if round_.aggregator.lower() == account:
        if listed is not None:
            yield from (delivery.model for delivery in listed.deliveries)
        if round_.deliveries is not None:
            yield round_.deliveries


@dataclass(frozen=True, slots=True)
class Kept:
    """What `keep_up` has changed."""

    released: frozenset[Digest] = frozenset()
    restored: frozenset[Digest] = frozenset()
    """Somebody had unpinned them."""
    lost: Mapping[Digest, str] = field(default_factory=dict)
    """They should be there, and the node cannot get them any more: why, in its words."""


def pinning(store: Store) -> Pinning | None:
    """The store to which files go, the first of several; None where it forgets nothing, as a folder."""
    first = getattr(store, "stores", (store,))[0]
    return first if isinstance(first, Pinning) else None


def keep_up(store: Store, duty: PinDuty) -> Kept:
    """Makes a store keep what it must, and lets go of what is over.

    Raises:
        StorageError: the store does not answer. Nothing is lost by calling again.
    """
    first = pinning(store)
    if first is None:
        return Kept()
    held = first.pins()
    restored: set[Digest] = set()
    lost: dict[Digest, str] = {}
    for digest in duty.keep - held:
        try:
            first.pin(digest)
            restored.add(digest)
        except StorageError as error:
            lost[digest] = str(error)
    over = [digest for digest in duty.release if digest in held]
    for digest in over:
        first.unpin(digest)
    return Kept(frozenset(over), frozenset(restored), lost)
