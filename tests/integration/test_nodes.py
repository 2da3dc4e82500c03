"""The same market on other people's nodes, over HTTP, on whichever of them is installed."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from market_node.audit import audit
from market_node.chain import Phase
from market_node.deploy import deploy
from market_node.devnet import Devnet
from market_node.endpoint import Endpoint
from market_node.errors import Reverted, Unreachable, WrongPhase
from market_node.history import History
from market_node.jsonrpc import serve
from market_node.settlement import payout
from tests.conftest import Actors
from tests.integration.stage import Play, commit

ROOT = Path(__file__).parent.parent.parent
START_SECONDS = 60


class Remote:
    """A development node at an address, as a devnet for `Play`."""

    def __init__(self, url: str) -> None:
        self.provider = url
        self.accounts = Devnet().accounts  # the same everywhere
        self.endpoint = Endpoint(url)

    def now(self) -> int:
        return self.endpoint.now()

    def warp(self, seconds: int) -> None:
        for method, parameters in (("evm_increaseTime", [seconds]), ("evm_mine", [])):
            self.endpoint.web3.manager.request_blocking(method, parameters)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def installed(name: str) -> str:
    """The program of a node, or a skip."""
    folders = [str(ROOT / "node_modules" / ".bin"), str(ROOT / ".venv" / "bin"), os.environ.get("PATH", "")]
    program = shutil.which(name, path=os.pathsep.join(folders))
    if program is None or (name == "hardhat" and not (ROOT / "node_modules" / "hardhat").is_dir()):
        pytest.skip(f"{name} is not installed")
    return program


@pytest.fixture(scope="module", params=["devnet", "hardhat", "anvil"])
def node(request) -> Iterator[Remote]:
    if request.param == "devnet":
        with serve(Devnet(clock=time.time), port=0) as server:
            yield Remote(server.url)
        return
    port = free_port()
    command = {
        "hardhat": ["node", "--hostname", "127.0.0.1", "--port", str(port)],
        "anvil": ["--host", "127.0.0.1", "--port", str(port)],
    }[request.param]
    path = os.pathsep.join([str(ROOT / ".venv" / "bin"), os.environ.get("PATH", "")])
    running = subprocess.Popen(
        [installed(request.param), *command],
        cwd=ROOT,
        env={**os.environ, "PATH": path},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield started(Remote(f"http://127.0.0.1:{port}"))
    finally:
        # The program may be a script around the node, which would outlive it.
        os.killpg(running.pid, signal.SIGTERM)
        running.wait(10)


def started(remote: Remote) -> Remote:
    end = time.monotonic() + START_SECONDS
    while True:
        try:
            remote.endpoint.block()
            return remote
        except Unreachable:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


@pytest.fixture(scope="module")
def there(node) -> Actors:
    return Actors(node, deploy(node.provider, node.accounts[0], min_phase=2))


def test_a_round_is_played_and_every_payment_is_due(node, there):
    play = Play(node, there.operator, [there.alice, there.bob, there.carol]).open().commit().draw().reveal().settle()
    there.alice.rate(play.number, 0, 75)
    play.pay_out()
    history = History(there.dave)
    round_ = history.check(play.number)
    due = payout(round_, round_.settlement)
    trail = history.trail(play.number)
    assert [trail.credits[each.account] for each in round_.participants] == list(due.credits)
    assert trail.aggregator == due.aggregator
    assert audit(round_, trail).findings == ()


def test_what_is_refused_has_its_name(node, there):
    play = Play(node, there.operator, [there.alice]).open()
    commit(there.alice, play.number)
    with pytest.raises(Reverted) as caught:
        commit(there.alice, play.number)
    assert (caught.value.name, caught.value.arguments["account"]) == ("AlreadyCommitted", there.alice.account)
    with pytest.raises(WrongPhase, match="Draw starts"):
        there.alice.draw_seed(play.number)


def test_a_deadline_passes_without_a_block(node, there):
    """The latest block of a quiet chain is old; what a transaction would see is not."""
    play = Play(node, there.operator, [], changes={"commit_deadline": node.now() + 4}).open()
    assert there.alice.phase(play.number) == Phase.COMMIT
    block = there.alice.block()
    while there.alice.now() < there.alice.terms(play.number).commit_deadline:
        time.sleep(0.1)
    assert there.alice.phase(play.number) == Phase.VOID
    assert there.alice.block() == block
    with pytest.raises(WrongPhase, match="Commit ended"):
        commit(there.alice, play.number)
    assert there.operator.refund(play.number, 0, 0).events[0].name == "Refunded"
