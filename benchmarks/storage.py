"""How fast a sealed model is sealed, stored, fetched and opened, beside what the machine can do in the same run.

    python -m benchmarks.storage                    1 GB, five runs; writes docs/benchmarks.md
    python -m benchmarks.storage --size 100000000   less, and only prints

The limit is the slowest of AES-256-GCM and SHA-256 on one core and of the same files written and synced right before:
a disk's rate changes with what it just wrote. Each run is a process of its own, whose memory is its own. IPFS is Helia,
which the tests use (`tests/ipfs`), and a server that costs next to nothing, so that the clients' own limits are seen.
"""

import argparse
import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from benchmarks import costless
from benchmarks.document import TREE, machine, table, write
from market_node.blocks import CHUNK
from market_node.files import sync
from market_node.ipfs_client import IpfsClientApi
from market_node.ipfs_http import HttpxApi
from market_node.kubo import KuboStore
from market_node.seal import Envelope, new_key, open_file, seal_file
from market_node.store import BlockStore, Store
from tests.ipfs.peers import Peer

RUNS = 5
SIZE = 1_000_000_000
MEGABYTE = 1_000_000
PIECE = 1 << 20
CLIENTS = {"httpx": HttpxApi, "ipfshttpclient": IpfsClientApi}
ENVELOPE = Envelope(31337, "0x" + "11" * 20, 1, "0x" + "22" * 20)

Figures = dict[str, float]


# --- one run ---


def timed(size: int, work: Callable[[], object]) -> float:
    """MB/s."""
    start = time.perf_counter()
    work()
    return size / MEGABYTE / (time.perf_counter() - start)


def aes(size: int) -> None:
    cipher, piece, sealed = AESGCM(bytes(32)), bytes(PIECE), bytearray(PIECE + 16)
    for number in range(size // PIECE):
        cipher.encrypt_into(number.to_bytes(12), piece, None, sealed)


def sha(size: int) -> None:
    hashed, piece = hashlib.sha256(), bytes(PIECE)
    for _ in range(size // PIECE):
        hashed.update(piece)


def one_file(folder: Path, size: int) -> None:
    piece = os.urandom(PIECE)
    with open(folder / "written", "wb") as file:
        for _ in range(size // PIECE):
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    (folder / "written").unlink()


def many_files(folder: Path, size: int) -> None:
    """The files of a block store, synced eight at a time and 64 in a batch, as there."""
    block = os.urandom(CHUNK)
    written = folder / "many"
    written.mkdir()
    with ThreadPoolExecutor(8) as pool:
        batch: list[Path] = []
        for number in range(size // CHUNK):
            batch.append(written / str(number))
            batch[-1].write_bytes(block)
            if len(batch) == 64:
                list(pool.map(sync, batch))
                batch.clear()
        list(pool.map(sync, batch))
    sync(written)


def local(folder: Path, size: int) -> Figures:
    """Seal, store in a folder, fetch and open, each right after what it writes was written plainly."""
    key, store, put = new_key(), BlockStore(folder / "blocks"), [b""]
    plain, sealed, fetched = folder.parent / "plain", folder / "sealed", folder / "fetched"
    steps: dict[str, tuple[Callable[[Path, int], None], Callable[[], object]]] = {
        "seal": (one_file, lambda: seal_file(plain, sealed, key, ENVELOPE, {})),
        "store": (many_files, lambda: put.append(store.put(sealed))),
        "fetch": (one_file, lambda: store.get(put[-1], fetched, 2 * size)),
        "open": (one_file, lambda: open_file(fetched, folder / "opened", key, ENVELOPE, 2 * size)),
    }
    figures = {"aes": timed(size, lambda: aes(size)), "sha": timed(size, lambda: sha(size))}
    for name, (plainly, step) in steps.items():
        figures[f"{name} plainly"] = timed(size, lambda plainly=plainly: plainly(folder, size))
        figures[name] = timed(size, step)
    return figures


def there_and_back(store: Store, path: Path, copy: Path, size: int) -> Figures:
    """Store and fetch."""
    put: list[bytes] = []
    stored = timed(size, lambda: put.append(store.put(path)))
    return {"store": stored, "fetch": timed(size, lambda: store.get(put[0], copy, 2 * size))}


def remote(folder: Path, size: int, client: str, url: str) -> Figures:
    """Store in IPFS and fetch from it."""
    return there_and_back(KuboStore(CLIENTS[client](url)), folder.parent / "plain", folder / "fetched", size)


def run(arguments: list[str]) -> None:
    """One run, in this process."""
    kind, root, size, *rest = arguments
    with tempfile.TemporaryDirectory(dir=root) as folder:
        measure: dict[str, Any] = {"local": local, "remote": remote}
        figures = measure[kind](Path(folder), int(size), *rest)
    figures["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MEGABYTE
    print(json.dumps(figures))


# --- all of them ---


def apart(root: Path, kind: str, size: int, *rest: str) -> Figures:
    command = [sys.executable, "-m", "benchmarks.storage", "run", kind, str(root), str(size), *rest]
    done = subprocess.run(command, cwd=TREE, stdout=subprocess.PIPE, check=True)
    figures: Figures = json.loads(done.stdout.splitlines()[-1])
    print(kind, *rest, {name: round(value) for name, value in figures.items()}, flush=True)
    return figures


@contextmanager
def nothing_server(root: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "benchmarks.storage", "costless", str(root / "plain")]
    process = subprocess.Popen(command, cwd=TREE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@contextmanager
def helia(root: Path) -> Iterator[str]:
    """An empty node, so that every run writes every block."""
    with tempfile.TemporaryDirectory(dir=root) as repository:
        peer = Peer(Path(repository))
        try:
            yield peer.ready().url
        finally:
            peer.stop()


def measure_all(
    root: Path, size: int, runs: int, helia_runs: int
) -> tuple[list[Figures], dict[tuple[str, str], list[Figures]]]:
    """The local runs, and those by server and client, taken in turns so that all see the same machine."""
    with open(root / "plain", "wb") as file:
        for start in range(0, size, PIECE):
            file.write(os.urandom(min(PIECE, size - start)))
    locals_: list[Figures] = []
    remotes: dict[tuple[str, str], list[Figures]] = {}
    with nothing_server(root) as nothing:
        for number in range(runs):
            load = os.getloadavg()[0]
            locals_.append({**apart(root, "local", size), "load": load})
            for client in CLIENTS:
                remotes.setdefault(("costless", client), []).append(apart(root, "remote", size, client, nothing))
                if number < helia_runs:
                    with helia(root) as url:
                        remotes.setdefault(("Helia", client), []).append(apart(root, "remote", size, client, url))
    return locals_, remotes


def local_table(runs: list[Figures]) -> str:
    rows = []
    for step in ("seal", "store", "fetch", "open"):
        limits = [min(each["aes"], each["sha"], each[f"{step} plainly"]) for each in runs]
        share = median(each[step] / limit for each, limit in zip(runs, limits, strict=True))
        figures = [median(each[name] for each in runs) for name in (step, "aes", "sha", f"{step} plainly")]
        rows.append([step, *(f"{each:,.0f}" for each in [*figures, median(limits)]), f"{share:.0%}"])
    head = ["folder", "MB/s", "AES-256-GCM", "SHA-256", "written and synced", "limit", "of the limit"]
    return table(head, rows)


def remote_table(runs: dict[tuple[str, str], list[Figures]]) -> str:
    rows = []
    for (server, client), each in runs.items():
        plain = runs[server, "httpx"]
        rates = []
        for step in ("store", "fetch"):
            rate = median(figures[step] for figures in each)
            rates += [f"{rate:,.0f}", f"{rate / median(figures[step] for figures in plain):.0%}"]
        rows.append([f"{server}, {client}", *rates, f"{max(figures['memory'] for figures in each):,.0f}"])
    head = ["RPC API of", "store, MB/s", "of httpx", "fetch, MB/s", "of httpx", "peak memory, MB"]
    return table(head, sorted(rows, reverse=True))


def main() -> None:
    if sys.argv[1:2] == ["run"]:
        return run(sys.argv[2:])
    if sys.argv[1:2] == ["costless"]:
        return costless.main(Path(sys.argv[2]))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=SIZE, help="bytes of the model")
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--helia-runs", type=int, default=1, help="its rate is its own, and low")
    parser.add_argument("--folder", type=Path, help="where; by default the system's temporary folder")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as root:
        locals_, remotes = measure_all(Path(root), given.size, given.runs, given.helia_runs)
    memory, loads = max(each["memory"] for each in locals_), [each.pop("load") for each in locals_]
    load = ", ".join(f"{each:.1f}" for each in loads)
    text = (
        f"`python -m benchmarks.storage`: a model of {given.size / MEGABYTE:,.0f} MB, medians of {given.runs} runs, "
        f"each in a process of its own; {os.cpu_count()} cores, {machine()}; load average before each run: {load}. "
        "The limit is the slowest of AES-256-GCM and SHA-256 on one core and of the same files written and synced, in "
        "the same run and right before. Peak memory of sealing, storing, fetching and opening: "
        f"{memory:,.0f} MB.\n\n{local_table(locals_)}\n\n"
        "Through a node's RPC API. *costless* throws files away and gives blocks from the page cache, so it shows the "
        f"clients alone; *Helia* is the IPFS implementation that the tests use (runs: {given.helia_runs}).\n\n"
        f"{remote_table(remotes)}"
    )
    print(text)
    if (given.size, given.runs) == (SIZE, RUNS):
        write("docs/benchmarks.md", "storage", text)


if __name__ == "__main__":
    main()
