"""Sessions that documents show, run as they stand there, in one shell from the first command to the last."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

TREE = Path(__file__).parent.parent
PRINTED = {"TASK": r"^task +([0-9a-f]{64})", "MARKET": r"^market +(0x[0-9a-fA-F]{40})"}
"""What a document has a reader copy, and how a command prints it."""

CHAIN = 8545
"""The port of the chain that the documents start."""


def commands(document: str, section: str) -> list[str]:
    """The commands of a section, loops whole.

    Args:
        document: a path in the tree.
        section: its heading, without the marks.
    """
    text = (TREE / document).read_text(encoding="utf-8").split(f"## {section}\n")[1].split("\n## ")[0]
    found: list[str] = []
    for block in re.findall(r"```console\n(.*?)```", text, flags=re.S):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append(line[2:])
            else:
                assert line.startswith("> "), f"neither a command nor the rest of one: {line!r}"
                found[-1] += "\n" + line[2:]
    return found


class Shell:
    """One bash that stays the same from command to command, with the tree's examples in its folder."""

    def __init__(self, folder: Path) -> None:
        (folder / "examples").symlink_to(TREE / "examples")
        environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "COLUMNS": "120",
        }
        self.copied: dict[str, str] = {}
        """What a reader has copied from what was printed."""
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

    def read(self, command: str) -> str:
        """Runs a command of a document. Returns what it printed."""
        for name, value in self.copied.items():
            command = re.sub(rf"\b{name}\b", value, command)
        # The one change: a second of work per password is for people, not for tests.
        command = command.replace(" init ", " init --light-kdf ")
        if "devnet &" in command:
            command += f"\nuntil (exec 3<>/dev/tcp/127.0.0.1/{CHAIN}) 2>/dev/null; do sleep 0.1; done"
        printed = self.run(command)
        for name, pattern in PRINTED.items():
            if found := re.search(pattern, printed, flags=re.M):
                self.copied[name] = found[1]
        return printed

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
        """Ends everything that it started."""
        os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait(10)
