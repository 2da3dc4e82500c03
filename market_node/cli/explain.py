"""`explain`: how a payment, a price or an exclusion came about, recomputed here."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import BadInput, NodeError, WrongPhase
from .app import command
from .session import Session

if TYPE_CHECKING:
    from ..explain import Line, Verdict
    from ..records import Round, Settlement

Number = Annotated[int, typer.Argument(metavar="ROUND", min=1, help="The round's number.")]


def add_to(app: typer.Typer) -> None:
    """Adds this file's command."""
    command(app, "explain", "Look")(explain)


def explain(
    session: Session,
    number: Number,
    *,
    participant: Annotated[
        str | None,
        typer.Option(
            "--participant",
            "-p",
            metavar="I|ACCOUNT",
            help="Whose account, and why from whom.",
            show_default="overview",
        ),
    ] = None,
) -> None:
    """Show how payments, prices and exclusions came about.

    Recomputed here from the chain's logs. Needs no key.
    """
    from ..phases import Phase
    from ..phases import explain as explain_phase

    round_ = session.history.check(number)
    indices = range(len(round_.participants)) if participant is None else [_index(round_, participant)]
    phase = session.chain.phase(number)
    if round_.settlement is not None and phase != Phase.VOID:
        reasons = exclusion_reasons(session, round_) if round_.settlement.excluded else {}
        if participant is None:
            _overview(session, round_, round_.settlement, reasons)
        else:
            _account(session, round_, round_.settlement, indices[0], reasons)
        documents = [_document(round_, round_.settlement, index, reasons) for index in indices]
    else:
        if phase != Phase.VOID:
            now = session.chain.now()
            raise WrongPhase(explain_phase(number, session.chain.state(number), now, Phase.CHALLENGE))
        documents = _void(session, round_, indices)
    session.screen.result({"round": number, "participants": documents})


def _index(round_: "Round", who: str) -> int:
    """A participant named by index or account."""
    n = len(round_.participants)
    for index, each in enumerate(round_.participants):
        if who.lower() in (str(index), each.account.lower()):
            return index
    raise BadInput(f"--participant: round {round_.number} has no {who}; it has 0 … {n - 1}, or their accounts")


# --- a settled round ---


def _overview(session: Session, round_: "Round", settlement: "Settlement", reasons: dict[int, str]) -> None:
    from ..settlement import payout

    money, credits = session.money, payout(round_, settlement).credits
    sold = [0] * len(credits)
    for row in settlement.rows:
        for purchase in row:
            sold[purchase.seller] += purchase.price
    rows = []
    for index, each in enumerate(round_.participants):
        bought = ", ".join(str(purchase.seller) for purchase in settlement.rows[index])
        spent = sum(purchase.price for purchase in settlement.rows[index])
        rows.append(
            (
                index,
                session.screen.account(each.account),
                bought,
                money.short(spent),
                money.short(sold[index]),
                money.short(credits[index]),
                money.short(credits[index] - each.deposit),
                _note(round_, settlement, index, reasons),
            )
        )
    columns = [">", "account", "buys from", ">for", ">sells for", ">credit", ">net", ""]
    session.screen.table(f"round {round_.number}, amounts in {money.symbol}", columns, rows)
    session.screen.say("")
    session.screen.say("--participant I says where each amount comes from")


def _note(round_: "Round", settlement: "Settlement", index: int, reasons: dict[int, str]) -> str:
    from ..settlement import standing

    if index in settlement.excluded:
        return f"excluded: {reasons.get(index, 'the reason could not be fetched')}"
    if round_.participants[index].reveal is None:
        return "did not reveal"
    if any(round_.challenges[number].claim.buyer == index for number in standing(round_)):
        return "its row is challenged"
    return "rejected its delivery" if round_.participants[index].rejected else ""


def _account(session: Session, round_: "Round", settlement: "Settlement", index: int, reasons: dict[int, str]) -> None:
    from ..explain import statement, verdicts

    screen, money = session.screen, session.money
    lines = statement(round_, settlement, index)
    screen.table(
        f"round {round_.number}, participant {index}, {round_.participants[index].account}",
        ["", ">"],
        [*((line.text, money.text(line.amount)) for line in lines), ("credit", money.text(_sum(lines)))],
    )
    if index in settlement.excluded:
        screen.say("")
        screen.say(_note(round_, settlement, index, reasons), style="red")
    if seen := verdicts(round_, settlement, index):
        screen.say("")
        posted = {purchase.seller: purchase.price for purchase in settlement.rows[index]}
        columns = [">seller", ">alike", ">samples", ">count", ">worth", ">cost", ">price", "why"]
        rows = [_verdict(session, each, posted) for each in seen]
        screen.table(f"what it buys, and why; amounts in {money.symbol}", columns, rows)
        screen.say("")
        screen.say("samples: what its claim is believed; count: how many of them count here, where models are as alike")
        screen.say("worth: what it would bring alone; price: the highest cost at which it would still have been chosen")


def _verdict(session: Session, seen: "Verdict", posted: dict[int, int]) -> tuple[object, ...]:
    from ..records import NOT_SELLING, ONE

    money, why = session.money, seen.reason
    if posted.get(seen.seller) != seen.price:
        wrong = posted.get(seen.seller)
        why += f"; POSTED {'not at all' if wrong is None else money.text(wrong)}"
    return (
        seen.seller,
        f"{seen.similarity / ONE:.3f}",
        seen.believed,
        seen.size,
        money.short(seen.worth),
        "" if seen.cost == NOT_SELLING else money.short(seen.cost),
        "" if seen.price is None else money.short(seen.price),
        why,
    )


def exclusion_reasons(session: Session, round_: "Round") -> dict[int, str]:
    """Index → why the aggregator excluded it, as its delivery list says. Empty where the list cannot be had."""
    from ..node import read_deliveries

    try:
        listed = read_deliveries(session.chain, session.store, round_)
    except NodeError as error:
        session.screen.warn(f"why participants are excluded is not known: {error}")
        return {}
    return {each.index: str(each) for each in listed.exclusions}


def _document(round_: "Round", settlement: "Settlement", index: int, reasons: dict[int, str]) -> dict[str, Any]:
    from ..explain import statement, verdicts

    lines = statement(round_, settlement, index)
    return {
        "index": index,
        "account": round_.participants[index].account,
        "lines": [{"text": line.text, "amount": str(line.amount)} for line in lines],
        "credit": str(_sum(lines)),
        "excluded": reasons.get(index, "unknown") if index in settlement.excluded else None,
        "verdicts": [
            {
                "seller": each.seller,
                "similarity": each.similarity,
                "believed": each.believed,
                "size": each.size,
                "worth": str(each.worth),
                "cost": str(each.cost),
                "price": None if each.price is None else str(each.price),
                "reason": each.reason,
            }
            for each in verdicts(round_, settlement, index)
        ],
    }


def _sum(lines: "list[Line]") -> int:
    return sum(line.amount for line in lines)


# --- a void round ---


def _why_void(session: Session, round_: "Round") -> str:
    from ..audit import due_refunds, with_fault
    from ..settlement import challenge_bond, standing

    shares = "half of the bond is burnt, a quarter goes to those who revealed"
    if challenges := standing(round_):
        each = session.money.text(challenge_bond(round_.terms) + due_refunds(round_).challenger)
        whom = ", ".join(round_.challenges[number].challenger for number in challenges)
        return f"its settlement was challenged and nobody refuted it: {shares}, {each} to each challenger ({whom})"
    if with_fault(round_):
        return f"its aggregator did not settle: {shares}"
    return "no seed was drawn in time, or fewer than two revealed"


def _void(session: Session, round_: "Round", indices: Sequence[int]) -> list[dict[str, Any]]:
    from ..audit import due_refunds

    due, money = due_refunds(round_), session.money
    session.screen.say(f"round {round_.number} is void: {_why_void(session, round_)}")
    session.screen.table(
        f"amounts in {money.symbol}",
        [">", "account", ">deposit", ">refund", ""],
        [
            (
                index,
                session.screen.account(round_.participants[index].account),
                money.short(round_.participants[index].deposit),
                money.short(due.credits[index]),
                "" if round_.participants[index].reveal else "did not reveal",
            )
            for index in indices
        ],
    )
    return [
        {
            "index": index,
            "account": round_.participants[index].account,
            "deposit": str(round_.participants[index].deposit),
            "refund": str(due.credits[index]),
        }
        for index in indices
    ]
