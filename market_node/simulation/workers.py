"""A scenario played by as many processes as there are, or by Ray, and gone on with where it was left.

Each whole round of a world is a file. Whatever stops a run, the next one begins after the last whole round of each
world, and ends with the same bytes.
"""

import json
import logging
import os
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import connection, get_context, parent_process
from pathlib import Path
from threading import Thread
from typing import Any, TypeAlias

from ..errors import BadInput, ConfigError, NodeError
from ..files import replacing
from .engine import Job, Played, jobs, lines_of, play, worlds
from .entry import State, World, advance
from .lines import Totals
from .results import read_round, round_path, write_round
from .scenario import Scenario

ENGINES = ("processes", "ray")
STAMP = "scenario.json"
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

Submit: TypeAlias = Callable[[Job], "Future[Played]"]


@dataclass(slots=True)
class _Course:
    """A world under way: the round that is being played."""

    world: World
    state: State
    waiting: list["Future[Played]"] = field(default_factory=list)


def run(
    scenario: Scenario, out: Path, *, engine: str = "processes", workers: int | None = None
) -> Iterator[tuple[World, int]]:
    """Plays a scenario into a folder, and says so after each round of each world, those of earlier runs too.

    Args:
        workers: processes; by default as many as this machine has. With one, no other process is started.

    Raises:
        ConfigError: the folder holds the results of another scenario.
    """
    workers = workers or len(os.sched_getaffinity(0))
    _claim(out, scenario)
    with _STARTED[engine](workers) as submit:
        yield from _play_all(scenario, out, submit, 2 * workers)


def _play_all(scenario: Scenario, out: Path, submit: Submit, busy: int) -> Iterator[tuple[World, int]]:
    """Rounds of different worlds side by side, so that `busy` jobs are under way where there are as many."""
    coming = worlds(scenario)
    courses: list[_Course] = []
    more = True
    while more or courses:
        while more and sum(len(course.waiting) for course in courses) < busy:
            world = next(coming, None)
            if world is None:
                more = False
                break
            course = _Course(world, State())
            for number in _resumed(out, course):
                yield world, number
            if course.state.round < scenario.rounds:
                _next(course, submit)
                courses.append(course)
        # For one that is not done yet: with those that are among them, this would not wait at all.
        wait([job for course in courses for job in course.waiting if not job.done()], return_when=FIRST_COMPLETED)
        for course in [each for each in courses if all(job.done() for job in each.waiting)]:
            _finish(out, course)
            yield course.world, course.state.round
            if course.state.round < scenario.rounds:
                _next(course, submit)
            else:
                courses.remove(course)


def _next(course: _Course, submit: Submit) -> None:
    course.waiting = [submit(job) for job in jobs(course.world, course.state)]


def _finish(out: Path, course: _Course) -> None:
    """Keeps what the jobs of a round returned."""
    results = [job.result() for job in course.waiting]
    lines = lines_of(course.world, results)
    totals = sum((each.totals for each in results), Totals())
    write_round(out, course.world, course.state.round + 1, lines, totals)
    advance(course.world, course.state, lines)


def _resumed(out: Path, course: _Course) -> Iterator[int]:
    """Takes up the rounds that an earlier run has left."""
    while course.state.round < course.world.scenario.rounds:
        path = round_path(out, course.world, course.state.round + 1)
        if not path.exists():
            return
        advance(course.world, course.state, read_round(path)[0])
        yield course.state.round


# --- whose results a folder holds ---


def _claim(out: Path, scenario: Scenario) -> None:
    """Makes the folder this scenario's, or finds that it is. Raises ConfigError."""
    path = out / STAMP
    stamp = scenario.stamp
    if not path.exists():
        if (out / "worlds").exists():
            raise ConfigError(f"{out} holds rounds but no {STAMP}: choose another folder")
        out.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            file.write(json.dumps(stamp, indent=2, sort_keys=True).encode() + b"\n")
        return
    try:
        before = json.loads(path.read_bytes())
    except ValueError:
        raise ConfigError(f"{path} is not JSON: choose another folder") from None
    if changed := _changed(before, stamp):
        raise ConfigError(f"{out} holds results of another scenario ({changed} differs): choose another folder")


def _changed(before: Any, now: Any, where: str = "") -> str | None:
    """The first key that differs, as "terms.fee"; None where all is the same."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key in sorted(before.keys() | now.keys()):
            if changed := _changed(before.get(key), now.get(key), f"{where}.{key}" if where else key):
                return changed
        return None
    return None if before == now else where or "all of it"


# --- engines ---


@contextmanager
def _processes(workers: int) -> Iterator[Submit]:
    if workers == 1:
        yield _here
        return
    # Spawned, not forked: the same on every system, and no thread of this process is copied in the middle of something.
    with one_thread_each():
        pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=leave_with_parent)
        try:
            yield lambda job: pool.submit(play, job)
        except BrokenProcessPool:
            raise NodeError("a process died, of too little memory perhaps: run again, with fewer --workers") from None
        finally:
            pool.shutdown(cancel_futures=True)


def leave_with_parent() -> None:
    """Ends this process when the one that started it has ended, killed ones too: nobody else would."""
    parent = parent_process()
    assert parent is not None

    def leave() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    Thread(target=leave, daemon=True).start()


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Keeps matrix products of the processes that are started from using all cores each, which slows all of them."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def _here(job: Job) -> "Future[Played]":
    done: Future[Played] = Future()
    done.set_result(play(job))
    return done


@contextmanager
def _ray(workers: int) -> Iterator[Submit]:
    try:
        import ray
    except ModuleNotFoundError:
        raise NodeError("ray is not installed: pip install 'market-node[simulation]'") from None
    if already := ray.is_initialized():
        pass
    elif os.environ.get("RAY_ADDRESS"):
        ray.init(log_to_driver=False, logging_level=logging.ERROR)  # a cluster that somebody started
    else:
        ray.init(num_cpus=workers, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    remote = ray.remote(play)
    try:
        yield lambda job: remote.remote(job).future()
    finally:
        if not already:
            ray.shutdown()


_STARTED: dict[str, Callable[[int], Any]] = {"processes": _processes, "ray": _ray}


def check_engine(name: str) -> None:
    """Raises BadInput where there is no such engine."""
    if name not in ENGINES:
        raise BadInput(f"--engine: there is no {name!r}; there are {', '.join(ENGINES)}")
