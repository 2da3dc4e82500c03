"""The steps of a round: `commit`, `draw`, `reveal`, `fetch`, `rate`, `reject`, `payout`, `refund`."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..amounts import Money, clock, parse_fraction
from ..errors import BadInput
from .app import RoundNumber, command
from .files import read_object
from .session import Session

if TYPE_CHECKING:
    from ..chain import Chain, Receipt
    from ..records import Bid, Terms

PANEL = "Take part in a round"


def add_to(app: typer.Typer) -> None:
    """Adds this file's commands."""
    command(app, "commit", PANEL)(commit)
    command(app, "draw", PANEL)(draw)
    command(app, "reveal", PANEL)(reveal)
    command(app, "fetch", PANEL)(fetch)
    command(app, "rate", PANEL)(rate)
    command(app, "reject", PANEL)(reject)
    command(app, "payout", PANEL)(payout)
    command(app, "refund", PANEL)(refund)


def commit(
    session: Session,
    number: RoundNumber,
    model: Annotated[
        Path,
        typer.Argument(metavar="MODEL", exists=True, dir_okay=False, help="The trained model, a safetensors file."),
    ],
    *,
    samples: Annotated[int, typer.Option(metavar="N", min=1, help="On how many samples it was trained.")],
    value: Annotated[
        str, typer.Option(metavar="TOKENS", help="What a perfect model would be worth to you; 0 buys nothing.")
    ] = "0",
    cost: Annotated[
        str | None,
        typer.Option(metavar="TOKENS", help="What one copy of your model must bring.", show_default="you do not sell"),
    ] = None,
    min_reputation: Annotated[
        str, typer.Option(metavar="0…1", help="From whom you are willing to buy; newcomers have 0.03125.")
    ] = "0",
    deposit: Annotated[
        str | None,
        typer.Option(
            metavar="TOKENS",
            help="What to lock.",
            show_default="the most that the terms allow and the balance covers, which hides the value",
        ),
    ] = None,
    card: Annotated[
        Path | None, typer.Option(metavar="FILE", help="JSON that anyone may read about the model.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", metavar="", help="Say what would be locked, until when, and the worst loss.")
    ] = False,
) -> None:
    """Seal a bid and a model and commit to both.

    The bid and the model's key are written to the home's journal first: without them the reveal bond is lost.
    """
    from ..chain import require_phase
    from ..phases import Phase
    from ..records import NOT_SELLING, Bid
    from ..terms import exposure

    money = session.money
    bid = Bid(
        money.units(value, "--value"),
        NOT_SELLING if cost is None else money.units(cost, "--cost"),
        samples,
        parse_fraction(min_reputation, "--min-reputation"),
    )
    if bid.value == 0 and cost is None:
        raise BadInput("the bid neither buys nor sells: give --value, --cost or both")
    public = read_object(card) if card else {}
    require_phase(session.chain, number, Phase.COMMIT)
    if session.chain.record(number, session.address):
        raise BadInput(f"{session.address} has committed to round {number} already, and a commit cannot be changed")
    terms = session.chain.terms(number)
    asked = None if deposit is None else money.units(deposit, "--deposit")
    locked = _deposit(terms, bid, session.chain.available(session.address), asked, money)
    stake = exposure(terms, bid, locked)
    index = None
    if dry_run:
        with session.screen.working("checking the model"):
            from ..models import open_task

            open_task(session.store, terms.task, session.home / "tasks").read(model)
    else:
        node = session.node
        with session.screen.working("sealing the model and committing"):
            session.publish_key()
            index = node.commit(number, model, bid, public, locked)
        session.screen.say(f"committed to round {number} as participant {index}", style="bold")
    session.screen.facts(
        f"round {number} would lock" if dry_run else "",
        {
            "locked": money.text(stake.deposit),
            "until": f"{clock(stake.until)} at the latest",
            "lost if you do not reveal": money.text(stake.without_reveal),
            "lost at most, with one honest auditor": f"{money.text(stake.honest)}, for models worth as much to you",
            "lost at most, if nobody audits": money.text(stake.worst),
        },
    )
    session.screen.result(
        {
            "round": number,
            "account": session.address,
            "index": index,
            "dry_run": dry_run,
            "deposit": str(stake.deposit),
            "until": stake.until,
            "lost_without_reveal": str(stake.without_reveal),
            "lost_at_most_when_audited": str(stake.honest),
            "lost_at_most": str(stake.worst),
        }
    )


def _deposit(terms: "Terms", bid: "Bid", available: int, asked: int | None, money: Money) -> int:
    """`choose_deposit`, whose refusals are in tokens."""
    from ..terms import choose_deposit, deposit_needed, deposit_range

    least, most = deposit_needed(terms, bid), deposit_range(terms)[1]
    if least > most:
        highest = money.text(most - (least - bid.value))
        raise BadInput(f"--value: this round's deposits cover at most {highest}, not {money.text(bid.value)}")
    if asked is not None and not least <= asked <= most:
        size = "small" if asked < least else "large"
        raise BadInput(
            f"--deposit: {money.text(asked)} is too {size}; this bid in this round needs "
            f"{money.text(least)} … {money.text(most)}"
        )
    if available < (least if asked is None else asked):
        needed = money.text(least if asked is None else asked)
        raise BadInput(f"the deposit is {needed} and {money.text(available)} are available: fund the account first")
    return choose_deposit(terms, bid, available, asked)


def draw(
    session: Session,
    number: RoundNumber,
    *,
    once: Annotated[bool, typer.Option("--once", metavar="", help="Make one of the two calls and leave.")] = False,
) -> None:
    """Draw the round's seed. Anyone may.

    One call chooses a block, a later one makes its hash the seed; this makes both. A seed that is drawn is shown.
    """
    from ..chain import require_phase
    from ..phases import Phase

    state = session.chain.state(number)
    if state.seed_time:
        seed: bytes | None = state.seed
    else:
        require_phase(session.chain, number, Phase.DRAW)
        chain = session.signing
        with session.screen.working("waiting for the block after the next"):
            seed = _draw(chain, number, once)
    session.screen.say(f"round {number}: " + (f"seed {seed.hex()}" if seed else "a block is chosen; draw once more"))
    session.screen.result({"round": number, "seed": seed})


def _draw(chain: "Chain", number: int, once: bool) -> bytes | None:
    """The seed, or None where another call is needed."""
    from ..errors import Reverted

    end = time.monotonic() + chain.endpoint.timeout
    while True:
        try:
            receipt = chain.draw_seed(number)
        except Reverted as refusal:
            if refusal.name == "SeedAlreadyDrawn":  # by somebody else, in the meantime
                return chain.state(number).seed
            if refusal.name != "SeedBlockTooRecent" or time.monotonic() > end:
                raise
            time.sleep(1)
            continue
        drawn = [event.arguments["seed"] for event in receipt.events if event.name == "SeedDrawn"]
        if drawn or once:
            return drawn[0] if drawn else None


def reveal(session: Session, number: RoundNumber) -> None:
    """Open the bid that was committed."""
    with session.screen.working("sketching the model and revealing"):
        receipt = session.node.reveal(number)
    session.screen.say(f"round {number}: the bid of {session.address} is revealed")
    session.screen.result({"round": number, "account": session.address, "transaction": receipt.transaction})


def fetch(
    session: Session,
    number: RoundNumber,
    out: Annotated[Path, typer.Argument(metavar="FILE", help="Where the model goes.")],
    *,
    force: Annotated[bool, typer.Option("--force", metavar="", help="Replace FILE where it is there.")] = False,
) -> None:
    """Fetch the personal model that was delivered, checked."""
    if out.exists() and not force:
        raise BadInput(f"{out} is there already: --force replaces it")
    with session.screen.working("fetching and checking"):
        session.node.fetch(number, out.absolute())
    session.screen.say(f"round {number}: the personal model is in {out}, {out.stat().st_size} bytes")
    session.screen.result({"round": number, "model": str(out), "bytes": out.stat().st_size})


def rate(
    session: Session,
    number: RoundNumber,
    rating: Annotated[
        int, typer.Argument(metavar="0…100", min=0, max=100, help="100 better than your own model, 0 worse, else 75.")
    ],
) -> None:
    """Rate the delivery; its sellers' reputations follow."""
    with session.screen.working("waiting for the block"):
        receipt = session.node.rate(number, rating)
    session.screen.say(f"round {number}: rated {rating}")
    session.screen.result({"round": number, "rating": rating, "transaction": receipt.transaction})


def reject(
    session: Session,
    number: RoundNumber,
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", metavar="", help="Do not ask.")] = False,
) -> None:
    """Say that nothing usable was delivered.

    Burns what you would have paid, the fee and the reveal bond: nobody gains by it.
    """
    terms = session.chain.terms(number)
    burnt = session.money.text(terms.fee + terms.reveal_bond)
    question = f"This burns {burnt} and the price of the models. Reject?"
    if not yes and not (sys.stdin.isatty() and typer.confirm(question, err=True)):
        raise BadInput("nothing was rejected: --yes answers the question")
    with session.screen.working("waiting for the block"):
        receipt = session.node.reject(number)
    session.screen.say(f"round {number}: the delivery is rejected")
    session.screen.result({"round": number, "transaction": receipt.transaction})


def payout(session: Session, number: RoundNumber) -> None:
    """Pay everybody in a settled round. Anyone may."""
    _pay(session, number, session.node.pay_out)


def refund(session: Session, number: RoundNumber) -> None:
    """Give everybody in a void round what is theirs, challengers too. Anyone may."""
    _pay(session, number, session.node.refund, _refund_challengers)


def _refund_challengers(session: Session, number: int) -> "list[Receipt]":
    from ..settlement import standing

    round_ = session.node.round(number)
    waiting = [each for each in standing(round_) if round_.challenges[each].refunded is None]
    return [session.signing.refund_challenge(number, each) for each in waiting]


def _pay(
    session: Session,
    number: int,
    pay: "Callable[[int], list[Receipt]]",
    then: "Callable[[Session, int], list[Receipt]]" = lambda session, number: [],
) -> None:
    node, money = session.node, session.money
    receipts = []
    with session.screen.working("paying"):
        round_, trail = node.round(number), node.history.trail(number)
        if len(trail.paid) < len(round_.participants) or trail.aggregator is None:
            receipts = pay(number)
        receipts += then(session, number)
    after = node.round(number)
    credits = node.history.trail(number).credits
    rows = [(index, each.account, credits.get(each.account, 0)) for index, each in enumerate(round_.participants)]
    session.screen.table(
        f"round {number}: everybody has what is theirs",
        [">participant", "account", ">credit"],
        [(index, session.screen.account(account), money.text(credit)) for index, account, credit in rows],
    )
    rewarded = [each for each in after.challenges if each.refunded is not None]
    for each in rewarded:
        session.screen.say(f"challenger {each.challenger}: {money.text(each.refunded or 0)}")
    session.screen.result(
        {
            "round": number,
            "transactions": [receipt.transaction for receipt in receipts],
            "credits": [{"index": index, "account": account, "credit": str(credit)} for index, account, credit in rows],
            "challengers": [{"account": each.challenger, "credit": str(each.refunded)} for each in rewarded],
        }
    )
