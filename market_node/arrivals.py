"""Files of a store, fetched side by side and taken one at a time, as they come."""

from collections import deque
from collections.abc import Generator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from math import inf
from pathlib import Path
from time import monotonic

from .errors import StorageError
from .store import SIDE_BY_SIDE, Digest, Store


def arrivals(
    store: Store, files: Mapping[int, Digest], folder: Path, limit: int, seconds: float = inf
) -> Generator[tuple[int, Future[Path]], None, None]:
    """Fetches files, `SIDE_BY_SIDE` at a time: one that nobody gives delays the others little.

    A file is deleted when the next one is asked for. So there are never more of them than are fetched at once, however
    long each is looked at.

    Args:
        folder: where the files go; may be deleted while some are still on their way.
        limit: bytes of each.
        seconds: how long they are waited for. What has come by then is given all the same.

    Yields:
        Each file's number, and the file, or the error that the store gave in its place.
    """
    end, waiting = monotonic() + seconds, deque(files)
    coming: dict[Future[Path], int] = {}
    pool = ThreadPoolExecutor(SIDE_BY_SIDE, thread_name_prefix="file")

    def get(number: int) -> Path:
        path = folder / str(number)
        store.get(files[number], path, limit)
        return path

    try:
        while waiting or coming:
            left = max(0.0, end - monotonic())
            while waiting and left and len(coming) < SIDE_BY_SIDE:
                number = waiting.popleft()
                coming[pool.submit(get, number)] = number
            done, _ = wait(coming, None if left == inf else left, FIRST_COMPLETED)
            if not done:
                break
            arrived = done.pop()
            yield (number := coming.pop(arrived)), arrived
            (folder / str(number)).unlink(missing_ok=True)
        for number in (*coming.values(), *waiting):
            yield number, _late(seconds)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # a store that stalls would be waited for


def _late(seconds: float) -> Future[Path]:
    late: Future[Path] = Future()
    late.set_exception(StorageError(f"it did not come within {seconds:.0f} s, and there is no time for more"))
    return late
