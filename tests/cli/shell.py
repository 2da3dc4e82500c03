"""The command line as a test uses it: in the process, with what it prints caught."""

import io
import json
import re
import shutil
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from market_node.cli.app import run
from market_node.cli.root import app

TOKEN = 10**18
PASSWORD = "correct horse"

PHASES = [each for name in ("draw", "reveal", "settle", "challenge", "refute") for each in (f"--{name}", "10m")]
"""Ten minutes for each phase after the commits."""

BID = ("--value", 10, "--cost", 1, "--samples", 100)


@dataclass(frozen=True)
class Run:
    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on standard output."""
        assert self.code == 0, self.err
        return json.loads(self.out)

    @property
    def complaint(self) -> str:
        """The one line on standard error."""
        assert self.code != 0
        assert self.err.count("\n") == 1, self.err
        assert self.err.startswith("error: ")
        assert self.out == ""
        return self.err


def market_node(*arguments: object) -> Run:
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        code = run(app, [str(each) for each in arguments])
    return Run(code, out.getvalue(), err.getvalue())


@dataclass(frozen=True)
class Node:
    """The command line of one account."""

    home: Path
    password: Path

    def __call__(self, command: str, *arguments: object) -> Run:
        return market_node(*command.split(), *arguments, "--home", self.home, "--password-file", self.password)

    def reconfigured(self, home: Path, pattern: str, replacement: str) -> "Node":
        """The same account in another home, where one line of the configuration is another."""
        shutil.copytree(self.home, home)
        text, count = re.subn(pattern, replacement, (home / "config.toml").read_text(), flags=re.M)
        assert count == 1
        (home / "config.toml").write_text(text)
        return replace(self, home=home)


def password_file(path: Path, password: str) -> Path:
    path.touch(mode=0o600)
    path.write_text(password + "\n")
    return path
