"""`task`: what is learned, as a spec and a base checkpoint in the store."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..digests import parse_digest
from ..errors import BadInput
from ..files import replacing
from .app import command, group
from .files import read_object
from .session import Session

if TYPE_CHECKING:
    from ..task import Task

task = group(
    "task",
    """Say what is learned: make a task, or check one.

A task spec names the tensors of a model, the base checkpoint and the licence.

\b
  $ market-node task create base.safetensors --name digits --licence CC-BY-4.0
  $ market-node task check digits.json --model model.safetensors
  $ market-node task check TASK --model model.safetensors
""",
)


@command(task, "create")
def create(
    session: Session,
    base: Annotated[
        Path,
        typer.Argument(metavar="BASE", exists=True, dir_okay=False, help="The base checkpoint, a safetensors file."),
    ],
    *,
    name: Annotated[str, typer.Option(help="What people call the task.")],
    description: Annotated[str, typer.Option(help="What is learned, for people.")] = "",
    licence: Annotated[str, typer.Option(help="The terms under which models are exchanged.")] = "",
    architecture: Annotated[
        Path | None, typer.Option(metavar="FILE", help="JSON for whoever builds the network. Never executed.")
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the spec to FILE too.")] = None,
) -> None:
    """Make a task from a base checkpoint and store both."""
    built = read_object(architecture) if architecture else {}
    with session.screen.working("reading the checkpoint"):
        from safetensors import SafetensorError

        from ..models import open_task, publish_task
        from ..task import task_bytes

        try:
            made = publish_task(session.store, base, name, description=description, licence=licence, architecture=built)
        except (OSError, SafetensorError) as error:
            raise BadInput(f"cannot read {base} as a safetensors file: {error}") from None
        open_task(session.store, made.digest, session.home / "tasks")  # as everybody will, which checks the weights
    if out:
        out.write_bytes(task_bytes(made))
    _show(session, made)


@command(task, "check")
def check(
    session: Session,
    spec: Annotated[str, typer.Argument(metavar="TASK", help="A spec file, or a task's digest or CID in the store.")],
    *,
    model: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Check a model file against the task as well.")
    ] = None,
) -> None:
    """Verify a task, and a model file, and say what is wrong."""
    with session.screen.working("checking"):
        from ..models import open_task

        folder = session.home / "tasks"
        digest = _keep(Path(spec), folder) if Path(spec).is_file() else parse_digest(spec, "TASK")
        opened = open_task(session.store, digest, folder)
        if model is not None:
            checked = opened.read(model)
    _show(session, opened.task, {"model": f"{model} fits", "root": checked.root.hex()} if model else {})


def _keep(spec: Path, folder: Path) -> bytes:
    """Takes a spec file to where tasks are kept. Returns its digest."""
    from ..task import TASK_LIMIT, parse_task, task_bytes

    with open(spec, "rb") as file:
        read = parse_task(file.read(TASK_LIMIT + 1))
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / f"{read.digest.hex()}.json") as kept:
        kept.write(task_bytes(read))
    return read.digest


def _show(session: Session, made: "Task", also: dict[str, str] | None = None) -> None:
    from ..weights import count

    facts = {
        "task": made.digest.hex(),
        "name": made.name,
        "licence": made.licence,
        "base": made.base_cid,
        "tensors": len(made.manifest),
        "weights": count(made.manifest),
        **(also or {}),
    }
    session.screen.facts("", facts)
    session.screen.result(facts)
