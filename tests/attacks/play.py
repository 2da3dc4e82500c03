"""What the attacks share: a market with named people, a round played step by step, and how an attack is told."""

import inspect
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from market_node.chain import Chain, Receipt
from market_node.codec import encode_excluded, encode_rows, seal_bid
from market_node.deploy import deploy, mint
from market_node.devnet import Devnet
from market_node.errors import Reverted, WrongPhase
from market_node.history import History
from market_node.judge import BidRecord, Proof, proof, record, refutation
from market_node.records import LEAST_REPUTATION, Bid, Model, Participant, Purchase, Reveal, Round, Row, Settlement
from market_node.settlement import reveals_hash, settle
from tests.integration.stage import BID, DEPOSIT, MODEL, PHASE, SALT, SKETCH, terms

__all__ = [
    "BID",
    "DEPOSIT",
    "FORTUNE",
    "MODEL",
    "PHASE",
    "SALT",
    "SKETCH",
    "Game",
    "Story",
    "Town",
    "overcharged",
    "plain_round",
    "refused",
    "tell",
]

FORTUNE = 1 << 60
"""What everybody has available at first, base units."""


@dataclass(frozen=True)
class Story:
    """How an attack went, for the table in README.md."""

    outcome: str
    """What stops it, or what it wins."""
    cost: str
    """To whoever tries, computed from the run."""
    table: str = ""
    """Figures that need more than a sentence."""


def tell(attack: Callable[[], Story]) -> None:
    """Prints one attack: what its module says of it, and what happened."""
    story = attack()
    print(inspect.getdoc(sys.modules[attack.__module__]))
    for text in ("Outcome: " + story.outcome, "Cost: " + story.cost):
        print("\n" + textwrap.fill(text, 120))
    if story.table:
        print("\n" + story.table)


def plain_round(n: int, bid: Bid = BID, **changes: Any) -> Round:
    """A round of n equal participants, for `tests.evm`, where hundreds of calls take no time."""
    participant = Participant("", DEPOSIT, model=MODEL, reveal=Reveal(bid, LEAST_REPUTATION, MODEL, SKETCH))
    return Round(0, "", terms(0, **changes), participants=(participant,) * n, reveal_order=tuple(range(n)))


def overcharged(round: Round, buyer: int = 0, extra: int = 1) -> Settlement:
    """The round's settlement but for one price, which is too high: the aggregator's theft, small or large."""
    true = settle(round, frozenset())
    rows = list(true.rows)
    first, *others = rows[buyer]
    rows[buyer] = (Purchase(first.seller, first.price + extra), *others)
    return replace(true, rows=tuple(rows))


def refused(action: Callable[..., object], *arguments: object) -> str:
    """The name of the error with which the contracts refuse something; an action that is let through is a failure."""
    try:
        action(*arguments)
    except WrongPhase:
        return "WrongPhase"
    except Reverted as error:
        return error.name
    raise AssertionError("nobody refused it")


class Town:
    """A market on a chain of its own. Whoever is named is there, with a balance and an encryption key.

    Args:
        token: what it trades in, given the chain; by default play money.
    """

    def __init__(self, token: Callable[[Devnet], str] | None = None) -> None:
        self.devnet = Devnet(accounts=40)
        self.deployment = deploy(
            self.devnet.provider, self.devnet.accounts[0], token and token(self.devnet), min_phase=60
        )
        self.people: dict[str, Chain] = {}
        self.reader = History(Chain(self.devnet.provider, self.deployment.market))

    def __getattr__(self, name: str) -> Chain:
        if name.startswith("_"):
            raise AttributeError(name)
        if name not in self.people:
            self.people[name] = self.newcomer()
            mint(
                self.devnet.provider,
                self.devnet.accounts[0],
                self.deployment.token,
                self.people[name].account,
                FORTUNE,
            )
            self.people[name].fund(FORTUNE)
            self.people[name].set_encryption_key(name.encode().ljust(32, b"\1"))
        return self.people[name]

    def newcomer(self) -> Chain:
        """The next account: ether, and nothing else. It needs a place among `people` to be counted."""
        account = self.devnet.accounts[len(self.people)]
        return Chain(self.devnet.provider, self.deployment.market, account)

    def many(self, name: str, count: int) -> list[Chain]:
        """Several people: mallory0, mallory1 …"""
        return [getattr(self, f"{name}{i}") for i in range(count)]

    def wealth(self, *names: str) -> dict[str, int]:
        """What everybody has available, base units; `names` enter if they are not there yet."""
        for name in names:
            getattr(self, name)
        return {name: chain.available(chain.account) for name, chain in self.people.items()}

    def gains(self, before: Mapping[str, int]) -> dict[str, int]:
        """Who has more or less than before, base units."""
        now = self.wealth()
        return {name: now[name] - was for name, was in before.items() if now[name] != was}

    def is_solvent(self) -> bool:
        """Whether the escrow holds what it owes, to the unit."""
        any_of_them = next(iter(self.people.values()))
        pots = sum(any_of_them.pot(number + 1) for number in range(any_of_them.round_count()))
        owed = sum(self.wealth().values()) + pots + any_of_them.burnt()
        return any_of_them.token.balance(any_of_them.escrow) == owed


@dataclass
class Player:
    """Somebody in a round, and what it has committed to."""

    chain: Chain
    bid: Bid
    sketch: bytes
    model: Model


@dataclass
class Game:
    """A round, one step after the other. By default the operator's; `changes` are to its terms."""

    town: Town
    aggregator: Chain | None = None
    changes: dict[str, Any] = field(default_factory=dict)
    players: list[Player] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.aggregator = self.aggregator or self.town.operator
        self.terms = terms(self.town.devnet.now(), **self.changes)
        self.number = self.aggregator.open_round(self.terms)[1]

    def commit(self, chain: Chain, bid: Bid = BID, sketch: bytes = SKETCH, deposit: int = DEPOSIT) -> Receipt:
        sealed = seal_bid(chain.market, chain.chain_id, self.number, chain.account, bid, SALT)
        receipt, _ = chain.commit(self.number, sealed, MODEL, deposit)
        self.players.append(Player(chain, bid, sketch, MODEL))
        return receipt

    def enter(self, *chains: Chain, **changes: Any) -> "Game":
        """They commit, with `changes` to the plain bid."""
        for chain in chains:
            self.commit(chain, replace(BID, **changes))
        return self

    def draw(self) -> "Game":
        """Commits close, and somebody draws the seed."""
        self.town.devnet.warp(PHASE)
        self.aggregator.draw_seed(self.number)
        self.aggregator.draw_seed(self.number)
        return self

    def reveal_one(self, index: int, sealed_key: bytes = b"\7" * 80) -> Receipt:
        player, seed = self.players[index], self.aggregator.state(self.number).seed
        rest = (player.bid, SALT, player.model, player.sketch, sealed_key)
        return player.chain.reveal(self.number, index, seed, *rest)

    def reveal(self, *indices: int) -> "Game":
        """By default everybody; then reveals close."""
        for index in indices or range(len(self.players)):
            self.reveal_one(index)
        return self.close()

    def close(self) -> "Game":
        """The phase ends."""
        self.town.devnet.warp(PHASE)
        return self

    @property
    def round(self) -> Round:
        self.town.reader.refresh()
        return self.town.reader.round(self.number)

    def true_rows(self, excluded: frozenset[int] = frozenset()) -> list[Row]:
        return list(settle(self.round, excluded).rows)

    def settle(self, rows: Sequence[Row] | None = None, excluded: frozenset[int] = frozenset()) -> "Game":
        """By default rightly."""
        rows = self.true_rows(excluded) if rows is None else rows
        words = encode_excluded(excluded, len(self.players))
        self.posted = (encode_rows(rows), words)
        self.aggregator.settle(self.number, reveals_hash(self.round), *reversed(self.posted), bytes(32))
        return self

    def overcharge(self, buyer: int = 0, extra: int = 1) -> "Game":
        """Settles with one price that is too high."""
        return self.settle(overcharged(self.round, buyer, extra).rows)

    # --- the dispute ---

    def proof(self, buyer: int, listed: Sequence[int] | None = None) -> Proof:
        """What a challenge of the buyer's row says; with another list than the true one where `listed` names it."""
        round_ = self.round
        true = proof(round_, buyer)
        return true if listed is None else replace(true, listed=tuple(record(round_, each) for each in listed))

    def challenge(self, chain: Chain, buyer: int, listed: Sequence[int] | None = None) -> Receipt:
        return chain.challenge(self.number, self.proof(buyer, listed))[0]

    def record(self, index: int) -> BidRecord:
        return record(self.round, index)

    def refute(self, chain: Chain, challenge: int) -> Receipt:
        """With what is true."""
        round_ = self.round
        answer = refutation(round_, round_.challenges[challenge].claim)
        assert answer is not None, "the challenge is true"
        return chain.refute(self.number, challenge, answer)

    # --- the money ---

    def pay_out(self, *spans: tuple[int, int]) -> "Game":
        """By default everybody, by the aggregator."""
        for start, end in spans or ((0, len(self.players)),):
            self.aggregator.pay_out(self.number, *self.posted, start, end)
        return self

    def refund(self) -> Receipt:
        return self.aggregator.refund(self.number, 0, len(self.players))
