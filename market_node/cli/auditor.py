"""`auditor run`: an auditor that looks after a market by itself."""

import signal
from pathlib import Path
from typing import Annotated

import typer

from ..amounts import parse_duration
from ..ending import Ending
from ..errors import BadInput, ChainError
from .app import FINDINGS, command, group
from .session import Session

auditor = group(
    "auditor",
    """Look after a market: challenge wrong rows, refute false challenges.

One honest auditor is enough to stop a wrong payment.

\b
  $ market-node auditor run                 until it is interrupted
  $ market-node auditor run --once          one look, such as from cron
""",
)


@command(auditor, "run")
def run(
    session: Session,
    *,
    once: Annotated[bool, typer.Option("--once", metavar="", help="Look once and leave.")] = False,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", file_okay=False, help="Where a report per round goes.", show_default="reports in the home"
        ),
    ] = None,
    least_bond: Annotated[
        str,
        typer.Option(metavar="TOKENS", help="Leave rounds of smaller bonds alone: gas costs more than they are worth."),
    ] = "0",
    interval: Annotated[str, typer.Option(metavar="TIME", help="How long to wait between two looks.")] = "15s",
) -> None:
    """Recompute every settlement as it is posted and act on it.

    Challenges the first wrong row of a round, unless a true challenge stands: that locks 1/32 of the round's bond,
    which comes back with a reward. Refutes false challenges for their bonds. Each round's report is written before
    anything is sent, so it can be stopped and started at any time.

    Interrupted, it exits with 0. With --once it exits with 8 where a row is wrong, and with 5 where something failed.
    """
    seconds = parse_duration(interval, "--interval")
    if seconds == 0:
        raise BadInput("--interval: must be at least 1s")
    looking = session.auditor(report, session.money.units(least_bond, "--least-bond"))
    ended = Ending()
    if not once:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: ended.set())
        session.screen.say(f"auditing {session.chain.market}; reports go to {looking.reports.folder}; Ctrl-C ends")
    while True:
        step = looking.step()
        for line in step.said:
            session.screen.say(line)
        for line in step.failed:
            session.screen.warn(line)
        if once or ended.wait(seconds):
            break
    reports = [each.document() for _, each in sorted(looking.known.items())]
    session.screen.result({"folder": str(looking.reports.folder), "failed": list(step.failed), "rounds": reports})
    if once and any(each["verdict"] == "wrong" for each in reports):
        raise typer.Exit(FINDINGS)
    if once and step.failed:
        raise typer.Exit(ChainError.exit_code)
