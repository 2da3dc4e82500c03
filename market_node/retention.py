"""What a node deletes by itself, and when. The rule is pure; `sweep` does what it says.

An opened model is somebody's property in clear. An aggregator needs it while it checks and combines: each step keeps
what it opens in a folder under `scratch`, and deletes it when it ends. What a killed step has left is deleted once no
step can still be using it. Sealed files and personal models, which only their buyers open, stay in the store until
the round is paid out (`pins`), and files that the node keeps per round go `KEEP_DAYS` later.
"""

import re
import shutil
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

SCRATCH, OPENED = "scratch", "opened"
"""Folders in a node's home: of steps, and of models that somebody keeps per round (`opened/7-…`)."""

SCRATCH_SECONDS = 86_400
"""After so long without a change a step's folder is nobody's: no step takes as long."""

KEEP_DAYS = 7
"""After a round's payout: for so long its delivery is still tried for, and questions may come."""

_NUMBERED = re.compile(r"([1-9][0-9]{0,17})-.+")


@dataclass(frozen=True, slots=True)
class Held:
    """A file or folder that a node may delete."""

    path: Path
    round: int | None
    """None where it belongs to none, as a step's folder."""
    changed: int
    """Seconds since the epoch."""


def is_due(held: Held, paid: Mapping[int, int], now: int, days: int = KEEP_DAYS) -> bool:
    """Whether it goes.

    Args:
        paid: round → when it was paid out or refunded, seconds since the epoch; rounds that were not are missing.
        days: how long after that a round's files stay.
    """
    if held.round is None:
        return now - held.changed >= SCRATCH_SECONDS
    return held.round in paid and now - paid[held.round] >= days * 86_400


def held_in(home: Path) -> list[Held]:
    """All that the rule is about, in one node's home."""
    found = [Held(path, None, _changed(path)) for path in _in(home / SCRATCH)]
    for path in _in(home / OPENED):
        if match := _NUMBERED.fullmatch(path.name):
            found.append(Held(path, int(match[1]), _changed(path)))
    return found


def sweep(home: Path, paid: Mapping[int, int], now: int | None = None, days: int = KEEP_DAYS) -> list[Path]:
    """Deletes what is due, and says what that was. What cannot be deleted is tried the next time."""
    now = int(time.time()) if now is None else now
    gone = []
    for held in held_in(home):
        if is_due(held, paid, now, days) and _delete(held.path):
            gone.append(held.path)
    return gone


def _in(folder: Path) -> Iterable[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() and not folder.is_symlink() else ()


def _changed(path: Path) -> int:
    """When anything in it last changed."""
    inside = path.rglob("*") if path.is_dir() and not path.is_symlink() else ()
    return int(max(each.lstat().st_mtime for each in (path, *inside)))


def _delete(path: Path) -> bool:
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()  # a link goes, and not what it points to
    except OSError:
        return False
    return True
