"""What goes wrong around nodes that run by themselves: the round completes, or the deposits come back, and every
balance is right to the unit. What each layer does with a fault is tested beside it; docs/operations.md says where.
"""

import logging
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest
import requests

from market_node.chain import Chain
from market_node.errors import DigestMismatch, StorageError
from market_node.phases import Phase
from market_node.policy import Policy
from market_node.store import BlockStore
from tests.integration.pool import refused, rewind
from tests.integration.stage import Meddler, result
from tests.integration.village import FORTUNE, Village

PEOPLE = ("agnes", "alice", "bob")
DAY = 86_400


def settle(village: Village, *, tries: int = 1) -> None:
    """Everybody does what is due; what failed is tried again until the phase has what it is for, at most so often."""
    for _ in range(tries):
        village.settle_down()
        village.clock += 60
        if tries > 1 and has_all(village.seen()):
            return


def has_all(chain: Chain) -> bool:
    """Whether nothing that must be done in the first round's phase is missing."""
    if chain.round_count() == 0:
        return False
    state = chain.state(1)
    return {
        Phase.COMMIT: state.participants == 2,
        Phase.DRAW: state.seed_time > 0,
        Phase.REVEAL: state.revealed == 2,
        Phase.SETTLE: state.settle_time > 0,
        Phase.PAYOUT: chain.pot(1) == 0,
    }.get(chain.phase(1), True)


def pass_round(village: Village, between: Callable[[], None] | None = None, *, tries: int = 1) -> None:
    """The first round goes from phase to phase until everybody is paid.

    Args:
        between: happens in each phase, when everybody has done what it is for, and is made good before it ends.
    """
    for _ in range(len(Phase)):
        settle(village, tries=tries)
        if between:
            between()
            settle(village, tries=tries)
        village.warp()
        if village.seen().phase(1) == Phase.PAYOUT and village.seen().pot(1) == 0:
            return
    raise AssertionError(f"the round is in {village.seen().phase(1)}")


def check_that_all_went_well(village: Village) -> None:
    round_ = village.check_the_money()
    assert round_.settlement.excluded == frozenset() and sum(map(len, round_.settlement.rows)) == 2
    assert all(each.reveal is not None for each in round_.participants)


# --- the chain's node ---


class Unreliable(Meddler):
    """A node that fails now and then, in all the ways that nodes do; a transaction it may have taken before."""

    def __init__(self, devnet, seed: str, share: float = 0.03) -> None:
        super().__init__(devnet)
        self.draw, self.share, self.failures = Random(seed), share, 0

    def make_request(self, method, params):
        if self.draw.random() >= self.share:
            return super().make_request(method, params)
        self.failures += 1
        if method == "eth_sendRawTransaction" and self.draw.random() < 0.5:
            super().make_request(method, params)
        failure = self.draw.choice(
            [requests.ConnectionError("reset"), requests.ReadTimeout(), refused("rate limit exceeded"), "<html>", {}]
        )
        if isinstance(failure, Exception):
            raise failure
        return failure


class Liar(Meddler):
    """A node that tells another head every other time, by up to three blocks."""

    def __init__(self, devnet, seed: str) -> None:
        super().__init__(devnet, eth_blockNumber=self._head)
        self.draw, self.failures = Random(seed), 0

    def _head(self, params, ask):
        head = int(ask("eth_blockNumber", params)["result"], 16)
        lie = self.draw.choice([0, 0, 0, 1, 2, 3, -1, -2, -3])
        self.failures += lie != 0
        return result(hex(max(0, head + lie)))


@pytest.mark.parametrize("node", [Unreliable, Liar])
def test_a_round_completes_through_nodes_that_fail_stall_or_lie_about_the_head(village, node):
    between = {name: node(village.devnet, name) for name in PEOPLE}
    village.join("agnes", Policy(aggregator=village.opening()), Meddler(village.devnet))
    for number, name in enumerate(("alice", "bob"), 1):
        village.join(name, Policy(participant=village.participation(number)), Meddler(village.devnet))
    for name, daemon in village.daemons.items():  # from now on
        daemon.chain.endpoint.web3.provider = between[name]
    pass_round(village, tries=60)
    assert min(each.failures for each in between.values()) > 3
    check_that_all_went_well(village)


# --- reorganisations ---


@pytest.mark.parametrize("first", range(0, 8, 2))
def test_a_round_completes_although_the_last_blocks_are_undone_in_every_phase(three, first):
    """After each step, also between draw and reveal, and between reveal and settle; a longer, empty branch wins.

    The depth is another in each phase, 1 to 8, and each twice. What is undone is no more than what the phase was for.
    """
    devnet, depths = three.devnet, []
    three.warped = len(devnet.mined)

    def reorganise() -> None:
        depths.append((first + 3 * len(depths)) % 8 + 1)
        while len(devnet.mined) - three.warped < depths[-1]:
            devnet.mine()
        three.settle_down()
        rewind(devnet, depths[-1])
        for _ in range(depths[-1] + 1):
            devnet.mine()

    pass_round(three, reorganise, tries=2)
    assert len(depths) == 4
    check_that_all_went_well(three)


# --- the store ---


FAULTS = (
    StorageError("the IPFS node cannot be reached"),
    StorageError("the IPFS node gave nothing for 20 s"),
    DigestMismatch("the IPFS node returned other bytes"),
)


class Shaky(BlockStore):
    """A store that is down, too slow and gives wrong bytes, in turn, and then works until it has a relapse."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.failures, self.left, self.down = 0, len(FAULTS), False

    def relapse(self) -> None:
        self.left = len(FAULTS)

    def _fail(self) -> None:
        if self.left or self.down:
            self.left, self.failures = max(0, self.left - 1), self.failures + 1
            raise FAULTS[self.failures % len(FAULTS)]

    def put(self, path: Path) -> bytes:
        self._fail()
        return super().put(path)

    def get(self, digest: bytes, path: Path, limit: int) -> None:
        self._fail()
        super().get(digest, path, limit)

    def has(self, digest: bytes) -> bool:
        self._fail()
        return super().has(digest)


@pytest.fixture
def shaky(three) -> dict[str, Shaky]:
    stores = {name: Shaky(three.folder / "blocks") for name in PEOPLE}
    for name, daemon in three.daemons.items():
        daemon.outlook.node.store = stores[name]
    return stores


def test_a_round_completes_with_stores_that_are_down_slow_or_wrong_at_first_in_every_phase(three, shaky):
    def relapse() -> None:
        for each in shaky.values():
            each.relapse()

    pass_round(three, relapse, tries=6)
    assert all(each.failures >= 2 * len(FAULTS) for each in shaky.values())
    check_that_all_went_well(three)


def test_where_the_aggregators_store_stays_down_the_deposits_come_back(three, shaky):
    for each in shaky.values():
        each.left = 0
    settle(three)
    shaky["agnes"].down = True
    for _ in range(5):
        three.warp()
        settle(three)
    assert three.seen().phase(1) == Phase.VOID
    round_ = three.check_the_money()
    assert len(round_.participants) == 2 and round_.settlement is None
    for name in ("alice", "bob"):
        chain = three.chains[name]
        assert chain.available(chain.account) > FORTUNE, "and a share of the bond"


# --- the machine ---


@pytest.fixture
def small(tmp_path) -> Iterator[Path]:
    """A disk of 8 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder], capture_output=True, check=False)
    if made.returncode:
        pytest.skip("no small disk can be mounted here: that takes root")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def fill(folder: Path) -> Path:
    ballast = folder / "ballast"
    with open(ballast, "wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            return ballast


def test_a_round_completes_on_a_disk_that_is_full_at_the_beginning_of_every_phase(small, caplog):
    village = Village(small)
    village.join("agnes", Policy(aggregator=village.opening()))
    for number, name in enumerate(("alice", "bob"), 1):
        village.join(name, Policy(participant=village.participation(number)))
    for _ in range(5):
        ballast = fill(small)
        for _ in range(3):
            village.look()
            village.clock += 60
        ballast.unlink()
        settle(village, tries=3)
        village.warp()
    settle(village, tries=3)
    village.warp()
    settle(village, tries=3)
    said = [each for each in caplog.messages if "No space left" in each or "disk is full" in each]
    assert len(said) > 5
    assert not [each for each in caplog.records if each.levelno >= logging.ERROR]
    check_that_all_went_well(village)


@pytest.mark.parametrize("ahead", [-DAY, DAY])
def test_a_round_completes_on_a_machine_whose_clock_is_a_day_off(three, monkeypatch, caplog, ahead):
    monkeypatch.setattr(time, "time", lambda: float(three.devnet.now() + ahead))
    pass_round(three)
    check_that_all_went_well(three)
    said = {each for each in caplog.messages if "clock" in each}
    way = "behind" if ahead > 0 else "ahead of"
    assert said == {f"the chain's clock is {DAY} s {way} this machine's; the chain's counts"}
