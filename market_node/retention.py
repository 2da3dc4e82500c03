"""What a node deletes by itself: what a killed step has left.

An opened model is somebody's property in clear. Each step keeps what it opens in a folder of its own under `scratch`,
and deletes it when it ends. A step that was killed cannot; what it has left goes once no step can still be using it.
(Sealed files stay in the store until their round is paid out: `pins`.)
"""

import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

SCRATCH = "scratch"
"""The folder in a node's home that has the steps' folders."""

SCRATCH_SECONDS = 86_400
"""After so long without a change a step's folder is nobody's: no step takes as long."""


_SCRATCH: ContextVar[str | None] = ContextVar("scratch", default=None)


@contextmanager
def scratch_in(folder: str | None) -> Iterator[None]:
    """Names the folder for what `new_scratch` makes meanwhile, in this thread."""
    token = _SCRATCH.set(folder)
    try:
        yield
    finally:
        _SCRATCH.reset(token)


def new_scratch() -> tempfile.TemporaryDirectory[str]:
    """A folder for models in clear that vanishes after its block, and is swept where the process is killed in it.
    Outside of a node's work it is the system's."""
    if (folder := _SCRATCH.get()) is not None:
        Path(folder).mkdir(mode=0o700, parents=True, exist_ok=True)
    return tempfile.TemporaryDirectory(dir=folder)


def sweep(home: Path, now: int | None = None) -> list[Path]:
    """Deletes what is old, and says what that was. What cannot be deleted is tried the next time.

    Args:
        now: seconds since the epoch; by default the machine's clock.
    """
    now = int(time.time()) if now is None else now
    return [path for path in _in(home / SCRATCH) if now - _changed(path) >= SCRATCH_SECONDS and _delete(path)]


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
