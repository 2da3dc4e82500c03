"""What failed: said once, tried again later and later, forgotten when it is no longer due."""

from collections.abc import Callable, Collection, Hashable
from dataclasses import dataclass, replace

LONGEST = 60.0
"""Seconds between two tries, at most."""


@dataclass(frozen=True, slots=True)
class _Failure:
    said: str
    times: int
    again: float


class Patience:
    """Failures by what failed.

    Args:
        first: seconds until the first try after a failure; doubled after each.
        clock: seconds, such as `time.monotonic`.
    """

    def __init__(self, first: float, clock: Callable[[], float]) -> None:
        self.first, self.clock = first, clock
        self._failures: dict[Hashable, _Failure] = {}

    def failed(self, what: Hashable, said: str, left: float | None = None) -> bool:
        """Notes a failure. Returns whether it is to be said: it is new, or has another reason.

        Args:
            left: seconds until it is too late: a quarter of them is the longest wait.
        """
        before = self._failures.get(what, _Failure("", 0, 0.0))
        longest = LONGEST if left is None else max(self.first, min(LONGEST, left / 4))
        pause = min(longest, self.first * 2 ** min(before.times, 16))
        self._failures[what] = replace(before, said=said, times=before.times + 1, again=self.clock() + pause)
        return before.said != said

    def times(self, what: Hashable) -> int:
        """How often it has failed so far."""
        return self._failures[what].times if what in self._failures else 0

    def rests(self, what: Hashable) -> bool:
        """Whether it has failed and is not to be tried yet."""
        return what in self._failures and self.clock() < self._failures[what].again

    def succeeded(self, what: Hashable) -> bool:
        """Forgets its failures. Returns whether there were any."""
        return self._failures.pop(what, None) is not None

    def keep(self, due: Collection[Hashable]) -> list[Hashable]:
        """Forgets what is no longer due. Returns it."""
        late = [what for what in self._failures if what not in due]
        for what in late:
            del self._failures[what]
        return late
