"""`status`: the account's money, its rounds and what each of them waits for."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .app import command
from .session import Session

if TYPE_CHECKING:
    from ..phases import Phase, RoundState
    from ..records import Challenge, Round


def add_to(app: typer.Typer) -> None:
    """Adds this file's command."""
    command(app, "status", "Look")(status)


def status(
    session: Session,
    number: Annotated[
        int | None, typer.Argument(metavar="[ROUND]", min=1, help="One round, in full.", show_default="yours")
    ] = None,
    *,
    everybodys: Annotated[bool, typer.Option("--all", metavar="", help="Other people's rounds too.")] = False,
) -> None:
    """Show balances and rounds, and what each waits for.

    Needs no password.
    """
    session.history  # noqa: B018  (read before anything is shown)
    if number is None:
        _account(session, everybodys)
    else:
        _round(session, number)


@dataclass(frozen=True, slots=True)
class View:
    """A round as one account sees it now."""

    round_: "Round"
    phase: "Phase"
    ends: int | None
    """When the phase ends at the latest, seconds since the epoch."""
    index: int | None
    """The account's."""
    locked: int
    """What the account has in it, base units."""
    to_do: str
    """The command that the round waits for from this account; "" where it waits for time or others."""


def _account(session: Session, everybodys: bool) -> None:
    from ..phases import moment
    from ..records import ONE

    chain, money, address = session.chain, session.money, session.address
    now, ledger = chain.now(), session.history.ledger
    rounds = [view(session, round_, address, now) for _, round_ in sorted(ledger.rounds.items())]
    shown = [each for each in rounds if everybodys or each.index is not None or each.round_.aggregator == address]
    locked = sum(each.locked for each in rounds)
    available, held = chain.available(address), chain.token.balance(address)
    ether = chain.endpoint.ether(address)
    aggregators = sorted({each.round_.aggregator for each in shown})
    reputations = {each: chain.reputation(each, address) for each in aggregators}
    session.screen.facts(
        "",
        {
            "account": address,
            "market": f"{chain.market} on chain {chain.chain_id}",
            "available": money.text(available),
            "locked": money.text(locked),
            "in the account": money.text(held),
            "ether": f"{ether / 10**18:.6g}",
            "encryption key": "published" if chain.encryption_key(address) else "not published yet; commit does it",
            **{
                f"reputation {place}": f"{reputation / ONE:.5f} in the rounds of {aggregator}"
                for place, (aggregator, reputation) in enumerate(reputations.items(), 1)
            },
        },
    )
    session.screen.say("")
    if shown:
        session.screen.table(
            "rounds",
            [">round", "you are", "phase", "until", f">locked, {money.symbol}", "to do"],
            [
                (
                    each.round_.number,
                    _role(each, address),
                    each.phase,
                    moment(each.ends, now) if each.ends else "",
                    money.short(each.locked),
                    each.to_do,
                )
                for each in shown
            ],
        )
    else:
        session.screen.say(f"no rounds of yours; the market has {len(rounds)}: --all shows them")
    session.screen.result(
        {
            "account": address,
            "chain_id": chain.chain_id,
            "market": chain.market,
            "now": now,
            "available": str(available),
            "locked": str(locked),
            "held": str(held),
            "wei": str(ether),
            "reputations": reputations,
            "rounds": [document(each, address) for each in shown],
        }
    )


def _round(session: Session, number: int) -> None:
    from ..amounts import duration
    from ..phases import moment

    chain, money = session.chain, session.money
    now, round_ = chain.now(), session.history.check(number)
    address = session.address_if_any
    seen, terms = view(session, round_, address, now), round_.terms
    session.screen.facts(
        f"round {number}",
        {
            "phase": f"{seen.phase}" + (f" until {moment(seen.ends, now)}" if seen.ends else ""),
            "to do": seen.to_do or "nothing of yours",
            "aggregator": round_.aggregator,
            "task": terms.task.hex(),
            "fee": money.text(terms.fee),
            "reveal bond": money.text(terms.reveal_bond),
            "bond": money.text(terms.bond),
            "sellers per buyer": terms.max_sellers,
            "samples believed": f"{terms.max_samples}, of a newcomer {terms.max_samples // 32}",
            "phases": ", ".join(
                f"{name} {duration(length)}"
                for name, length in {
                    "draw": terms.draw_time,
                    "reveal": terms.reveal_time,
                    "settle": terms.settle_time,
                    "challenge": terms.challenge_time,
                    "refute": terms.refute_time,
                }.items()
            ),
        },
    )
    session.screen.say("")
    session.screen.table(
        "participants",
        [">", "account", f">deposit, {money.symbol}", "revealed", "buys from", "rating"],
        [
            (
                index,
                session.screen.account(each.account),
                money.short(each.deposit),
                "yes" if each.reveal else "no",
                _bought(round_, index),
                "rejected" if each.rejected else "" if each.rating is None else each.rating,
            )
            for index, each in enumerate(round_.participants)
        ],
    )
    if round_.challenges:
        session.screen.say("")
        session.screen.table(
            "challenges",
            [">", "challenger", ">of the row of", ">sellers listed", ""],
            [
                (
                    number,
                    session.screen.account(each.challenger),
                    each.claim.buyer,
                    len(each.claim.listed),
                    _fate(session, each),
                )
                for number, each in enumerate(round_.challenges)
            ],
        )
    both = {"participants": _participants(round_), "challenges": _challenges(round_)}
    session.screen.result({**document(seen, address), "now": now, **both})


def view(session: Session, round_: "Round", address: str | None, now: int) -> View:
    """How a round stands for an account."""
    from ..phases import phase_of, span
    from ..settlement import challenge_bond, standing

    state = session.chain.state(round_.number)
    phase = phase_of(state, now)
    index = next((i for i, each in enumerate(round_.participants) if each.account == address), None)
    trail = session.history.trail(round_.number)
    locked = 0
    if index is not None and index not in trail.paid:
        locked += round_.participants[index].deposit
    if round_.aggregator == address and trail.aggregator is None:
        locked += round_.terms.bond
    mine = [each for each in map(round_.challenges.__getitem__, standing(round_)) if each.challenger == address]
    locked += challenge_bond(round_.terms) * sum(each.refunded is None for each in mine)
    to_do = _to_do(round_, state, phase, index, round_.aggregator == address, locked > 0)
    return View(round_, phase, span(state, phase)[1], index, locked, to_do)


def _to_do(
    round_: "Round", state: "RoundState", phase: "Phase", index: int | None, aggregates: bool, unpaid: bool
) -> str:
    from ..phases import Phase
    from ..settlement import standing

    me = None if index is None else round_.participants[index]
    bought = me is not None and round_.settlement is not None and bool(round_.settlement.rows[index or 0])
    unrated = bought and me is not None and me.rating is None and not me.rejected
    number = round_.number
    defends = aggregates and bool(standing(round_))
    watching = f"fetch {number}, then rate {number}" if unrated else f"audit --round {number}"
    return {
        Phase.COMMIT: "" if me or aggregates else f"commit {number}",
        Phase.DRAW: f"draw {number}",
        Phase.REVEAL: f"reveal {number}" if me and me.reveal is None else "",
        Phase.SETTLE: f"settle {number}" if aggregates else "",
        Phase.CHALLENGE: f"refute {number}" if defends else watching,
        Phase.REFUTE: f"refute {number}" if defends else "",
        Phase.PAYOUT: f"payout {number}" if unpaid else "",
        Phase.VOID: f"refund {number}" if unpaid else "",
    }[phase]


def _role(seen: View, address: str) -> str:
    roles = [] if seen.index is None else [f"participant {seen.index}"]
    if seen.round_.aggregator == address:
        roles.append("aggregator")
    return ", ".join(roles)


def _bought(round_: "Round", index: int) -> str:
    if round_.settlement is None:
        return ""
    if index in round_.settlement.excluded:
        return f"excluded, see explain {round_.number}"
    return ", ".join(str(each.seller) for each in round_.settlement.rows[index])


def document(seen: View, address: str | None) -> dict[str, Any]:
    """A round for scripts."""
    terms = seen.round_.terms
    return {
        "round": seen.round_.number,
        "phase": str(seen.phase),
        "ends": seen.ends,
        "aggregator": seen.round_.aggregator,
        "is_aggregator": seen.round_.aggregator == address,
        "index": seen.index,
        "locked": str(seen.locked),
        "to_do": seen.to_do,
        "task": terms.task.hex(),
        "fee": str(terms.fee),
        "reveal_bond": str(terms.reveal_bond),
        "bond": str(terms.bond),
    }


def _fate(session: Session, challenge: "Challenge") -> str:
    if challenge.refuter is not None:
        return f"refuted by {session.screen.account(challenge.refuter)}"
    return "open" if challenge.refunded is None else f"stood: paid {session.money.text(challenge.refunded)}"


def _challenges(round_: "Round") -> list[dict[str, Any]]:
    return [
        {
            "challenge": number,
            "challenger": each.challenger,
            "participant": each.claim.buyer,
            "listed": list(each.claim.listed),
            "refuter": each.refuter,
            "refunded": None if each.refunded is None else str(each.refunded),
        }
        for number, each in enumerate(round_.challenges)
    ]


def _participants(round_: "Round") -> list[dict[str, Any]]:
    excluded = round_.settlement.excluded if round_.settlement else frozenset()
    return [
        {
            "index": index,
            "account": each.account,
            "deposit": str(each.deposit),
            "revealed": each.reveal is not None,
            "excluded": index in excluded,
            "purchases": [
                {"seller": purchase.seller, "price": str(purchase.price)}
                for purchase in (round_.settlement.rows[index] if round_.settlement else ())
            ],
            "rating": each.rating,
            "rejected": each.rejected,
        }
        for index, each in enumerate(round_.participants)
    ]
