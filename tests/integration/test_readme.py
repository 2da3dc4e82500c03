"""The README's session is run as it stands there, from its first command to its last."""

import socket

import pytest

from tests.session import CHAIN, PRINTED, Shell, commands


@pytest.fixture
def shell(tmp_path):
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", CHAIN)) == 0:
            pytest.skip(f"port {CHAIN}, which the README uses, is taken")
    shell = Shell(tmp_path)
    yield shell
    shell.close()


def test_the_readmes_session_works_as_written(shell, tmp_path):
    for command in commands("README.md", "A round, by hand"):
        shell.read(command)
    assert set(shell.copied) == set(PRINTED)
    assert (tmp_path / "personal.safetensors").stat().st_size > 0
