"""`fund` and `withdraw`: tokens into the market and out of it."""

from typing import Annotated

import typer

from ..errors import BadInput
from .app import command
from .session import Session

PANEL = "Move money"

Amount = Annotated[str, typer.Argument(metavar="TOKENS", help="How much, in tokens, such as 12.5.")]


def add_to(app: typer.Typer) -> None:
    """Adds this file's commands."""
    command(app, "fund", PANEL)(fund)
    command(app, "withdraw", PANEL)(withdraw)


def fund(
    session: Session,
    amount: Amount,
    *,
    mint: Annotated[
        bool, typer.Option("--mint", metavar="", help="Mint the tokens first. Test tokens alone allow that.")
    ] = False,
) -> None:
    """Move tokens into the market, where rounds can lock them."""
    units, chain = session.money.units(amount, "TOKENS"), session.signing
    with session.screen.working("waiting for the block"):
        if mint:
            from ..deploy import mint as mint_tokens
            from ..errors import Reverted

            try:
                mint_tokens(chain.endpoint, session.signer, chain.token.address, chain.account, units)
            except Reverted:
                raise BadInput(f"{session.money.symbol} is no test token: nobody can mint it with --mint") from None
        if (held := chain.token.balance(chain.account)) < units:
            raise BadInput(f"{chain.account} holds {session.money.text(held)}, not {session.money.text(units)}")
        chain.fund(units)
    _balances(session)


def withdraw(
    session: Session,
    amount: Annotated[
        str | None, typer.Argument(metavar="[TOKENS]", help="How much, in tokens; by default all that is available.")
    ] = None,
) -> None:
    """Move available balance back to the account."""
    chain = session.signing
    available = chain.available(chain.account)
    units = available if amount is None else session.money.units(amount, "TOKENS")
    if units > available:
        raise BadInput(f"{session.money.text(available)} are available, not {session.money.text(units)}")
    if units:
        with session.screen.working("waiting for the block"):
            chain.withdraw(units)
    _balances(session)


def _balances(session: Session) -> None:
    chain, money = session.signing, session.money
    available, held = chain.available(chain.account), chain.token.balance(chain.account)
    session.screen.facts("", {"available": money.text(available), "in the account": money.text(held)})
    session.screen.result(
        {"account": chain.account, "available": str(available), "held": str(held), "token": money.symbol}
    )
