"""`export`: an account's payments, for its books."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import ChainError
from .app import command
from .session import Session

if TYPE_CHECKING:
    from ..export import Figures, Gas

READS = 3
"""So often the logs are compared with the balance: a payment may come between the two."""


def add_to(app: typer.Typer) -> None:
    """Adds this file's command."""
    command(app, "export", "Look")(export)


def export(
    session: Session,
    *,
    account: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Whose payments.", show_default="this node's account")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", dir_okay=False, help="Where to write.", show_default="the screen")
    ] = None,
) -> None:
    """Write every payment of an account as CSV (RFC 4180): round, kind, counterparty, amount, transaction, time.

    Amounts are exact, in tokens and in base units. They add up to the account's available balance, which is checked;
    gas, in wei, and training time and losses stand beside them where this node has written them down.
    """
    from ..contracts import checksum
    from ..export import payments, to_csv
    from ..files import replacing

    whose = checksum(account) if account else session.address
    own = whose == session.address_if_any
    for _ in range(READS):
        ledger, chain = session.history.refresh(), session.chain
        events = chain.events(chain.from_block, session.history.block)
        rows = payments(whose, events, ledger, _Times(session), _gas(session) if own else ())
        total, available = sum(row.available for row in rows), chain.available(whose)
        if total == available:
            break
    else:
        raise ChainError(f"the payments of {whose} add up to {total}, the escrow says {available} base units")
    token = chain.token
    text = to_csv(rows, token.symbol, token.decimals, _figures(session) if own else {})
    if out is not None:
        with replacing(out) as file:
            file.write(text.encode())
        session.screen.say(f"{len(rows)} payments in {out}; they add up to {session.money.text(available)}")
    elif not session.screen.as_json:
        sys.stdout.write(text)
    session.screen.result(
        {
            "account": whose,
            "available": str(available),
            "payments": [
                {
                    "time": row.moment.time,
                    "block": row.moment.block,
                    "transaction": row.moment.transaction,
                    "round": row.round,
                    "role": row.role,
                    "kind": row.kind,
                    "counterparty": row.counterparty,
                    "amount": str(row.available),
                    "wei": str(row.wei),
                }
                for row in rows
            ],
        }
    )


class _Times(dict[int, int]):
    """When a block was made, asked for once."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._endpoint = session.chain.endpoint

    def __missing__(self, block: int) -> int:
        self[block] = self._endpoint.time(block)
        return self[block]


def _gas(session: Session) -> "list[Gas]":
    """What the transactions of this node's book have cost."""
    from ..book import DONE, Book
    from ..export import Gas, Moment

    endpoint, times, costs = session.chain.endpoint, _Times(session), []
    session.chain.remember(session.database)
    for sent in Book(session.database, session.address).every():
        if sent.status in DONE and (cost := endpoint.cost(sent.name)) is not None:
            block, wei = cost
            costs.append(Gas(Moment(sent.name, block, times[block], -1), sent.round, wei))
    return costs


def _figures(session: Session) -> "dict[int, Figures]":
    """What this node wrote down when it trained."""
    from ..export import Figures
    from ..trainer import read_learned

    chain, figures = session.chain, {}
    folder = session.home / "learning" / f"{chain.chain_id}-{chain.genesis.hex()[:8]}" / chain.market.lower()
    for number in session.history.ledger.rounds:
        offer, adopted = (
            read_learned(folder / f"{number}-{what}.safetensors", pruned=True) for what in ("offer", "adopted")
        )
        if took := [each for each in (offer, adopted) if each]:
            losses = (adopted.loss_before, adopted.loss) if adopted else (offer.loss if offer else None, None)
            before, after = ("" if each is None else repr(each) for each in losses)
            figures[number] = Figures(f"{sum(each.seconds for each in took):.3f}", before, after)
    return figures
