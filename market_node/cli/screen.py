"""What a command shows: text and tables for people, or one JSON document for scripts."""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from rich.console import Console, JustifyMethod
from rich.table import Table

T = TypeVar("T")

WIDTH = 200
"""Columns where nobody looks: a table in a pipe or a log is not cut to a window."""

ROOMY = 120
"""Columns of a window in which a table can have whole addresses."""


class Screen:
    """Where a command writes.

    With `as_json` the facts go to standard output as one document, and everything meant for people to standard error.
    Progress always goes to standard error, and only to a terminal.
    """

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self.people = _console(sys.stderr if as_json else sys.stdout)
        self.progress = _console(sys.stderr)

    def say(self, text: str, style: str | None = None) -> None:
        """One line for people."""
        self.people.print(text, style=style, markup=False, highlight=False, soft_wrap=True)

    def warn(self, text: str) -> None:
        """One line for people that they should not miss, whatever they read."""
        self.progress.print(f"warning: {text}", style="yellow", markup=False, highlight=False, soft_wrap=True)

    def account(self, address: str) -> str:
        """An address for a table: whole where there is room, and to be told apart by its ends where there is not."""
        return address if self.people.width >= ROOMY else f"{address[:6]}…{address[-4:]}"

    def table(self, title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """A table for people. A column whose name begins with ">" is set to the right."""
        self._title(title)
        table = Table(box=None, pad_edge=False, padding=(0, 1))
        for column in columns:
            right = column.startswith(">")
            justify: JustifyMethod = "right" if right else "left"
            table.add_column(column.removeprefix(">"), justify=justify, no_wrap=right, overflow="fold")
        for row in rows:
            table.add_row(*(_plain(cell) for cell in row))
        self.people.print(table, highlight=False)

    def facts(self, title: str, facts: Mapping[str, object]) -> None:
        """Names and values for people, one pair a line."""
        self._title(title)
        table = Table(box=None, pad_edge=False, show_header=False)
        table.add_column(style="dim")
        table.add_column(overflow="fold")
        for name, value in facts.items():
            table.add_row(name, _plain(value))
        self.people.print(table, highlight=False)

    def _title(self, title: str) -> None:
        if title:
            self.say(title, style="bold")

    def result(self, document: Mapping[str, Any]) -> None:
        """The command's facts for scripts. Amounts are base units, as strings: JSON readers round large numbers."""
        if self.as_json:
            print(json.dumps(document, indent=2, default=_json))

    @contextmanager
    def working(self, text: str) -> Iterator[None]:
        """Shows that something takes a while."""
        if not self.progress.is_terminal:
            yield
            return
        with self.progress.status(text):
            yield

    def track(self, steps: Iterable[T], text: str, total: int) -> Iterable[T]:
        """The same steps, with a progress bar as they are taken."""
        from rich.progress import track

        hidden = not self.progress.is_terminal or total < 2
        return track(steps, text, total=total, console=self.progress, transient=True, disable=hidden)


def _console(stream: Any) -> Console:
    console = Console(file=stream, highlight=False)
    return console if console.is_terminal else Console(file=stream, highlight=False, width=WIDTH)


def _plain(cell: object) -> Any:
    """A cell as it is: brackets in a name from the chain are no markup."""
    from rich.text import Text

    return cell if isinstance(cell, Text) else Text(str(cell))


def _json(value: object) -> object:
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, frozenset | set):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} has no place in a document")
