"""`doctor`: whether everything that a node needs is well, and what to do where it is not."""

from time import time as clock

import typer

from .app import SICK, command
from .session import Session

STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def add_to(app: typer.Typer) -> None:
    """Adds this file's command."""
    command(app, "doctor", "Leave it alone")(doctor)


def doctor(session: Session) -> None:
    """Check the chain, the contracts' code, keys, gas, balance, store, disk, clock, state and open rounds.

    Each line says ok, or what to do. Exits with 0 where everything works (a line may still say warn), else with 9.
    Sends nothing.
    """
    from ..doctor import FAIL, Patient, examine
    from ..endpoint import Endpoint

    config = session.config
    patient = Patient(
        config,
        Endpoint(config.rpcs, timeout=config.timeout, chain_id=config.chain_id),
        open_chain=lambda: session.chain,
        open_signer=lambda: session.signer,
        open_keys=lambda: session.keys,
        open_store=lambda: session.store,
        open_database=lambda: session.database,
        address=session.address,
        amount=lambda units: session.money.text(units),
        clock=clock,
    )
    lines = []
    for line in examine(patient):
        lines.append(line)
        session.screen.say(f"{line.verdict:4} {line.name}: {line.text}", style=STYLES[line.verdict])
        if line.todo:
            session.screen.say(f"     → {line.todo}")
    well = all(line.verdict != FAIL for line in lines)
    session.screen.result(
        {
            "ok": well,
            "checks": [
                {"name": line.name, "verdict": line.verdict, "text": line.text, "todo": line.todo} for line in lines
            ],
        }
    )
    if not well:
        raise typer.Exit(SICK)
