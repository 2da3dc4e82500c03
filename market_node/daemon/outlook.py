"""What a node sees when it looks: the rounds in which something may be due, and where it stands itself."""

import logging
import time
from collections.abc import Callable, Collection
from dataclasses import replace

from ..decisions import Book, Join, Refuse, Standing, decide, rejections, schedule
from ..errors import WrongChain
from ..ledger import Ledger
from ..node import Node
from ..phases import Phase, RoundState, phase_of
from ..policy import Policy
from ..records import Round, Terms
from ..terms import deposit_range
from .meters import Meters
from .steps import Me, Seen, is_over
from .studies import DELIVERED, OFFER, Studies

SKEW = 60
"""Seconds by which the chain's clock may differ from the machine's before it is said."""

SAME = 24
"""Characters by which a refusal is told from another: the amounts and times after them change from look to look."""

log = logging.getLogger("market_node.daemon")


class Outlook:
    """The market as one node sees it, and its policy's word on it.

    Args:
        amount: writes base units for a person.
    """

    def __init__(
        self, node: Node, policy: Policy, studies: Studies, meters: Meters, amount: Callable[[int], str]
    ) -> None:
        self.node, self.chain, self.policy = node, node.chain, policy
        self.studies, self.meters, self.amount = studies, meters, amount
        self.account = node.chain.account
        self.head = -1
        self.now = 0
        """Seconds since the epoch, on the chain."""
        self.available = 0
        self.seen: list[Seen] = []
        self.joining: dict[int, Join] = {}
        """Rounds that the policy joins, and how."""
        self.opening: Terms | None = None
        """The round that the schedule opens now."""
        self._states: dict[int, RoundState] = {}
        self.ended: dict[int, Round] = {}
        """Rounds in which nothing can become due any more, as they were then."""
        self._refused: dict[int, str] = {}
        """Round → why it is not joined, as it was said; 0 is the node's own next round."""
        self._skew_said = 0

    @property
    def roles(self) -> tuple[str, ...]:
        """What the policy has the node do."""
        taken = {
            "participant": self.policy.participant,
            "aggregator": self.policy.aggregator,
            "auditor": self.policy.auditor,
        }
        return tuple(role for role, policy in taken.items() if policy)

    @property
    def ledger(self) -> Ledger:
        """All that the logs tell, as of the last look."""
        return self.node.history.ledger

    @property
    def withdrawal(self) -> int:
        """What is above what the policies keep in the market, base units."""
        for policy in (self.policy.participant, self.policy.aggregator):
            if policy and policy.withdraw_above is not None and self.available > policy.withdraw_above:
                return self.available - policy.keep
        return 0

    def of(self, number: int) -> Seen:
        """A round as of the last look."""
        return next(each for each in self.seen if each.round.number == number)

    def alike(self, task: bytes) -> list[int]:
        """The rounds of a task."""
        return [number for number, each in self.ledger.rounds.items() if each.terms.task == task]

    # --- what the account has published ---

    def own(self) -> list[Round]:
        """The rounds in which the account takes or took part, or that it has opened."""
        return [each for each in self.ledger.rounds.values() if self._takes_part(each)]

    def paid(self) -> frozenset[int]:
        """Rounds in which everybody has what is theirs."""
        rounds, trails = self.ledger.rounds, self.ledger.trails
        return frozenset(
            number
            for number, trail in trails.items()
            if trail.aggregator is not None and len(trail.paid) == len(rounds[number].participants)
        )

    def phases(self) -> dict[int, Phase]:
        """In which phase each round is, or was when it was over."""
        seen = {each.round.number: phase_of(each.state, self.now) for each in self.seen}
        refunded = {number: trail.refunded for number, trail in self.ledger.trails.items() if number in self.ended}
        return seen | {number: Phase.VOID if void else Phase.PAYOUT for number, void in refunded.items()}

    # --- the chain ---

    def look(self) -> None:
        """Sees what the chain tells now.

        Raises:
            WrongChain: the endpoint serves another chain than at the start.
            ChainError, Unreachable.
        """
        head = self.chain.block()
        if fresh := head != self.head:
            if self.chain.endpoint.genesis() != self.chain.genesis:
                raise WrongChain(
                    f"{self.chain.endpoint.name} serves another chain than before, with the same id: a development "
                    "chain was started anew, and its market is gone. Deploy one, write its address into the "
                    "configuration, and start the node again"
                )
            self._states = {}
            self.available = self.chain.available(self.account)
            self.meters.set("available_tokens", self.available / 10**self.chain.token.decimals)
        ledger = self.node.history.refresh()
        self.now = self.chain.now()
        self._compare_clocks(fresh)
        self.head = head
        self.seen = []
        for number, round_ in ledger.rounds.items():
            if not self._is_over(number, round_):
                if number not in self._states:
                    self._states[number] = self.chain.state(number)
                self.seen.append(Seen(round_, self._states[number], ledger.trails[number]))
        self.meters.looked(head)
        self.meters.set("rounds_followed", len(self.seen))

    def _is_over(self, number: int, round_: Round) -> bool:
        """Whether nothing can become due in a round any more.

        A round of others is let go once its commits are closed. A node that lags, or one that stood in for another, may
        have hidden the account's own commit until then: so what it tells later of such a round counts.
        """
        then = self.ended.get(number)
        if then is None or then is round_ or self._takes_part(then) or not self._takes_part(round_):
            return then is not None
        del self.ended[number]
        return False

    def _takes_part(self, round_: Round) -> bool:
        return self.account == round_.aggregator or any(one.account == self.account for one in round_.participants)

    def _compare_clocks(self, fresh: bool) -> None:
        """Says once where the machine's clock is not the chain's."""
        ahead = self.now - int(time.time())
        self.meters.set("clock_ahead_seconds", ahead)
        if ahead < 0 and not fresh:
            return  # the latest block of a quiet chain is old, and not every node shows what is pending
        if abs(ahead) <= SKEW:
            self._skew_said = 0
        elif abs(ahead - self._skew_said) > SKEW:
            self._skew_said = ahead
            way = "ahead of" if ahead > 0 else "behind"
            log.warning("the chain's clock is %d s %s this machine's; the chain's counts", abs(ahead), way)

    # --- the node itself ---

    def me(self, lesson: tuple[str, int] | None, hopeless: Collection[int]) -> Me:
        """What the account is and has, and what its policy wants."""
        published = self.ledger.encryption_keys.get(self.account) == self.node.keys.public
        me = Me(self.account, self.roles, key_is_published=published, lesson=lesson, hopeless=hopeless)
        if self.policy.participant:
            numbers = [each.round.number for each in self.seen]
            judged = {number: learned for number in numbers if (learned := self.studies.judged(number))}
            me = replace(
                me,
                offers=frozenset(number for number in numbers if self.studies.has(number, OFFER)),
                fetched=frozenset(number for number in numbers if self.studies.has(number, DELIVERED)),
                judged={number: learned.rating for number, learned in judged.items()},
            )
            self.joining = self._decide(me)
            me = replace(me, joining=frozenset(self.joining))
        self._close(me)
        if self.policy.aggregator:
            self.opening = self._schedule()
        return replace(me, opens=self.opening is not None, withdraws=self.withdrawal > 0)

    def _decide(self, me: Me) -> dict[int, Join]:
        policy = self.policy.participant
        assert policy is not None
        takes = [
            each
            for each in self.seen
            if phase_of(each.state, self.now) == Phase.COMMIT and each.index(self.account) is None
        ]
        joining: dict[int, Join] = {}
        where = self._standing() if takes else Standing(self.available)
        for each in takes:
            number = each.round.number
            standing = replace(where, trained=number in me.offers)
            decision = decide(policy, each.round, standing, self.now, self.amount)
            if isinstance(decision, Join):
                joining[number] = decision
            self._say_refusal(number, decision)
        return joining

    def _standing(self) -> Standing:
        """Where the account stands: its money in this market's rounds so far, and what their aggregators did."""
        policy = self.policy.participant
        assert policy is not None
        spent = at_risk = joined = 0
        for number, round_ in self.ledger.rounds.items():
            for index, mine in enumerate(round_.participants):
                if mine.account != self.account:
                    continue
                joined += 1
                trail = self.ledger.trails[number]
                if index in trail.paid:
                    spent += mine.deposit - trail.credits.get(self.account, 0)
                else:
                    at_risk += min(mine.deposit, policy.value + deposit_range(round_.terms)[0])
        newest = None
        if policy.stop_at_loss is not None:
            newest = self.studies.newest(number for task in policy.tasks for number in self.alike(task))
        loss = newest.learned.loss if newest else None
        return Standing(self.available, spent, at_risk, joined, rejections(self.ledger.rounds.values()), loss)

    def _schedule(self) -> Terms | None:
        policy = self.policy.aggregator
        assert policy is not None
        mine = {number: each for number, each in self.ledger.rounds.items() if each.aggregator == self.account}
        # A round has ended for its aggregator once its own side of it is settled.
        running = sum(self.ledger.trails[number].aggregator is None for number in mine)
        last = max((each.terms.commit_deadline for each in mine.values()), default=None)
        decision = schedule(policy, Book(len(mine), running, last, self.available), self.now, self.amount)
        if isinstance(decision, Terms):
            self._refused.pop(0, None)
            return decision
        if "fund" in decision.reason:  # all else is the schedule, and no news
            self._say_refusal(0, decision)
        return None

    def _say_refusal(self, number: int, decision: Join | Refuse) -> None:
        if isinstance(decision, Join):
            self._refused.pop(number, None)
        elif self._refused.get(number) != decision.reason[:SAME]:
            self._refused[number] = decision.reason[:SAME]
            what = f"round {number}: not joined" if number else "no round is opened"
            log.info("%s: %s", what, decision.reason, extra={"step": "decide", "round": number})

    def _close(self, me: Me) -> None:
        """Says how rounds ended, and lets go of them."""
        for each in self.seen:
            if not is_over(each, me, self.now):
                continue
            number = each.round.number
            self.ended[number] = each.round
            index = each.index(self.account)
            if index is None:
                continue
            net = each.trail.credits.get(self.account, 0) - each.round.participants[index].deposit
            came = f"{'gained' if net > 0 else 'paid'} {self.amount(abs(net))}"
            way = "void" if each.trail.refunded else "paid out"
            log.info("round %d: %s, %s", number, way, came, extra={"round": number, "net": str(net)})
            alike = self.alike(each.round.terms.task)
            self.studies.prune([number for number in alike if number in self.ended], alike)
