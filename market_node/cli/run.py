"""`run`: a node that can be left alone."""

import logging
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import BadInput, ConfigError
from .app import command
from .session import Session

if TYPE_CHECKING:
    from ..daemon import Daemon
    from ..policy import Policy

NAME = "node.toml"


def add_to(app: typer.Typer) -> None:
    """Adds this file's command."""
    command(app, "run", "Leave it alone")(run)


def run(
    session: Session,
    *,
    config: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="What the node does by itself.", show_default=f"{NAME} in the home"),
    ] = None,
    log: Annotated[str, typer.Option(metavar="plain|json", help="One line or one JSON document per event.")] = "plain",
    verbose: Annotated[bool, typer.Option("--verbose", metavar="", help="Say more.")] = False,
) -> None:
    """Run a node that follows the market by itself, in one or several roles, until it is interrupted.

    FILE has a table for each role that the node takes, called participant, aggregator or auditor: docs/running.md shows
    what is in them. Settings that stand there replace those of the home's config.toml.

    It can be killed at any moment: the next start goes on where the chain is. SIGTERM and Ctrl-C end it after the
    step that it is taking.
    """
    if log not in ("plain", "json"):
        raise BadInput(f"--log: {log!r} is neither plain nor json")
    path = (config or session.home / NAME).expanduser().absolute()
    tables = _read(session, path)
    _log(log, verbose)
    with session.screen.working("reaching the chain"):
        policy = _policy(session, tables, path)
    daemon = _daemon(session, policy, path)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: daemon.ending.set())
    if policy.run.listen is None:
        daemon.run()
        return
    from ..daemon.meters import Watch
    from ..policy import listening

    watch = Watch(daemon.meters, *listening(policy.run.listen))
    try:
        daemon.run()
    finally:
        watch.close()


def _read(session: Session, path: Path) -> dict[str, Any]:
    """The roles' tables in a file. Its other keys become the session's configuration, over those of the home's."""
    from ..config import NAME as SETTINGS
    from ..config import config_of, read_toml
    from ..policy import TABLES

    values = read_toml(path)
    tables = {name: each for name, each in values.items() if name in TABLES}
    if own := {name: each for name, each in values.items() if name not in TABLES}:
        if unknown := sorted(name for name, each in own.items() if isinstance(each, dict)):
            raise ConfigError(f"{path}: unknown table [{unknown[0]}]; known are {', '.join(TABLES)}")
        settings = session.home / SETTINGS
        before = read_toml(settings) if settings.exists() else {}
        session.config = config_of(session.home, {**before, **own}, path)
    return tables


def _policy(session: Session, tables: dict[str, Any], path: Path) -> "Policy":
    from ..policy import read_policy

    session.require_account()
    try:
        return read_policy(tables, session.money)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def _daemon(session: Session, policy: "Policy", path: Path) -> "Daemon":
    from ..daemon import Daemon
    from ..node import Node

    if policy.aggregator:
        session.aggregator.device = policy.aggregator.device
        node: Node = session.aggregator
    else:
        node = session.node
    session.history = node.history  # one reader of the logs is enough
    auditor = session.auditor(None, policy.auditor.least_bond) if policy.auditor else None
    amount, mixing = session.money.text, session.config.mixing
    return Daemon(node, policy, auditor, amount=amount, mixing=mixing, training_folder=str(path.parent))


def _log(form: str, verbose: bool) -> None:
    from ..daemon.logs import setup

    setup(form, logging.DEBUG if verbose else logging.INFO)
