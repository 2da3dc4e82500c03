"""`round open`, `settle` and `refute`: what an aggregator does."""

from typing import TYPE_CHECKING, Annotated

import typer

from ..amounts import Money, clock, parse_duration, parse_fraction
from ..digests import parse_digest
from ..errors import BadInput
from ..recommended import TYPICAL_SAMPLES, TYPICAL_VALUE, recommended
from .app import RoundNumber, command, group
from .session import Session

if TYPE_CHECKING:
    from ..records import Terms

LONGEST_PHASE = 30 * 86_400
"""Seconds."""

round_ = group(
    "round",
    """Open rounds, as their aggregator.

\b
  $ market-node round open 5f0c…9a --commit 10m --challenge 10m
  $ market-node round open 5f0c…9a --size middle --typical-value 40 --typical-samples 2000
  $ market-node round open 5f0c…9a --fee 0.5 --reveal-bond 20 --max-sellers 4
""",
)


def add_to(app: typer.Typer) -> None:
    """Adds this file's commands."""
    command(app, "settle", "Run a round")(settle)
    command(app, "refute", "Run a round")(refute)


@command(round_, "open")
def open_(
    session: Session,
    task: Annotated[str, typer.Argument(metavar="TASK", help="The task's digest or CID: see `task create`.")],
    *,
    commit: Annotated[str, typer.Option(metavar="TIME", help="For how long bids are taken, from now.")] = "1h",
    draw: Annotated[str, typer.Option(metavar="TIME", help="For how long the seed can be drawn.")] = "1h",
    reveal: Annotated[str, typer.Option(metavar="TIME", help="For how long bids can be revealed.")] = "1h",
    settle: Annotated[str, typer.Option(metavar="TIME", help="In what time you settle, or lose the bond.")] = "1h",
    challenge: Annotated[str, typer.Option(metavar="TIME", help="How long buyers and auditors have to look.")] = "1d",
    refute: Annotated[str, typer.Option(metavar="TIME", help="How long a challenge can be refuted.")] = "1d",
    size: Annotated[
        str | None,
        typer.Option(
            metavar="small|middle|large",
            help="For whom the other terms are proposed: about 10, 100 or 1,000 participants.",
            show_default="by --max-participants, else small",
        ),
    ] = None,
    typical_value: Annotated[
        str, typer.Option(metavar="TOKENS", help="What a perfect model is worth to the participant in the middle.")
    ] = str(TYPICAL_VALUE),
    typical_samples: Annotated[
        int, typer.Option(metavar="N", min=1, help="How many samples the participant in the middle has.")
    ] = TYPICAL_SAMPLES,
    fee: Annotated[
        str | None,
        typer.Option(
            metavar="TOKENS", help="What each participant pays you.", show_default="a share of --typical-value"
        ),
    ] = None,
    reveal_bond: Annotated[
        str | None,
        typer.Option(
            metavar="TOKENS",
            help="What who does not reveal loses; 16 of them are the largest deposit.",
            show_default="a share of --typical-value",
        ),
    ] = None,
    bond: Annotated[
        str | None,
        typer.Option(metavar="TOKENS", help="What you lock.", show_default="16 reveal bonds, the least"),
    ] = None,
    max_samples: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="What an account of full reputation is believed; a newcomer 1/32 of it.",
            show_default="a multiple of --typical-samples",
        ),
    ] = None,
    floor: Annotated[
        str | None,
        typer.Option(metavar="0…1", help="Cosine of two updates that counts as none.", show_default="by --size"),
    ] = None,
    max_sellers: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, max=32, help="From how many sellers each can buy.", show_default="by --size"),
    ] = None,
    max_participants: Annotated[
        int | None, typer.Option(metavar="N", min=2, max=1024, help="How many can commit.", show_default="by --size")
    ] = None,
) -> None:
    """Open a round and lock its bond.

    Terms that you leave out are proposed by `--size`, from what simulated markets have shown (docs/economics.md):
    amounts follow what a model is worth, maxSamples how many samples people have.
    """
    from ..records import Terms
    from ..terms import BOND_FACTOR

    digest, money = parse_digest(task, "TASK"), session.money
    if not session.store.has(digest):
        raise BadInput(f"no store here has the task {digest.hex()}: make it with `market-node task create`")
    commit_time = parse_duration(commit, "--commit")
    proposed, value = recommended(size, max_participants), money.units(typical_value, "--typical-value")

    def units(given: str | None, otherwise: int, name: str) -> int:
        return otherwise if given is None else money.units(given, name)

    bond_units = units(reveal_bond, proposed.reveal_bond_for(value), "--reveal-bond")
    terms = Terms(
        task=digest,
        fee=units(fee, proposed.fee_for(value), "--fee"),
        reveal_bond=bond_units,
        bond=BOND_FACTOR * bond_units if bond is None else money.units(bond, "--bond"),
        max_samples=max_samples or proposed.max_samples_for(typical_samples),
        similarity_floor=parse_fraction(floor or proposed.floor_text, "--floor"),
        max_sellers=max_sellers or proposed.max_sellers,
        max_participants=max_participants or proposed.max_participants,
        commit_deadline=session.chain.now() + commit_time,
        draw_time=parse_duration(draw, "--draw"),
        reveal_time=parse_duration(reveal, "--reveal"),
        settle_time=parse_duration(settle, "--settle"),
        challenge_time=parse_duration(challenge, "--challenge"),
        refute_time=parse_duration(refute, "--refute"),
    )
    _check(terms, commit_time, session.chain.min_phase(), money)
    available = session.chain.available(session.signing.account)
    if available < terms.bond:
        raise BadInput(
            f"the bond is {money.text(terms.bond)} and {money.text(available)} are available: fund the account first"
        )
    with session.screen.working("waiting for the block"):
        session.publish_key()
        _, number = session.signing.open_round(terms)
    session.screen.say(f"round {number} is open: bids until {clock(terms.commit_deadline)}", style="bold")
    session.screen.say(f"locked as bond: {money.text(terms.bond)}")
    session.screen.result(
        {
            "round": number,
            "aggregator": session.signing.account,
            "commit_deadline": terms.commit_deadline,
            "bond": str(terms.bond),
        }
    )


def _check(terms: "Terms", commit_time: int, shortest: int, money: Money) -> None:
    """Says in tokens and options what the contract would refuse."""
    from ..records import ONE
    from ..terms import BOND_FACTOR, MOST_PURCHASES

    lengths = {
        "--commit": commit_time,
        "--draw": terms.draw_time,
        "--reveal": terms.reveal_time,
        "--settle": terms.settle_time,
        "--challenge": terms.challenge_time,
        "--refute": terms.refute_time,
    }
    for name, length in lengths.items():
        if not shortest <= length <= LONGEST_PHASE:
            raise BadInput(f"{name}: this market's phases take {shortest} s … 30 days, not {length} s")
    if terms.reveal_bond == 0:
        raise BadInput("--reveal-bond: must be above 0, or nobody has to reveal")
    if terms.bond < BOND_FACTOR * terms.reveal_bond:
        raise BadInput(f"--bond: must be at least 16 reveal bonds, {money.text(BOND_FACTOR * terms.reveal_bond)}")
    if terms.similarity_floor >= ONE:
        raise BadInput("--floor: must be below 1, or no two models are alike")
    if terms.max_participants * terms.max_sellers > MOST_PURCHASES:
        raise BadInput(f"--max-participants × --max-sellers must be {MOST_PURCHASES} at most: one transaction settles")


def settle(
    session: Session,
    number: RoundNumber,
    *,
    device: Annotated[
        str, typer.Option(metavar="cpu|cuda", help="Where models are combined; the bytes are the same.")
    ] = "cpu",
) -> None:
    """Combine the models and post who buys what at which price.

    Models that fail a check are excluded, with the reason in the delivery list.
    """
    with session.screen.working("combining models"):
        aggregator = session.aggregator
        aggregator.device = _device(device)
        settlement = aggregator.settle(number)
    money = session.money
    trades = [(buyer, purchase) for buyer, row in enumerate(settlement.rows) for purchase in row]
    sold, excluded = len(trades), len(settlement.excluded)
    session.screen.say(f"round {number} is settled: {sold} models sold, {excluded} excluded", style="bold")
    if trades:
        rows = [(buyer, each.seller, money.text(each.price)) for buyer, each in trades]
        session.screen.table("", [">buyer", ">seller", ">price"], rows)
    session.screen.result(
        {
            "round": number,
            "excluded": sorted(settlement.excluded),
            "purchases": [{"buyer": buyer, "seller": each.seller, "price": str(each.price)} for buyer, each in trades],
        }
    )


def refute(session: Session, number: RoundNumber) -> None:
    """Refute every false challenge of a round, for its bond. Anyone may.

    One that is true cannot be refuted: the round will be void.
    """
    from ..auditor import defend
    from ..chain import require_phase
    from ..phases import Phase
    from ..settlement import standing

    if session.chain.phase(number) != Phase.CHALLENGE:
        require_phase(session.chain, number, Phase.REFUTE)
    chain = session.signing
    with session.screen.working("refuting"):
        receipts = defend(chain, session.history, number)
        session.history.refresh()
    left = standing(session.history.round(number))
    session.screen.say(f"round {number}: {len(receipts)} challenges refuted", style="bold")
    if left:
        session.screen.say("still open: " + ", ".join(map(str, left)))
    transactions = [receipt.transaction for receipt in receipts]
    session.screen.result({"round": number, "transactions": transactions, "open": list(left)})


def _device(name: str) -> str:
    import torch

    if name != "cpu" and not (name == "cuda" and torch.cuda.is_available()):
        raise BadInput(f"--device: torch has no {name!r} here; `cpu` gives the same bytes")
    return name
