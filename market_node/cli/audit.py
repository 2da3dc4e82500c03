"""`audit`: recomputes everything that a market has paid, from its logs alone, and challenges what is wrong."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..amounts import Money
from ..errors import BadInput, ChainError
from .app import FINDINGS, command
from .session import Session

if TYPE_CHECKING:
    from ..audit import Audit, Finding

ROWS = ("wrong-price", "wrong-row")
"""The findings that a challenge can prove."""


def add_to(app: typer.Typer) -> None:
    """Adds this file's command."""
    command(app, "audit", "Look")(audit)


def audit(
    session: Session,
    *,
    number: Annotated[
        int | None, typer.Option("--round", metavar="N", min=1, help="One round.", show_default="all")
    ] = None,
    challenge: Annotated[
        bool, typer.Option("--challenge", metavar="", help="Challenge the round's first wrong row. Needs your key.")
    ] = False,
) -> None:
    """Recompute prices, payments and reputations from the logs.

    Needs no key and no model, but to challenge. Exits with 0 where nothing differs, else with 8.

    A challenge locks 1/32 of the round's bond. One that is right makes the round void, and the bond comes back with a
    reward.
    """
    from ..audit import audit as recompute

    if challenge and number is None:
        raise BadInput("--challenge: say which round, with --round")
    if challenge:
        session.require_account()
    numbers = sorted(session.history.ledger.rounds) if number is None else [number]
    audits = []
    for each in session.screen.track(numbers, "recomputing", len(numbers)):
        round_ = session.history.check(each)
        audits.append(recompute(round_, session.history.trail(each)))
    findings = [finding for each in audits for finding in each.findings]
    _show(session, audits, findings)
    made = None
    if challenge and number is not None and any(finding.kind in ROWS for finding in findings):
        made = _challenge(session, number)
    document = {"ok": not findings, "rounds": [_document(each) for each in audits]}
    session.screen.result({**document, "challenge": made} if challenge else document)
    if findings:
        raise typer.Exit(FINDINGS)


def _show(session: Session, audits: "list[Audit]", findings: "list[Finding]") -> None:
    session.screen.table(
        "recomputed",
        [">round", ">prices", ">credits", ">reputations", ">findings", "challenges that stand"],
        [
            (
                *(each.round, each.prices, each.credits, each.reputations, len(each.findings)),
                ", ".join(map(str, each.standing)),
            )
            for each in audits
        ],
    )
    session.screen.say("")
    for finding in findings:
        who = "the aggregator" if finding.participant is None else f"participant {finding.participant}"
        who = "due to" if finding.kind == "wrong-reward" else who
        session.screen.say(f"{finding.kind}: {finding.text}", style="red")
        session.screen.say(f"    {who} {finding.account}")
        session.screen.say(f"    expected {value_text(finding.kind, finding.expected, session.money)}")
        session.screen.say(f"    posted   {value_text(finding.kind, finding.posted, session.money)}")
    if findings:
        session.screen.say(f"{len(findings)} findings", style="bold red")
    else:
        session.screen.say("nothing to object: every one is as recomputed", style="bold green")


def _challenge(session: Session, number: int) -> dict[str, Any]:
    """What came of a challenge, for scripts."""
    with session.screen.working("challenging"):
        made = session.auditor(None).challenge(number)
    if made.outcome is None:
        raise ChainError(f"round {number}: a challenge was sent before and has too few confirmations yet; try again")
    session.screen.say(f"challenged the row of participant {made.of}: transaction {made.transaction}", style="bold")
    return {"participant": made.of, "transaction": made.transaction}


def value_text(kind: str, value: Any, money: Money) -> str:
    """What a finding expected or found, for a person."""
    from ..records import ONE, Purchase

    if kind == "wrong-reputation" and isinstance(value, int):
        return f"{value / ONE:.5f} ({value}/65536)"
    if isinstance(value, int):
        return money.text(value)
    if isinstance(value, tuple) and all(isinstance(each, Purchase) for each in value):
        return ", ".join(f"from {each.seller} at {money.text(each.price)}" for each in value) or "nothing"
    if isinstance(value, tuple):
        return " … ".join(value_text(kind, each, money) for each in value)
    return str(value)


def _document(audit: "Audit") -> dict[str, Any]:
    return {
        "round": audit.round,
        "prices": audit.prices,
        "credits": audit.credits,
        "reputations": audit.reputations,
        "standing": list(audit.standing),
        "findings": [
            {
                "kind": finding.kind,
                "round": finding.round,
                "participant": finding.participant,
                "account": finding.account,
                "expected": _value(finding.expected),
                "posted": _value(finding.posted),
                "text": finding.text,
            }
            for finding in audit.findings
        ],
    }


def _value(value: Any) -> Any:
    from ..records import Purchase

    if isinstance(value, Purchase):
        return {"seller": value.seller, "price": str(value.price)}
    if isinstance(value, tuple):
        return [_value(each) for each in value]
    return str(value)
