"""How a command becomes part of the command line: options that stand everywhere, and errors of one line."""

import inspect
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Concatenate, ParamSpec, TypeAlias, cast

import typer

from ..errors import NodeError, Reverted, StorageError
from .screen import Screen
from .session import Session

P = ParamSpec("P")
Step: TypeAlias = Callable[Concatenate[Session, P], None]

FINDINGS = 8
"""Exit code of an audit that found something."""

SICK = 9
"""Exit code of `doctor` where something does not work."""

EXIT_CODES = (
    "Exit codes: 0 done · 1 unexpected · 2 bad input, configuration or password · 3 wrong phase · 4 storage · "
    f"5 chain · 6 model · 7 seal or key · {FINDINGS} the audit found something · {SICK} the doctor found something · "
    "130 interrupted"
)

Home = Annotated[
    Path | None,
    typer.Option(
        "--home",
        metavar="DIR",
        envvar="MARKET_NODE_HOME",
        show_default="~/.market-node",
        help="The node's folder: configuration, keys, journal. One folder is one backup.",
        rich_help_panel="Everywhere",
    ),
]
PasswordFile = Annotated[
    Path | None,
    typer.Option(
        "--password-file",
        metavar="FILE",
        envvar="MARKET_NODE_PASSWORD_FILE",
        help="Read the keystore's password from FILE instead of asking.",
        rich_help_panel="Everywhere",
    ),
]
Json = Annotated[
    bool,
    typer.Option(
        "--json",
        metavar="",
        help="Print one JSON document; text for people goes to standard error.",
        rich_help_panel="Everywhere",
    ),
]
Debug = Annotated[
    bool,
    typer.Option("--debug", metavar="", help="Show where an error comes from.", rich_help_panel="Everywhere"),
]

RoundNumber = Annotated[int, typer.Argument(metavar="ROUND", min=1, help="The round's number.")]


def group(name: str, help: str) -> typer.Typer:
    """A command line, or a part of one."""
    return typer.Typer(
        name=name,
        help=help,
        epilog=EXIT_CODES,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
    )


def command(app: typer.Typer, name: str, panel: str | None = None) -> Callable[[Step[P]], Step[P]]:
    """Adds a function of a session to a command line, with the options that stand everywhere."""

    def add(function: Step[P]) -> Step[P]:
        app.command(name, rich_help_panel=panel, epilog=EXIT_CODES)(_with_options(function))
        return function

    return add


def default(app: typer.Typer) -> Callable[[Step[P]], Step[P]]:
    """Makes a function of a session what a group does by itself, where none of its commands is named."""

    def add(function: Step[P]) -> Step[P]:
        app.callback(invoke_without_command=True, no_args_is_help=False)(_with_options(function))
        return function

    return add


def _with_options(function: Step[P]) -> Callable[..., None]:
    def run(
        *,
        context: typer.Context,
        home: Home = None,
        password_file: PasswordFile = None,
        json: Json = False,
        debug: Debug = False,
        **own: Any,
    ) -> None:
        if context.invoked_subcommand is not None:
            return
        before = context.find_object(dict) or {}
        session = Session(
            home=home or before.get("home") or Path.home() / ".market-node",
            password_file=password_file or before.get("password_file"),
            screen=Screen(json or before.get("json", False)),
        )
        cast(Callable[..., None], function)(session, **own)

    own = list(inspect.signature(function).parameters.values())[1:]
    everywhere = [p for p in inspect.signature(run).parameters.values() if p.kind is p.KEYWORD_ONLY]
    shown = wraps(function)(run)
    shown.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [*(parameter.replace(kind=parameter.KEYWORD_ONLY) for parameter in own), *everywhere]
    )
    return shown


def run(app: typer.Typer, arguments: Sequence[str]) -> int:
    """Runs a command line. Returns its exit code; whatever went wrong is one line on standard error."""
    try:
        return app(list(arguments), standalone_mode=False, prog_name="market-node") or 0
    except (NodeError, typer.TyperException) as error:
        message = error.format_message() if isinstance(error, typer.TyperException) else _plainly(error)
        _complain(message, arguments)
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        _complain("interrupted", arguments)
        return 130
    except BrokenPipeError:  # whoever read has gone, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        _complain(f"cannot use {error.filename or 'a file'}: {error.strerror or error}", arguments)
        return StorageError.exit_code
    except Exception as error:
        _complain(f"{type(error).__name__}: {error} (unexpected; --debug shows where)", arguments)
        return 1


REFUSALS = {
    "AlreadyCommitted": "this account has committed to the round already",
    "AlreadyRated": "this account has rated or rejected its delivery already",
    "AlreadyRevealed": "this bid is revealed already",
    "ChallengeNotOpen": "somebody has refuted it, or it is refunded already",
    "NotTheAggregator": "only the round's aggregator can do that",
    "NotRevealed": "this account did not reveal its bid",
    "RowIsRight": "the row is right",
    "RoundFull": "the round has as many participants as it takes",
    "UnknownRound": "there is no such round",
}
"""What the contract's names say in plain words."""


def _plainly(error: NodeError) -> str:
    said = REFUSALS.get(error.name) if isinstance(error, Reverted) else None
    return f"{said} ({error})" if said else str(error)


def _complain(message: str, arguments: Sequence[str]) -> None:
    if "--debug" in arguments:
        traceback.print_exc()
    if message:
        # A contract or a node may have worded it: no line ends, no control characters.
        line = "".join(each for each in " ".join(message.split()) if each.isprintable())
        print("error:", line, file=sys.stderr)
