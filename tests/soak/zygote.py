"""Starts nodes by forking a process that has imported everything, so that a restart takes no seconds of imports.

    python -m tests.soak.zygote

Reads one JSON document a line: {"arguments": [...], "log": file, "environment": {...}, "kill_at": n, "kills": file}
starts `market-node` with those arguments and answers with its process id; {"alive": [pids]} answers with their exit
codes. With `kill_at`, the node kills itself at the n-th boundary that it passes: before or after a step, a write or a
send.
"""

import contextlib
import functools
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Any

from web3.eth import Eth

import market_node.auditor
import market_node.models  # noqa: F401
from market_node.aggregator import Aggregator
from market_node.book import Book
from market_node.cli.app import run as command_line
from market_node.cli.root import app
from market_node.daemon import Daemon, logs
from market_node.daemon.studies import Studies
from market_node.journal import Journal
from market_node.node import Node
from market_node.store import BlockStore
from market_node.trainer import Trainer

BOUNDARIES: tuple[tuple[Any, str], ...] = (
    (Daemon, "_take"),
    (Journal, "commit"),
    (Journal, "committed"),
    (Book, "add"),
    (Book, "mark"),
    (Book, "mined"),
    (Book, "told"),
    (BlockStore, "put"),
    (Trainer, "begin"),
    (Studies, "offer_as_it_is"),
    (Node, "fetch"),
    (Aggregator, "publish"),
)
"""Whatever could lose money is written or sent in one of these."""


def kill_at(count: int, kills: str) -> None:
    """Makes this process kill itself at the `count`-th boundary that it passes, and note which one it was."""
    left = count

    def pass_(where: str) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            descriptor = os.open(kills, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            os.write(descriptor, f"{where}\n".encode())
            os.kill(os.getpid(), signal.SIGKILL)

    def guarded(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def run(*given: Any, **named: Any) -> Any:
            what = f"{name} {given[1].kind}" if name == "_take" else name
            pass_(f"before {what}")
            result = function(*given, **named)
            pass_(f"after {what}")
            return result

        return run

    for owner, name in BOUNDARIES:
        setattr(owner, name, guarded(name, getattr(owner, name)))
    # web3 makes this one anew for each instance, so it is taken where every instance finds it.
    send = Eth.send_raw_transaction
    Eth.send_raw_transaction = guarded("send_raw_transaction", send)  # type: ignore[method-assign]


def node(order: dict[str, Any]) -> int:
    """Forks a node. Returns its process id."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        os.setsid()
        log = os.open(order["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((nothing, 0), (log, 1), (log, 2)):
            os.dup2(source, target)
        os.environ.update(order["environment"])
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if order.get("kill_at"):
            kill_at(order["kill_at"], order["kills"])
        code = command_line(app, order["arguments"])
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def main() -> None:
    assert logs  # imported for the nodes
    ended: dict[int, int] = {}
    for text in sys.stdin:
        order = json.loads(text)
        with contextlib.suppress(ChildProcessError):
            while (reaped := os.waitpid(-1, os.WNOHANG))[0]:
                ended[reaped[0]] = os.waitstatus_to_exitcode(reaped[1])
        if "alive" in order:
            answer: Any = {str(process): ended.get(process) for process in order["alive"]}
        else:
            answer = node(order)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
