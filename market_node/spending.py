"""What private trainings have spent: a file of all of them, and of the secret that their chance comes from.

What is spent is written down before it is spent, so that no crash makes it less; what came of it, before it is let out,
so that no other outcome is ever let out with the same noise.
"""

import fcntl
import hmac
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from .errors import ConfigError, StateError
from .files import replacing


@dataclass(frozen=True, slots=True)
class Run:
    """One training, as its privacy sees it."""

    name: str
    """Of what was trained, by which it is known again; hex."""
    noise: float
    """The noise multiplier: standard deviation of the noise, in clipping norms."""
    rate: float
    """The probability with which a step takes a sample."""
    steps: int
    outcome: str | None = field(default=None, compare=False)
    """Digest of the weights that came of it, hex; None as long as nobody can have them."""


class Spending:
    """The file of all trainings that may have left something behind, and of the secret.

    Raises:
        ConfigError: a path that depends on where the node was started.
        StateError: a file is there that is none.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        if not self.path.is_absolute():
            raise ConfigError(
                f"where privacy is spent must not depend on where a node is started, as {str(path)!r} does: say "
                "spending=Path(__file__).with_name('spending.json')"
            )
        self.secret, self.runs = secrets.token_bytes(32), list[Run]()
        self._read()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keeps other processes away from the file, and knows what they have written."""
        try:
            lock = os.open(f"{self.path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StateError(f"cannot write {self.path}.lock: {error.strerror}") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._read()
            yield
        finally:
            os.close(lock)

    def derive(self, what: str, *parts: bytes) -> bytes:
        """32 bytes that follow from the secret and all these, and say nothing to who lacks it."""
        framed = b"".join(len(part).to_bytes(8) + part for part in (what.encode(), *parts))
        return hmac.digest(self.secret, framed, "sha256")

    def enter(self, run: Run) -> None:
        """Writes a training down. Only `alone`."""
        self.runs.append(run)
        self._write()

    def conclude(self, run: Run, outcome: str) -> None:
        """Writes down what came of a training.

        Raises:
            StateError: it has given something else before.
        """
        with self.alone():
            if run not in self.runs:
                raise StateError(f"{self.path} was exchanged during a training: what came of that is not let out")
            place = self.runs.index(run)
            if self.runs[place].outcome not in (None, outcome):
                raise StateError(
                    "this private training was taken before and gave other weights: nothing of it is let out, because "
                    "two outcomes under one noise tell of the samples. Undo what has changed since (network, threads, "
                    "device), or sit the round out"
                )
            self.runs[place] = replace(run, outcome=outcome)
            self._write()

    def _read(self) -> None:
        try:
            stored = json.loads(self.path.read_bytes())
            self.secret = bytes.fromhex(stored["secret"])
            self.runs = [Run(**run) for run in stored["runs"]]
        except FileNotFoundError:
            self.runs = []
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise StateError(f"what was spent cannot be read from {self.path}: restore it from a backup") from error

    def _write(self) -> None:
        stored = {"secret": self.secret.hex(), "runs": [asdict(each) for each in self.runs]}
        with replacing(self.path, 0o600) as file:
            file.write(json.dumps(stored, indent=1).encode() + b"\n")
