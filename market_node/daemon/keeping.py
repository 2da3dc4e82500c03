"""Pin duty of a node that runs by itself, in a thread beside its steps: no step waits for a store."""

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from ..delivery import DeliveryList
from ..errors import NodeError
from ..node import Node
from ..phases import Phase
from ..pins import Kept, Pinning, due_pins, keep_up, pinning
from ..records import Round
from ..store import Digest
from .outlook import Outlook

EVERY = 600
"""Seconds from one look at the pins to the next, unless a round ends before."""


class Keeper:
    """Has the store keep what others still fetch, and lets go of what is over.

    Args:
        clock: seconds.
    """

    def __init__(self, outlook: Outlook, clock: Callable[[], float]) -> None:
        self.outlook, self.node, self._clock = outlook, outlook.node, clock
        self.running = False
        self._outcome: Kept | str | None = None
        self._next = clock()
        self._ended = 0
        """How many rounds were over when it last began."""
        self._said: frozenset[str] = frozenset()

    def begin(self) -> None:
        """Looks at the pins, if it is time and the store has any."""
        store, ended = pinning(self.node.store), len(self.outlook.ended)
        if store is None or self.running or (self._clock() < self._next and ended == self._ended):
            return
        self._next, self._ended, self.running = self._clock() + EVERY, ended, True
        arguments = (store, self.outlook.own(), self.outlook.phases(), self.outlook.paid())
        threading.Thread(target=self._work, args=arguments, daemon=True).start()

    def outcome(self) -> Kept | str | None:
        """What has been changed, or why it could not be; once."""
        if (outcome := self._outcome) is None:
            return None
        self._outcome, self.running = None, False
        if isinstance(outcome, str):
            self._next = 0.0  # when it is tried again is for whoever asked
        return outcome

    def news(self, kept: Kept) -> list[str]:
        """What is lost, a line for each file, once."""
        lines = frozenset(kept.lost.values())
        new, self._said = sorted(lines - self._said), lines
        return new

    def _work(
        self, store: Pinning, rounds: Sequence[Round], phases: Mapping[int, Phase], paid: Collection[int]
    ) -> None:
        try:
            lists, broken = read_lists(self.node, store, rounds)
            duty = due_pins(self.node.chain.account, rounds, phases, paid, lists)
            kept = keep_up(self.node.store, duty)
            self._outcome = replace(kept, lost={**kept.lost, **broken})
        except NodeError as error:
            self._outcome = str(error)
        except Exception as error:
            self._outcome = f"{type(error).__name__}: {error} (unexpected)"


def read_lists(
    node: Node, store: Pinning, rounds: Sequence[Round]
) -> tuple[dict[int, DeliveryList], dict[Digest, str]]:
    """The account's own delivery lists, by round, and why others are broken.

    From the store that keeps them, and only those that it does keep. Those that it has lost come with the next look, if
    the store gets them back.
    """
    held, lists, broken = store.pins(), {}, {}
    for each in rounds:
        if each.aggregator == node.chain.account and each.deliveries is not None and each.deliveries in held:
            try:
                lists[each.number] = node.deliveries(each)
            except NodeError as error:
                broken[each.deliveries] = str(error)
    return lists, broken
