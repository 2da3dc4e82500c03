"""A market of real processes that are left alone: nodes by `market-node run`, a devnet over HTTP, one shared store.

Nobody touches a node. The town only keeps time: once everybody has done what a phase is for, it sets the devnet's clock
to the phase's end, so that a round takes as long as the nodes need and no deadline is missed on a slow machine. A node
that does not do its part within `PATIENCE` fails the test.
"""

import io
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eth_utils.crypto import keccak
from safetensors.torch import save_file
from web3.types import RPCEndpoint

from market_node.audit import audit
from market_node.chain import Chain
from market_node.cli.app import run as command_line
from market_node.cli.root import app
from market_node.contracts import artifact
from market_node.history import History
from market_node.phases import Phase, span
from tests.soak.pupil import TRAINING, Pupil

TREE = Path(__file__).parent.parent.parent
PHASE = 600
"""Seconds of each phase on the chain."""
PATIENCE = 90
"""Seconds for everybody to do what a phase is for."""
PASSWORD = "correct horse"
QUIET = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@dataclass
class House:
    """A node's home and its process."""

    home: Path
    process: int = 0
    killed: bool = False
    starts: int = 0

    @property
    def name(self) -> str:
        return self.home.name

    @property
    def log(self) -> Path:
        return self.home.parent / f"{self.name}.log"

    def memory(self) -> int:
        """Bytes of memory, with all that it has imported: what it was forked with counts as its own."""
        text = Path(f"/proc/{self.process}/status").read_text()
        return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("VmRSS:")) * 1024


@dataclass(frozen=True)
class Transaction:
    """What somebody has sent to the market."""

    account: str
    what: str
    round: int
    gas: int
    succeeded: bool


@dataclass
class Town:
    """Args: folder: where everybody's home is. participants: how many there are."""

    folder: Path
    participants: int
    seed: int = 0
    interval: float = 0.25
    """Seconds between two looks of a node."""
    patience: float = PATIENCE
    every: int = 0
    """Seconds from one opening to the next, at least: longer than a round, so that some can leave and join between."""
    houses: dict[str, House] = field(default_factory=dict)
    kills: int = 0
    kills_wanted: int = 0
    """As long as there were fewer, nodes are killed."""
    _read_to: int = 0
    _transactions: list[Transaction] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.names = [f"p{number}" for number in range(1, self.participants + 1)]
        os.environ.update(QUIET)
        self.devnet = subprocess.Popen(
            [sys.executable, "-m", "market_node", "devnet", "--port", "0", "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=TREE,
            text=True,
        )
        self.zygote = subprocess.Popen(
            [sys.executable, "-m", "tests.soak.zygote"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=open(self.folder / "zygote.log", "wb"),  # noqa: SIM115  (it is the zygote's)
            cwd=TREE,
            text=True,
        )
        assert self.devnet.stdout is not None
        said = ""
        while not said.rstrip().endswith("}"):
            line = self.devnet.stdout.readline()
            assert line, "the devnet ended"
            said += line
        self.rpc = json.loads(said)["rpc"]
        self._settle_down()

    # --- before anything runs ---

    def _settle_down(self) -> None:
        password = self.folder / "password"
        password.touch(mode=0o600)
        password.write_text(PASSWORD)
        os.environ["MARKET_NODE_PASSWORD_FILE"] = str(password)
        market = self._join("aggregator")
        self.do("aggregator", "fund", 1_000_000, "--mint")
        save_file(dict(Pupil(0).build_model().state_dict()), self.folder / "base.safetensors")
        self.task = self.do("aggregator", "task create", self.folder / "base.safetensors", "--name", "line")["task"]
        for name in ("auditor", *self.names):
            self._join(name, market)
            self.do(name, "fund", 10_000, "--mint")
        self._write_policies()
        self.chain = Chain(self.rpc, market)
        self.history = History(self.chain)

    def _join(self, name: str, market: str = "") -> str:
        self.houses[name] = House(self.folder / name)
        init = ("--rpc", self.rpc, "--store", self.folder / "blocks", "--light-kdf")
        self.do(name, "init", *init, *(("--market", market) if market else ()))
        return market or str(self.do(name, "deploy", "--min-phase", "60s")["market"])

    def do(self, name: str, command: str, *arguments: object) -> Any:
        """A command by hand, before the nodes run."""
        given = [*command.split(), *map(str, arguments), "--home", str(self.houses[name].home), "--json"]
        with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
            code = command_line(app, given)
        assert code == 0, err.getvalue()
        return json.loads(out.getvalue())

    def _write_policies(self) -> None:
        run = f"[run]\ninterval = {self.interval}\n"
        lengths = "".join(
            f'{name} = "{PHASE}s"\n' for name in ("commit", "draw", "reveal", "settle", "challenge", "refute")
        )
        opening = f'task = "{self.task}"\nreveal_bond = "10"\nfee = "1"\nevery = "{self.every}s"\nmax_samples = 8192\n'
        self.write("aggregator", f"{run}[aggregator]\n{opening}{lengths}max_sellers = 3\nmax_participants = 64\n")
        self.write("auditor", f"{run}[auditor]\n")
        for number, name in enumerate(self.names, 1):
            self.write(
                name,
                f'{run}[participant]\ntraining = "tests.soak.pupil:number_{number}"\ntasks = ["{self.task}"]\n'
                f'samples = {TRAINING}\nvalue = "50"\ncost = "1"\nisolate = false\n',
            )

    def write(self, name: str, policy: str) -> None:
        """Writes a node's policy, which holds from its next start."""
        (self.houses[name].home / "node.toml").write_text(policy)

    # --- processes ---

    def _ask(self, order: dict[str, Any]) -> Any:
        assert self.zygote.stdin is not None and self.zygote.stdout is not None
        self.zygote.stdin.write(json.dumps(order) + "\n")
        self.zygote.stdin.flush()
        answer = self.zygote.stdout.readline()
        assert answer, (self.folder / "zygote.log").read_text()
        return json.loads(answer)

    def start(self, *names: str) -> None:
        """Starts nodes; while kills are wanted, half of them kill themselves at some boundary."""
        for name in names:
            house = self.houses[name]
            order: dict[str, Any] = {
                "arguments": ["run", "--home", str(house.home), "--log", "json"],
                "log": str(house.log),
                "environment": {"MARKET_NODE_PASSWORD_FILE": str(self.folder / "password")},
            }
            if self.kills < self.kills_wanted and self.random.random() < 0.5:
                order |= {"kill_at": self.random.randint(1, 40), "kills": str(self.folder / "kills")}
            house.process = self._ask(order)
            house.starts += 1

    def tend(self) -> None:
        """Starts again who was killed, and kills somebody now and then."""
        running = {house.process: house for house in self.houses.values() if house.process}
        for process, code in self._ask({"alive": list(running)}).items():
            if code is not None:
                house = running[int(process)]
                assert code == -signal.SIGKILL, f"{house.name} ended with {code}:\n{self.tail(house)}"
                self.kills += 1
                self.start(house.name)
        if self.kills < self.kills_wanted and self.random.random() < 0.1:
            with suppress(ProcessLookupError):  # it may have killed itself since it was asked
                os.kill(self.random.choice(list(running)), signal.SIGKILL)

    def stop(self, *names: str) -> None:
        """Ends nodes as an operator does, and waits for them."""
        for house in (self.houses[name] for name in names):
            os.kill(house.process, signal.SIGTERM)
        for house in (self.houses[name] for name in names):
            end = time.monotonic() + self.patience
            while (code := self._ask({"alive": [house.process]})[str(house.process)]) is None:
                assert time.monotonic() < end, f"{house.name} does not end"
                time.sleep(0.05)
            assert code == 0, f"{house.name} ended with {code}:\n{self.tail(house)}"
            house.process = 0

    def tail(self, house: House, lines: int = 12) -> str:
        return "\n".join(house.log.read_text().splitlines()[-lines:]) if house.log.exists() else "(no log)"

    def close(self) -> None:
        """Ends everything."""
        for house in self.houses.values():
            if house.process:
                try:
                    os.kill(house.process, signal.SIGKILL)
                except ProcessLookupError:
                    continue
        for process in (self.zygote, self.devnet):
            process.kill()
            process.wait()

    def __enter__(self) -> "Town":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- time ---

    def pass_round(self, number: int, committing: int) -> None:
        """Keeps time for one round, from its opening to its last payment."""
        if self.every and number > 1:
            self._forward(self._round(number - 1).terms.commit_deadline - PHASE + self.every)
        self.wait(f"round {number} is opened", lambda: number in self.history.ledger.rounds)
        self.wait(f"{committing} commits", lambda: len(self._round(number).participants) == committing)
        self._warp(number, Phase.COMMIT)
        self.wait("a seed", lambda: self._round(number).seed is not None)
        self.wait("every reveal", lambda: all(each.reveal for each in self._round(number).participants))
        self._warp(number, Phase.REVEAL)
        self.wait("a settlement", lambda: self._round(number).settlement is not None)
        self.wait("a rating by every buyer", lambda: self._all_rated(number))
        self._warp(number, Phase.CHALLENGE)
        self.wait("every payment", lambda: self._is_paid(number))

    def wait(self, what: str, done: Any) -> None:
        """Waits until it is so; meanwhile looks after the processes."""
        end = time.monotonic() + self.patience
        while not done():
            if time.monotonic() > end:
                tails = "\n\n".join(f"{house.name}:\n{self.tail(house)}" for house in self.houses.values())
                raise AssertionError(f"waited in vain for {what}\n{tails}")
            self.tend()
            time.sleep(0.1)
            self.history.refresh()

    def _round(self, number: int) -> Any:
        return self.history.ledger.rounds[number]

    def _all_rated(self, number: int) -> bool:
        round_ = self._round(number)
        pairs = zip(round_.participants, round_.settlement.rows, strict=True)
        return all(each.rating is not None for each, row in pairs if row)

    def _is_paid(self, number: int) -> bool:
        trail = self.history.trail(number)
        return trail.aggregator is not None and len(trail.paid) == len(self._round(number).participants)

    def _warp(self, number: int, phase: Phase) -> None:
        end = span(self.chain.state(number), phase)[1]
        assert end is not None
        self._forward(end)

    def _forward(self, then: int) -> None:
        for method, given in (("evm_increaseTime", [max(0, then - self.chain.now())]), ("evm_mine", [])):
            self.chain.endpoint.web3.manager.request_blocking(RPCEndpoint(method), given)

    # --- what came of it ---

    def transactions(self) -> list[Transaction]:
        """Every transaction to the market, failed ones too, in the order of the chain."""
        names = {
            keccak(text=f"{item['name']}({','.join(_kind(each) for each in item['inputs'])})")[:4]: item["name"]
            for item in artifact("Market")["abi"]
            if item["type"] == "function"
        }
        eth, found = self.chain.endpoint.web3.eth, []
        for block in range(self._read_to + 1, self.chain.block() + 1):
            for each in eth.get_block(block, full_transactions=True)["transactions"]:
                if each["to"] == self.chain.market:
                    receipt = eth.get_transaction_receipt(each["hash"])
                    data = bytes(each["input"])
                    number = int.from_bytes(data[4:36], "big")
                    of = 0 if number > 1 << 32 else number  # `openRound` and `setEncryptionKey` name none
                    found.append(
                        Transaction(each["from"], names[data[:4]], of, receipt["gasUsed"], receipt["status"] == 1)
                    )
            self._read_to = block
        self._transactions += found
        return self._transactions

    def sent_twice(self) -> list[tuple[str, str, int]]:
        """(Account, what, round) of what a node has sent more often than there was a reason to."""
        sent = Counter((each.account, each.what, each.round) for each in self.transactions())
        rounds = len(self.history.refresh().rounds)
        allowed = {"drawSeed": 2, "openRound": rounds}
        return [key for key, count in sent.items() if count > allowed.get(key[1], 1)]

    def findings(self) -> list[Any]:
        """What an audit of every round finds: to the unit, everybody has what is theirs."""
        self.history.refresh()
        rounds = self.history.ledger.rounds
        return [each for number in rounds for each in audit(rounds[number], self.history.trail(number)).findings]

    def check_databases(self) -> None:
        """Every node's state is whole."""
        for house in self.houses.values():
            with sqlite3.connect(house.home / "state.db") as connection:
                assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",), house.name

    def events(self, name: str) -> list[dict[str, Any]]:
        """What a node has logged. A line that a kill has cut is left out."""
        read, log = [], self.houses[name].log
        for line in log.read_text().splitlines() if log.exists() else ():
            try:
                read.append(json.loads(line))
            except ValueError:
                continue
        return read


def _kind(argument: dict[str, Any]) -> str:
    kind: str = argument["type"]
    if not kind.startswith("tuple"):
        return kind
    return f"({','.join(map(_kind, argument['components']))}){kind[5:]}"
