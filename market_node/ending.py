"""The wish that a process ends, which a signal can bring at any moment."""

import time

LATEST = 0.1
"""Seconds after which a wait notices it."""


class Ending:
    """What `threading.Event` is, without its lock: a signal that came while that is held would wait for it for ever,
    since its handler runs in the thread that holds it."""

    def __init__(self) -> None:
        self._wished = False

    def set(self) -> None:
        """Wishes the end. Safe in a signal handler."""
        self._wished = True

    def is_set(self) -> bool:
        """Whether the end was wished."""
        return self._wished

    def wait(self, seconds: float | None = None) -> bool:
        """Waits until the end is wished, at most so long; without a limit, for ever. Returns whether it was."""
        end = None if seconds is None else time.monotonic() + seconds
        while not self._wished:
            left = LATEST if end is None else min(LATEST, end - time.monotonic())
            if left <= 0:
                break
            time.sleep(left)
        return self._wished
