"""The README's session is run as it stands there, from its first command to its last."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

TREE = Path(__file__).parent.parent.parent
PRINTED = {"TASK": r"^task +([0-9a-f]{64})", "MARKET": r"^market +(0x[0-9a-fA-F]{40})"}
"""What the README has a reader copy, and how a command prints it."""


def commands() -> list[str]:
    """The commands of the section "A round, by hand", loops whole."""
    section = (TREE / "README.md").read_text(encoding="utf-8").split("## A round, by hand")[1].split("\n## ")[0]
    found: list[str] = []
    for block in re.findall(r"```console\n(.*?)```", section, flags=re.S):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append(line[2:])
            else:
                assert line.startswith("> "), f"neither a command nor the rest of one: {line!r}"
                found[-1] += "\n" + line[2:]
    return found


class Shell:
    """One bash that stays the same from command to command."""

    def __init__(self, folder: Path) -> None:
        environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "COLUMNS": "120",
        }
        self.process = subprocess.Popen(
            ["bash"],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, command: str) -> str:
        """What the command printed. Fails with it where its exit code is not 0."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f'{command}\necho; echo "<done $?>"\n')
        self.process.stdin.flush()
        printed = ""
        for line in self.process.stdout:
            if line.startswith("<done "):
                assert line == "<done 0>\n", f"{command}\n{printed}"
                return printed
            printed += line
        raise AssertionError(f"{command}\n{printed}\nthe shell ended")

    def close(self) -> None:
        os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait(10)


@pytest.fixture
def shell(tmp_path):
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", 8545)) == 0:
            pytest.skip("port 8545, which the README uses, is taken")
    (tmp_path / "examples").symlink_to(TREE / "examples")
    shell = Shell(tmp_path)
    yield shell
    shell.close()


def test_the_readmes_session_works_as_written(shell, tmp_path):
    copied: dict[str, str] = {}
    printed = ""
    for command in commands():
        for name, value in copied.items():
            command = re.sub(rf"\b{name}\b", value, command)
        # The one change: a second of work per password is for people, not for tests.
        command = command.replace(" init ", " init --light-kdf ")
        if command.endswith("&"):
            command += "\nuntil (exec 3<>/dev/tcp/127.0.0.1/8545) 2>/dev/null; do sleep 0.1; done"
        printed = shell.run(command)
        for name, pattern in PRINTED.items():
            if found := re.search(pattern, printed, flags=re.M):
                copied[name] = found[1]
    assert set(copied) == set(PRINTED)
    assert (tmp_path / "personal.safetensors").stat().st_size > 0
