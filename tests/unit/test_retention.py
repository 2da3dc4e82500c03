"""What is deleted when: nothing before its time, nothing else, and never through a link."""

import os
from pathlib import Path

import pytest

from market_node.retention import KEEP_DAYS, SCRATCH_SECONDS, Held, held_in, is_due, sweep

DAY, NOW = 86_400, 2_000_000_000
HERE = Path("here")


def made(path: Path, age: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"weights")
    for each in (path, path.parent):
        os.utime(each, (NOW - age, NOW - age))
    return path


def test_what_a_killed_step_has_left_goes_after_a_day():
    assert not is_due(Held(HERE, None, NOW - SCRATCH_SECONDS + 1), {}, NOW)
    assert is_due(Held(HERE, None, NOW - SCRATCH_SECONDS), {}, NOW)


def test_a_rounds_files_go_so_many_days_after_its_payout():
    held = Held(HERE, 7, 0)
    assert not is_due(held, {7: NOW - KEEP_DAYS * DAY + 1}, NOW)
    assert is_due(held, {7: NOW - KEEP_DAYS * DAY}, NOW)
    assert is_due(held, {7: NOW}, NOW, days=0)


def test_the_files_of_a_round_that_is_not_paid_out_stay_however_old_they_are():
    assert not is_due(Held(HERE, 7, 0), {6: 0, 8: 0}, NOW)


def test_a_sweep_deletes_what_is_due_and_nothing_else(tmp_path):
    old = made(tmp_path / "scratch" / "tmpold" / "model", 2 * DAY)
    new = made(tmp_path / "scratch" / "tmpnew" / "model", 60)
    paid, open_ = (made(tmp_path / "opened" / name, 90 * DAY) for name in ("7-0.safetensors", "8-0.safetensors"))
    others = [made(tmp_path / name, 90 * DAY) for name in ("state.db", "keys/account.json", "opened/notes")]
    assert sweep(tmp_path, {7: NOW - 8 * DAY}, NOW) == [old.parent, paid]
    assert [each.exists() for each in (old, paid, new, open_, *others)] == [False, False, True, True, True, True, True]


def test_a_folder_in_which_a_file_is_new_is_in_use(tmp_path):
    made(tmp_path / "scratch" / "step" / "model", 2 * DAY)
    fresh = tmp_path / "scratch" / "step" / "sealed"
    fresh.write_bytes(b"")
    os.utime(fresh, (NOW - 5, NOW - 5))
    os.utime(fresh.parent, (NOW - 2 * DAY, NOW - 2 * DAY))
    assert sweep(tmp_path, {}, NOW) == []


def test_a_link_goes_and_not_what_it_points_to(tmp_path):
    precious = made(tmp_path / "elsewhere" / "model", 2 * DAY)
    (tmp_path / "scratch").mkdir()
    link = tmp_path / "scratch" / "link"
    link.symlink_to(precious.parent)
    os.utime(link, (NOW - 2 * DAY, NOW - 2 * DAY), follow_symlinks=False)
    assert sweep(tmp_path, {}, NOW) == [link]
    assert precious.exists() and not link.is_symlink()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may delete everything")
def test_what_cannot_be_deleted_is_left_for_the_next_time(tmp_path):
    old = made(tmp_path / "scratch" / "step" / "model", 2 * DAY)
    old.parent.chmod(0o500)
    assert sweep(tmp_path, {}, NOW) == []
    old.parent.chmod(0o700)


def test_a_home_without_such_folders_holds_nothing(tmp_path):
    assert held_in(tmp_path) == []
