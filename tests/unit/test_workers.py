"""However a scenario is played, by whom, and however often it was stopped: the same bytes."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from market_node.errors import BadInput, ConfigError, NodeError
from market_node.simulation import workers
from market_node.simulation.engine import worlds
from market_node.simulation.results import gather
from market_node.simulation.scenario import Scenario
from market_node.simulation.workers import run
from tests.unit.simulations import HOSPITALS, files, scenario

ROOT = Path(__file__).parents[2]
TWO = {"owners": 10, "rounds": 2, "seeds": [7, 8], "designs": ["market", "free"]}


def play(played: Scenario, out: Path, **how: object) -> dict[str, bytes]:
    for _ in run(played, out, **{"workers": 1, **how}):
        pass
    gather(out, list(worlds(played)))
    return files(out)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What an undisturbed run leaves."""
    return play(scenario(**TWO), tmp_path_factory.mktemp("whole"))


def test_it_says_each_round_of_each_world_once(tmp_path: Path):
    told = [(world.design, world.seed, number) for world, number in run(scenario(**TWO), tmp_path, workers=1)]
    assert sorted(told) == [
        (design, seed, number) for design in ("free", "market") for seed in (7, 8) for number in (1, 2)
    ]


def test_processes_leave_the_same_bytes(tmp_path: Path, whole: dict[str, bytes]):
    assert play(scenario(**TWO), tmp_path, workers=2) == whole


@pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed (extra `simulation`)")
def test_ray_leaves_the_same_bytes(tmp_path: Path, whole: dict[str, bytes]):
    assert play(scenario(**TWO), tmp_path, engine="ray", workers=1) == whole


@pytest.mark.parametrize("rounds", range(8))
def test_a_run_that_was_killed_goes_on_and_leaves_the_same_bytes(tmp_path: Path, rounds: int, whole: dict[str, bytes]):
    going = run(scenario(**TWO), tmp_path, workers=1)
    for _ in range(rounds):
        next(going)
    going.close()
    assert len(list(tmp_path.rglob("0*.parquet"))) <= rounds
    assert play(scenario(**TWO), tmp_path) == whole


class Killed(BaseException):
    pass


@pytest.mark.parametrize("writes", range(3))
def test_a_run_that_dies_before_a_file_is_whole(
    tmp_path: Path, writes: int, whole: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
):
    left = iter(range(writes))
    write = workers.write_round

    def dies(*arguments: object) -> None:
        if next(left, None) is None:
            raise Killed
        write(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(workers, "write_round", dies)
        with pytest.raises(Killed):
            play(scenario(**TWO), tmp_path)
    assert play(scenario(**TWO), tmp_path) == whole


def test_what_is_there_is_not_played_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    before = play(scenario(**TWO), tmp_path)
    monkeypatch.setattr(workers, "play", None)
    assert play(scenario(**TWO), tmp_path) == before


def test_more_rounds_go_on_from_those_that_are_there(tmp_path: Path, whole: dict[str, bytes]):
    play(scenario(**{**TWO, "rounds": 1}), tmp_path)
    assert play(scenario(**TWO), tmp_path) == whole


def test_a_process_that_dies_is_one_line(tmp_path: Path):
    groups = [{**HOSPITALS, "strategy": "tests.unit.simulations:dies"}]
    with pytest.raises(NodeError, match="run again, with fewer --workers"):
        play(scenario(groups=groups, rounds=1), tmp_path, workers=2)


def test_processes_end_with_the_one_that_started_them(tmp_path: Path):
    life = tmp_path / "beats"
    life.touch()
    code = (
        "from pathlib import Path\n"
        "from market_node.simulation.workers import run\n"
        "from tests.unit.simulations import HOSPITALS, scenario\n"
        "groups = [{**HOSPITALS, 'strategy': 'tests.unit.simulations:beats'}]\n"
        f"if __name__ == '__main__': list(run(scenario(groups=groups), Path({str(tmp_path / 'out')!r}), workers=2))"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env={**os.environ, "BEATS": str(life)}) as parent:
        until(lambda: life.stat().st_size > 0)
        parent.kill()

    def still() -> bool:
        before = life.stat().st_size
        time.sleep(0.3)
        return life.stat().st_size == before

    until(still)


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_another_scenario_does_not_go_on(tmp_path: Path):
    play(scenario(**TWO), tmp_path)
    with pytest.raises(ConfigError, match=r"another scenario \(terms\.fee differs\)"):
        play(scenario(**TWO, terms={"fee": "1", "reveal_bond": "25"}), tmp_path)


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path):
    (tmp_path / "worlds").mkdir()
    with pytest.raises(ConfigError, match="choose another folder"):
        play(scenario(**TWO), tmp_path)


def test_a_round_that_was_tampered_with_is_named(tmp_path: Path):
    play(scenario(**TWO), tmp_path)
    path = next(tmp_path.rglob("000001.parquet"))
    path.write_bytes(b"nothing")
    with pytest.raises(BadInput, match="delete it and run again"):
        play(scenario(**TWO), tmp_path)
