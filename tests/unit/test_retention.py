"""What is deleted when: nothing before its time, nothing else, and never through a link."""

import os
from pathlib import Path

import pytest

from market_node.retention import SCRATCH_SECONDS, sweep

DAY, NOW = 86_400, 2_000_000_000


def made(path: Path, age: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"weights")
    for each in (path, path.parent):
        os.utime(each, (NOW - age, NOW - age))
    return path


def test_what_a_killed_step_has_left_goes_after_a_day(tmp_path):
    old = made(tmp_path / "scratch" / "tmpold" / "model", SCRATCH_SECONDS)
    new = made(tmp_path / "scratch" / "tmpnew" / "model", SCRATCH_SECONDS - 1)
    assert sweep(tmp_path, NOW) == [old.parent]
    assert (old.exists(), new.exists()) == (False, True)


def test_nothing_else_is_deleted_however_old_it_is(tmp_path):
    others = [made(tmp_path / name, 90 * DAY) for name in ("state.db", "keys/account.json", "learning/7-offer.json")]
    assert sweep(tmp_path, NOW) == []
    assert all(each.exists() for each in others)


def test_a_folder_in_which_a_file_is_new_is_in_use(tmp_path):
    made(tmp_path / "scratch" / "step" / "model", 2 * DAY)
    fresh = tmp_path / "scratch" / "step" / "sealed"
    fresh.write_bytes(b"")
    os.utime(fresh, (NOW - 5, NOW - 5))
    os.utime(fresh.parent, (NOW - 2 * DAY, NOW - 2 * DAY))
    assert sweep(tmp_path, NOW) == []


def test_a_link_goes_and_not_what_it_points_to(tmp_path):
    precious = made(tmp_path / "elsewhere" / "model", 2 * DAY)
    (tmp_path / "scratch").mkdir()
    link = tmp_path / "scratch" / "link"
    link.symlink_to(precious.parent)
    os.utime(link, (NOW - 2 * DAY, NOW - 2 * DAY), follow_symlinks=False)
    assert sweep(tmp_path, NOW) == [link]
    assert precious.exists() and not link.is_symlink()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may delete everything")
def test_what_cannot_be_deleted_is_left_for_the_next_time(tmp_path):
    old = made(tmp_path / "scratch" / "step" / "model", 2 * DAY)
    old.parent.chmod(0o500)
    assert sweep(tmp_path, NOW) == []
    old.parent.chmod(0o700)


def test_a_home_without_such_a_folder_is_swept_too(tmp_path):
    assert sweep(tmp_path) == []
