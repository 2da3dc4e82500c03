"""`demo`: the whole market on one machine."""

from pathlib import Path
from typing import Annotated

import typer

from ..errors import NodeError
from .app import command
from .session import Session


def add_to(app: typer.Typer) -> None:
    """Adds this file's command."""
    command(app, "demo", "Look")(demo)


def demo(
    session: Session,
    *,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Same seed, same figures.")] = 0,
    dataset: Annotated[str, typer.Option(help="digits or fashion-mnist.")] = "digits",
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where the last round's graph is drawn.")] = Path(
        "demo.png"
    ),
) -> None:
    """Play three rounds with nine owners, and show who gained what."""
    screen = session.screen
    try:
        from ..demo import run
        from ..demo_report import document, show
        from ..scenario import demo_scenario
    except ModuleNotFoundError as error:
        raise NodeError(f"{error.name} is not installed: pip install 'market-node[demo]'") from None
    outcome = run(demo_scenario(seed, dataset), screen.say)
    show(outcome, screen.people, out)
    screen.result(document(outcome, out))
