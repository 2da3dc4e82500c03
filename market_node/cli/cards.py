"""`cards`: what the owners of a round's models say of them."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ..errors import BadInput, NodeError
from .app import RoundNumber, command
from .session import Session

if TYPE_CHECKING:
    from ..records import Participant


def add_to(app: typer.Typer) -> None:
    """Adds this file's command."""
    command(app, "cards", "Look")(cards)


def cards(session: Session, number: RoundNumber) -> None:
    """Show the model cards of a round.

    They are their owners' words: what they claim of privacy, too. Fetches the sealed models. Needs no key.
    """
    from ..models import open_task
    from ..seal import sealed_limit

    round_ = session.history.check(number)
    read: list[dict[str, Any] | str] = []
    with session.screen.working("fetching the models"):
        limit = sealed_limit(open_task(session.store, round_.terms.task, session.home / "tasks").file_limit)
        for each in round_.participants:
            try:
                read.append(_card(session, number, each, limit))
            except NodeError as error:
                read.append(str(error))
    session.screen.table(
        f"model cards of round {number}",
        [">", "account", "privacy claimed", "says"],
        [
            (index, session.screen.account(each.account), *(("", card) if isinstance(card, str) else _shown(card)))
            for index, (each, card) in enumerate(zip(round_.participants, read, strict=True))
        ],
    )
    documents = [
        {
            "index": index,
            "account": each.account,
            "card": None if isinstance(card, str) else card,
            "problem": card if isinstance(card, str) else None,
        }
        for index, (each, card) in enumerate(zip(round_.participants, read, strict=True))
    ]
    session.screen.result({"round": number, "cards": documents})


def _card(session: Session, number: int, participant: "Participant", limit: int) -> dict[str, Any]:
    from ..seal import Envelope, read_header

    if participant.model is None:
        raise BadInput("no model was seen")
    with tempfile.TemporaryDirectory() as folder:
        sealed = Path(folder) / "sealed"
        session.store.get(participant.model.cid, sealed, limit)
        with open(sealed, "rb") as file:
            envelope, card = read_header(file)
    if envelope != Envelope(session.chain.chain_id, session.chain.market, number, participant.account):
        raise BadInput("the file names another account or round")
    return card


def _shown(card: dict[str, Any]) -> tuple[str, str]:
    """The privacy that a card claims, and the rest of it but for what only machines read."""
    from ..claim import FIELD, claim_of
    from ..recovery import NOTE

    try:
        claim = str(claim_of(card) or "none")
    except BadInput:
        claim = "none that can be read"
    rest = {key: value for key, value in card.items() if key not in (FIELD, NOTE, "fingerprint")}
    said = ", ".join(f"{key}: {value}" for key, value in sorted(rest.items()))
    return claim, "".join(letter for letter in said if letter.isprintable())[:80]
