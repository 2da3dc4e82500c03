"""`simulate`: the market without a chain, over many owners and rounds."""

from pathlib import Path
from typing import Annotated

import typer

from ..errors import NodeError
from .app import command
from .session import Session


def add_to(app: typer.Typer) -> None:
    """Adds this file's command."""
    command(app, "simulate", "Look")(simulate)


def simulate(
    session: Session,
    scenario: Annotated[Path, typer.Argument(metavar="SCENARIO", help="A TOML file, as examples/scenario.toml.")],
    *,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Where results go. A run that was stopped goes on from what is there.")
    ] = Path("simulation"),
    engine: Annotated[str, typer.Option(metavar="NAME", help="processes or ray. The results are the same.")] = (
        "processes"
    ),
    workers: Annotated[
        int | None, typer.Option(metavar="N", min=1, show_default="one per core", help="How many processes.")
    ] = None,
    rounds: Annotated[
        int | None, typer.Option(metavar="N", min=1, show_default="the scenario's", help="How many rounds.")
    ] = None,
) -> None:
    """Play a market of simulated owners, under one reward design or several."""
    from dataclasses import replace

    screen = session.screen
    try:
        from ..simulation.engine import worlds
        from ..simulation.report import write_report
        from ..simulation.results import gather
        from ..simulation.scenario import load_scenario
        from ..simulation.workers import check_engine, run
    except ModuleNotFoundError as error:
        raise NodeError(f"{error.name} is not installed: pip install 'market-node[simulation]'") from None
    check_engine(engine)
    played = load_scenario(scenario)
    if rounds is not None:
        played = replace(played, rounds=rounds)
    several = list(worlds(played))
    total = len(several) * played.rounds
    for _ in screen.track(run(played, out, engine=engine, workers=workers), "Playing rounds", total):
        pass
    with screen.working("Gathering results"):
        participants, totals = gather(out, several)
        report = write_report(out, played.stamp)
    screen.say(f"Rounds played: {total} (designs: {len(played.designs)}, seeds: {len(played.seeds)}).")
    screen.facts("", {"report": report, "rounds": totals, "participants": participants})
    screen.result(
        {
            "rounds_played": total,
            "designs": list(played.designs),
            "seeds": list(played.seeds),
            "report": str(report),
            "rounds": str(totals),
            "participants": str(participants),
        }
    )
