"""A market of separate processes: each actor has a folder and a key of its own, and all they share is a chain's RPC
address and a folder of sealed blocks."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Timer
from typing import Any

import pytest

from market_node.records import LEAST_REPUTATION, Purchase, Settlement

PARTICIPANTS = ("amber", "basil", "coral")
VALUES = {"amber": 50, "basil": 60, "coral": 70}
SHAPES = {"hidden.weight": (16, 8), "hidden.bias": (16,), "out.weight": (4, 16), "out.bias": (4,)}

PHASE = 600
"""Seconds of each phase. The devnet's clock stands still between warps, so a slow machine misses no deadline."""

COMMAND = (sys.executable, "-m", "market_node")
WITHOUT_TORCH = (sys.executable, "-c", "import sys; sys.modules['torch'] = None; import market_node.__main__")
"""The same command where torch cannot be imported: it must not wait for what it does not need."""


@dataclass(frozen=True)
class Run:
    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        assert self.code == 0, self.err
        return json.loads(self.out)


def run(home: Path, *arguments: object, command: Sequence[str] = COMMAND) -> Run:
    """One command in a process of its own."""
    done = subprocess.run(
        [*command, *map(str, arguments)],
        env={**os.environ, **_environment(home)},
        cwd=home.parent,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return Run(done.returncode, done.stdout, done.stderr)


def _environment(home: Path) -> dict[str, str]:
    return {
        "MARKET_NODE_HOME": str(home),
        "MARKET_NODE_PASSWORD_FILE": str(home.parent / f"{home.name}.password"),
        "OMP_NUM_THREADS": "1",
    }


@dataclass(frozen=True)
class Market:
    """Where everybody's folder is."""

    folder: Path
    rpc: str
    address: str
    task: str

    def by(self, name: str, command: str, *arguments: object) -> Any:
        """What a command of `name` says on standard output, as one document."""
        return run(self.folder / name, *command.split(), *arguments, "--json").document

    def at_once(self, names: Sequence[str], step: Callable[[str], Any]) -> None:
        """A step of each of them, at the same time."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(step, names))

    def warp(self) -> None:
        self.by("aggregator", "devnet warp", PHASE)

    def open_round(self) -> int:
        lengths = [
            each for name in ("draw", "reveal", "settle", "challenge", "refute") for each in (f"--{name}", PHASE)
        ]
        return int(self.by("aggregator", "round open", self.task, "--commit", PHASE, *lengths)["round"])

    def to_settle(self, names: Sequence[str]) -> int:
        """A new round, up to where its aggregator settles."""
        number = self.open_round()

        def commit(name: str) -> None:
            bid = ("--value", VALUES[name], "--cost", "0.5", "--samples", 300)
            self.by(name, "commit", number, f"{name}.safetensors", *bid)

        self.at_once(names, commit)
        self.warp()
        assert run(self.folder / "amber", "draw", number, command=WITHOUT_TORCH).code == 0
        self.at_once(names, lambda name: self.by(name, "reveal", number))
        self.warp()
        return number


@pytest.fixture(scope="module")
def rpc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A devnet in a process of its own."""
    serving = subprocess.Popen(
        [sys.executable, "-m", "market_node", "devnet", "--port", "0", "--still", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert serving.stdout is not None
        said = ""
        while not said.rstrip().endswith("}"):
            line = serving.stdout.readline()
            assert line, "the devnet ended"
            said += line
        yield json.loads(said)["rpc"]
    finally:
        serving.terminate()
        assert serving.wait(timeout=10) == 0


@pytest.fixture(scope="module")
def market(rpc: str, tmp_path_factory: pytest.TempPathFactory) -> Market:
    """A deployed market, three funded participants with a model each, an aggregator, an auditor without a key, and a
    guard, which has one."""
    folder = tmp_path_factory.mktemp("market")
    _write_models(folder)
    for name in ("aggregator", "guard", *PARTICIPANTS):
        password = folder / f"{name}.password"
        password.touch(mode=0o600)
        password.write_text(f"{name}'s own")

    init = ("init", "--rpc", rpc, "--store", folder / "blocks", "--light-kdf", "--json")
    assert run(folder / "aggregator", *init).document["chain_id"] == 31337
    deployed = run(folder / "aggregator", "deploy", "--json").document
    market = Market(folder, rpc, deployed["market"], "")

    def join(name: str) -> None:
        if name != "aggregator":
            made = run(folder / name, *init, "--market", deployed["market"], "--from-block", deployed["block"])
            assert made.code == 0, made.err
        market.by(name, "fund", 1000, "--mint")

    market.at_once(("aggregator", "guard", *PARTICIPANTS), join)
    (folder / "auditor").mkdir()
    (folder / "auditor" / "config.toml").write_text(
        f'rpc = "{rpc}"\nchain_id = 31337\nmarket = "{deployed["market"]}"\nfrom_block = {deployed["block"]}\n'
    )
    task = market.by("aggregator", "task create", "base.safetensors", "--name", "tiny")["task"]
    return replace(market, task=task)


def _write_models(folder: Path) -> None:
    """A base and, for each participant, an update that is mostly everybody's and partly its own."""
    import torch
    from safetensors.torch import save_file

    def noise(size: float, seed: int) -> dict[str, torch.Tensor]:
        draw = torch.Generator().manual_seed(seed)
        return {name: size * torch.randn(shape, generator=draw) for name, shape in SHAPES.items()}

    base, common = noise(0.1, 0), noise(0.1, 1)
    save_file(base, folder / "base.safetensors")
    for seed, name in enumerate(PARTICIPANTS, 2):
        own = noise(0.05, seed)
        save_file({key: base[key] + common[key] + own[key] for key in SHAPES}, folder / f"{name}.safetensors")


def test_a_round_completes_and_its_audit_finds_nothing(market: Market) -> None:
    number = market.to_settle(PARTICIPANTS)
    settled = market.by("aggregator", "settle", number)
    assert settled["excluded"] == []
    assert len(settled["purchases"]) == 6, "each buys from both others"

    def fetch(name: str) -> None:
        market.by(name, "fetch", number, f"{name}-personal.safetensors")

    market.at_once(PARTICIPANTS, fetch)
    for name in PARTICIPANTS:
        _check_personal_model(market.folder, name)
    market.by("basil", "rate", number, 100)
    market.warp()
    paid = run(market.folder / "coral", "payout", number, "--json", command=WITHOUT_TORCH).document

    audited = run(market.folder / "auditor", "audit", "--round", number, "--json", command=WITHOUT_TORCH).document
    assert audited["ok"]
    (of_round,) = audited["rounds"]
    assert (of_round["prices"], of_round["credits"], of_round["findings"]) == (6, 3, [])

    status = run(market.folder / "amber", "status", "--json", command=WITHOUT_TORCH).document
    (credit,) = [int(each["credit"]) for each in paid["credits"] if each["account"] == status["account"]]
    assert int(status["available"]) == 1000 * 10**18 - 320 * 10**18 + credit
    assert status["locked"] == "0"
    (reputation,) = status["reputations"].values()
    assert reputation > LEAST_REPUTATION, "a buyer liked its model"


def _check_personal_model(folder: Path, name: str) -> None:
    """It is the base and a weighted mean of the two others' updates, to the quantum."""
    import torch
    from safetensors.torch import load_file

    def flat(stem: str) -> torch.Tensor:
        tensors = load_file(folder / f"{stem}.safetensors")
        return torch.cat([tensors[key].reshape(-1) for key in sorted(SHAPES)]).double()

    one, other = (flat(each) for each in PARTICIPANTS if each != name)
    apart, got = one - other, flat(f"{name}-personal") - other
    weight = got @ apart / (apart @ apart)
    assert 0.2 < weight < 0.8, "both are alike and as large"
    assert (got - weight * apart).abs().max() < 2**-20


@pytest.fixture
def guard(market: Market) -> Iterator["subprocess.Popen[str]"]:
    """An auditor in a process of its own, which looks every second."""
    running = subprocess.Popen(
        [*COMMAND, "auditor", "run", "--interval", "1s"],
        env={**os.environ, **_environment(market.folder / "guard")},
        cwd=market.folder,
        stdout=subprocess.PIPE,
        text=True,
    )
    patience = Timer(120, running.kill)  # else a test that waits for its next line could wait for ever
    patience.start()
    try:
        yield running
    finally:
        patience.cancel()
        running.terminate()
        assert running.wait(timeout=20) == 0


def test_one_unit_too_much_is_found_named_and_struck(market: Market, guard: "subprocess.Popen[str]") -> None:
    number = market.to_settle(PARTICIPANTS[:2])
    before = int(market.by("guard", "status")["available"])
    buyer, account, right, wrong = _settle_with_one_unit_more(market, number)

    found = run(market.folder / "auditor", "audit", "--json")
    assert found.code == 8
    assert json.loads(found.out)["ok"] is False
    (finding,) = [each for round_ in json.loads(found.out)["rounds"] for each in round_["findings"]]
    assert (finding["kind"], finding["round"]) == ("wrong-price", number)
    assert (finding["participant"], finding["account"]) == (buyer, account)
    assert (finding["expected"], finding["posted"]) == (str(right), str(wrong))
    for told in (f"participant {buyer} {account}", f"expected {_tokens(right)}", f"posted   {_tokens(wrong)}"):
        assert told in found.err

    assert guard.stdout is not None
    awaited = f"round {number}: challenging the row of participant {buyer}: transaction 0x"
    assert any(line.startswith(awaited) for line in guard.stdout), "it ended without"
    (report,) = (market.folder / "guard" / "reports").rglob(f"round-{number}.json")
    assert json.loads(report.read_text())["verdict"] == "wrong"
    for _ in range(2):
        market.warp()
    assert f"round {number}: refunding challenge 0" in next(line for line in guard.stdout if "refunding" in line)
    assert market.by("guard", "status")["available"] == str(before + 320 * 10**18 // 4)
    market.by("amber", "refund", number)
    (round_,) = json.loads(run(market.folder / "auditor", "audit", "--round", number, "--json").out)["rounds"]
    assert [each["kind"] for each in round_["findings"]] == ["wrong-price"], "the money is where it belongs"


def _tokens(units: int) -> str:
    whole, fraction = divmod(units, 10**18)
    return f"{whole}.{fraction:018}".rstrip("0").rstrip(".") + " TEST"


def _settle_with_one_unit_more(market: Market, number: int) -> tuple[int, str, int, int]:
    """Posts a settlement whose first price is one base unit too high, as a dishonest aggregator would.

    Returns:
        The buyer's index and account, the right price and the posted one.
    """
    from market_node.aggregator import Aggregator
    from market_node.chain import Chain
    from market_node.delivery import DeliveryList
    from market_node.keys import load_account, load_encryption_keys
    from market_node.settlement import settle
    from market_node.store import BlockStore

    home = market.folder / "aggregator"
    password = (market.folder / "aggregator.password").read_text()
    chain = Chain(market.rpc, market.address, load_account(home / "keys", password))
    aggregator = Aggregator(
        home, chain, BlockStore(market.folder / "blocks"), load_encryption_keys(home / "keys", password)
    )
    round_ = aggregator.round(number)
    right = settle(round_, frozenset())
    buyer = next(index for index, row in enumerate(right.rows) if row)
    first, *rest = right.rows[buyer]
    rows = list(right.rows)
    rows[buyer] = (Purchase(first.seller, first.price + 1), *rest)
    deliveries = aggregator.publish(DeliveryList(chain.chain_id, chain.market, number, (), ()))
    aggregator.post(round_, Settlement(frozenset(), tuple(rows)), deliveries)
    return buyer, round_.participants[buyer].account, first.price, first.price + 1
