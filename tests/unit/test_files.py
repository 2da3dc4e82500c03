"""A file is there whole or not at all."""

import os
import stat

import pytest

from market_node.files import replacing


def test_the_name_appears_when_the_block_ends(tmp_path):
    with replacing(tmp_path / "letter") as file:
        file.write(b"dear ")
        file.flush()
        assert not (tmp_path / "letter").exists()
        file.write(b"ada")
    assert (tmp_path / "letter").read_bytes() == b"dear ada"


def test_the_bytes_are_on_the_disk_before_the_name_and_the_name_before_the_end(tmp_path, monkeypatch):
    synced = []

    def sync(path):
        synced.append((path == tmp_path, (tmp_path / "letter").exists(), path.is_file() and path.read_bytes()))

    monkeypatch.setattr("market_node.files.sync", sync)
    with replacing(tmp_path / "letter") as file:
        file.write(b"dear ada")
    assert synced == [(False, False, b"dear ada"), (True, True, False)]


def test_an_error_leaves_the_old_version_and_nothing_else(tmp_path):
    (tmp_path / "letter").write_bytes(b"old")

    def interrupted():
        with replacing(tmp_path / "letter") as file:
            file.write(b"new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert (tmp_path / "letter").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["letter"]


def test_two_writers_of_one_name_do_not_mix(tmp_path):
    with replacing(tmp_path / "letter") as ada:
        ada.write(b"from ada")
        with replacing(tmp_path / "letter") as bob:
            bob.write(b"bob")
        assert (tmp_path / "letter").read_bytes() == b"bob"
    assert (tmp_path / "letter").read_bytes() == b"from ada"


def test_a_secret_is_never_readable_by_others(tmp_path):
    with replacing(tmp_path / "secret", mode=0o600):
        (unfinished,) = tmp_path.iterdir()
        assert stat.S_IMODE(unfinished.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600
