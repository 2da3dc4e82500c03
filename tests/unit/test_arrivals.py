"""Files that are fetched side by side: none waits for one that nobody gives, and few lie there at a time."""

import threading
from contextlib import closing
from pathlib import Path

import pytest

from market_node.arrivals import arrivals
from market_node.errors import NotFound, StorageError
from market_node.store import SIDE_BY_SIDE

FILES = {number: number.to_bytes(32, "big") for number in range(3 * SIDE_BY_SIDE)}
MALLORYS = FILES[0]
LONG = 60.0


class Giving:
    """A store that has every file but Mallory's, for which it is asked in vain until `over`."""

    def __init__(self) -> None:
        self.over = threading.Event()

    def get(self, digest: bytes, path: Path, limit: int) -> None:
        if digest == MALLORYS:
            self.over.wait(LONG)
            raise NotFound("nobody has it")
        path.write_bytes(digest)


@pytest.fixture
def store():
    giving = Giving()
    yield giving
    giving.over.set()


def test_every_file_comes_once(store, tmp_path):
    store.over.set()
    came = {
        number: file.exception() or file.result().read_bytes() for number, file in arrivals(store, FILES, tmp_path, 32)
    }
    assert isinstance(came.pop(0), NotFound)
    assert came == {number: digest for number, digest in FILES.items() if number}


def test_the_others_do_not_wait_for_a_file_that_is_withheld(store, tmp_path):
    with closing(arrivals(store, FILES, tmp_path, 32)) as coming:
        others = {next(coming)[0] for _ in range(len(FILES) - 1)}
        assert others == FILES.keys() - {0}
        store.over.set()
        assert [number for number, _ in coming] == [0]


def test_there_are_never_more_files_than_are_fetched_at_once(store, tmp_path):
    for _ in arrivals(store, {number: FILES[number] for number in FILES if number}, tmp_path, 32):
        assert len(list(tmp_path.iterdir())) <= SIDE_BY_SIDE
    assert list(tmp_path.iterdir()) == []


def test_what_has_not_come_in_time_is_not_waited_for(store, tmp_path):
    came = {number: file.exception() for number, file in arrivals(store, FILES, tmp_path, 32, seconds=5)}
    assert came.keys() == FILES.keys()
    assert type(came[0]) is StorageError, "late is not missing"


def test_where_there_is_no_time_none_is_asked_for(store, tmp_path):
    store.get = None
    came = [type(file.exception()) for _, file in arrivals(store, FILES, tmp_path, 32, seconds=0)]
    assert came == [StorageError] * len(FILES)
