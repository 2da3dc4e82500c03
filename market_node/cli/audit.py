"""`audit`: recomputes everything that a market has paid, from its logs alone."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from .amounts import Money
from .app import FINDINGS, command
from .session import Session

if TYPE_CHECKING:
    from ..audit import Audit, Finding


def add_to(app: typer.Typer) -> None:
    """Adds this file's command."""
    command(app, "audit", "Look")(audit)


def audit(
    session: Session,
    *,
    number: Annotated[
        int | None, typer.Option("--round", metavar="N", min=1, help="One round.", show_default="all")
    ] = None,
) -> None:
    """Recompute prices, payments and reputations from the logs.

    Needs no key and no model. Exits with 0 where nothing differs, else with 8.
    """
    from ..audit import audit as recompute

    numbers = sorted(session.history.ledger.rounds) if number is None else [number]
    audits = []
    for each in session.screen.track(numbers, "recomputing", len(numbers)):
        round_ = session.history.check(each)
        audits.append(recompute(round_, session.history.trail(each)))
    findings = [finding for each in audits for finding in each.findings]
    _show(session, audits, findings)
    session.screen.result({"ok": not findings, "rounds": [_document(each) for each in audits]})
    if findings:
        raise typer.Exit(FINDINGS)


def _show(session: Session, audits: "list[Audit]", findings: "list[Finding]") -> None:
    session.screen.table(
        "recomputed",
        [">round", ">prices", ">credits", ">reputations", ">findings"],
        [(each.round, each.prices, each.credits, each.reputations, len(each.findings)) for each in audits],
    )
    session.screen.say("")
    for finding in findings:
        who = "the aggregator" if finding.participant is None else f"participant {finding.participant}"
        session.screen.say(f"{finding.kind}: {finding.text}", style="red")
        session.screen.say(f"    {who} {finding.account}")
        session.screen.say(f"    expected {value_text(finding.kind, finding.expected, session.money)}")
        session.screen.say(f"    posted   {value_text(finding.kind, finding.posted, session.money)}")
    if findings:
        session.screen.say(f"{len(findings)} findings", style="bold red")
    else:
        session.screen.say("nothing to object: every one is as recomputed", style="bold green")


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
