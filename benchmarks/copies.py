"""Looking for copies in a large round: time, and memory beside the updates themselves, which lie in files.

    python -m benchmarks.copies

One in ten of the round's updates is a copy of what two others offered before, half of these under noise of a quarter.
"""

import argparse
import tempfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.document import machine, table, write
from market_node.copies import find_copies
from market_node.pins import COMPARED
from market_node.weights import mapped

SHAPES = ((100, 44_426), (300, 44_426), (100, 1_200_000))
"""(Participants, weights)."""


@dataclass(frozen=True, slots=True)
class Figures:
    seconds: float
    before: int
    """MiB that the process had to itself before it looked; `peak`, the most while it did."""
    peak: int
    found: int
    copies: int


def measure(participants: int, weights: int, folder: Path) -> Figures:
    """One round of them."""
    draw = torch.Generator().manual_seed(0)
    common = torch.randn(weights, generator=draw)

    def on_disk(values: Tensor) -> Tensor:
        return mapped((values * 2**18).round().to(torch.int64), folder / "update")

    def update(shared: Tensor) -> Tensor:
        return shared + torch.randn(weights, generator=draw)

    last = [on_disk(update(common)) for _ in range(COMPARED * participants)]
    new = common + 0.3 * torch.randn(weights, generator=draw)
    updates, own, copies = {}, {}, 0
    for index in range(participants):
        own[index] = [index]
        if index % 10:
            updates[index] = on_disk(update(new))
            continue
        copies += 1
        bought = (last[-1 - index].float() + last[-2 - index].float()) / 2**19
        updates[index] = on_disk(bought if index % 20 else bought + 0.3 * torch.randn(weights, generator=draw))
    with Watch() as watch:
        began = time.perf_counter()
        found = find_copies(updates, last, own)
        seconds = time.perf_counter() - began
    right = sum(each.index % 10 == 0 for each in found)
    assert right == len(found), "an honest one was called a copy"
    return Figures(seconds, watch.before, watch.peak, right, copies)


class Watch:
    """The most memory that the process has to itself while the block runs. Pages of files can go, and do not count."""

    def __enter__(self) -> "Watch":
        self.before = self.peak = _own_memory()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._end.wait(0.01):
            self.peak = max(self.peak, _own_memory())


def _own_memory() -> int:
    """MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) >> 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="on a disk with room for all updates: 3 GB")
    parser.add_argument("--print", action="store_true", help="write no document")
    options = parser.parse_args()
    rows = []
    for participants, weights in SHAPES:
        with (
            tempfile.TemporaryDirectory(dir=options.folder) as folder,
            ProcessPoolExecutor(1, get_context("spawn"), torch.set_num_threads, (1,)) as process,
        ):
            figures = process.submit(measure, participants, weights, Path(folder)).result()
        compared = COMPARED * participants
        rows.append(
            [
                f"{participants:,} participants, {weights:,} weights",
                f"{compared:,}",
                f"{figures.found} of {figures.copies}",
                f"{figures.seconds:.1f}",
                f"{figures.before} … {figures.peak}",
                f"{(participants + compared) * weights * 8 >> 20:,}",
            ]
        )
        print(rows[-1], flush=True)
    head = ("a round of", "compared with", "copies found", "seconds", "memory, MiB", "updates in files, MiB")
    said = (
        "`python -m benchmarks.copies`: a round on one core, in a process of its own, of a machine that was busy with "
        f"other things; {machine()}. Half of the copies lie under noise of a quarter of their size. Memory is what the "
        "process has to itself, before and at most."
    )
    text = f"{said}\n\n{table(head, rows)}"
    print(text)
    if not options.print:
        write("docs/benchmarks.md", "copies", text)


if __name__ == "__main__":
    main()
