"""The loop of a node that runs by itself: look at the chain, take the most urgent step that is due, look again.

What is due follows from the chain and from files that are whole or not there (`steps.due`), so a node that was killed
goes on where the chain says it is. Nothing is remembered that could not be forgotten.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ..aggregator import Aggregator
from ..auditor import Auditor
from ..chain import Receipt
from ..codec import encode_excluded, encode_rows
from ..errors import ChainError, NodeError, NotFound, Reverted, SealError, TooLarge, UpdateError, WrongChain, WrongPhase
from ..ledger import Ledger
from ..node import BATCH, Node, spans
from ..phases import Phase, RoundState, phase_of
from ..policy import Book, Join, Policy, Refuse, Standing, decide, schedule
from ..records import Round, Terms
from ..settlement import standing
from ..terms import deposit_range
from ..trainer import Learned, Lesson, Trainer
from . import steps
from .meters import Meters
from .patience import Patience
from .steps import Me, Seen, Step, due, is_over, row_of
from .studies import ADOPTED, DELIVERED, OFFER, Studies

SKEW = 60
"""Seconds by which the chain's clock may differ from the machine's before it is said."""

PREPARE_SECONDS = 60
"""So often what was sent is compared with the chain while it is on its way."""

ALREADY = frozenset(("AlreadyCommitted", "AlreadyRevealed", "AlreadyRated", "SeedAlreadyDrawn"))
"""Refusals that say that a step was taken: by somebody else, or by this node before it was stopped."""

TRIES_BEFORE_REJECTING = 3
"""So often a delivery must have failed to come before the node says on chain that there is none."""

log = logging.getLogger("market_node.daemon")


class Daemon:
    """One account's node, in all the roles that its policy takes.

    Args:
        node: an `Aggregator` where the policy has that role.
        policy: what it does by itself.
        auditor: where the policy has that role.
        amount: writes base units for a person.
        mixing: n₀, as configured.
        training_folder: where the module of the owner's training is looked for first.
        clock: seconds, for waits between tries.
    """

    def __init__(
        self,
        node: Node,
        policy: Policy,
        auditor: Auditor | None = None,
        *,
        amount: Callable[[int], str] = "{} base units".format,
        mixing: int = 200,
        training_folder: str = "",
        meters: Meters | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.node, self.policy, self.auditor, self.amount = node, policy, auditor, amount
        self.chain = node.chain
        self.account = node.chain.account
        self.mixing, self.training_folder = mixing, training_folder
        self.meters = meters or Meters(policy.run.interval)
        self.ending = threading.Event()
        """Set, it ends the loop after the current step."""
        name = f"{self.chain.chain_id}-{self.chain.genesis.hex()[:8]}"
        self.studies = Studies(node.folder / "learning" / name / self.chain.market.lower())
        took = policy.participant
        self.trainer = Trainer(took.isolate, took.longest_training) if took else Trainer()
        self._patience, self._clock = Patience(policy.run.interval, clock), clock
        self._prepared: float | None = None
        """When what was sent was last compared with the chain."""
        self._head = -1
        self._states: dict[int, RoundState] = {}
        self._available = 0
        self._hopeless: set[int] = set()
        self._joining: dict[int, Join] = {}
        self._terms: Terms | None = None
        self._refused: dict[int, str] = {}
        """Round → why it is not joined, as it was said; 0 is the node's own next round."""
        self._skew_said = 0
        self._ended: set[int] = set()
        """Rounds whose end was said."""

    # --- the loop ---

    def run(self) -> None:
        """Goes on until `ending` is set.

        Raises:
            WrongChain: the endpoint serves another chain than at the start.
        """
        roles = " and ".join(self.roles)
        log.info("%s on market %s as %s", self.account, self.chain.market, roles)
        try:
            while not self.ending.is_set():
                if not self.look():
                    self.ending.wait(self.policy.run.interval)
        finally:
            self.trainer.close()
        log.info("ended, with nothing half done")

    @property
    def roles(self) -> tuple[str, ...]:
        """What the policy has it do."""
        taken = {
            "participant": self.policy.participant,
            "aggregator": self.policy.aggregator,
            "auditor": self.policy.auditor,
        }
        return tuple(role for role, policy in taken.items() if policy)

    def look(self) -> bool:
        """Looks once and takes one step. Returns whether it took one."""
        if self._patience.rests("look"):
            return False
        try:
            self._hear_lesson()
            seen, now, ledger = self._observe()
            self._audit()
            me = self._me(seen, now, ledger)
        except WrongChain:
            raise
        except Exception as error:
            self._fail("look", None, error)
            return False
        if self._patience.succeeded("look"):
            log.info("the chain answers again")
        self.meters.looked(self._head)
        todo = due(seen, me, now)
        self._patience.keep({"audit", self.trainer.running, *(step.key for step in todo)})
        for step in todo:
            if not self.ending.is_set() and not self._patience.rests(step.key) and self._take(step, now):
                return True
        return False

    def _take(self, step: Step, now: int) -> bool:
        """Takes a step, or says why it could not. Returns whether the market may look different now."""
        fields = {"step": step.kind, "round": step.round}
        if step.kind in _SENDS and self._is_in_flight():
            log.debug("a transaction of this account is on its way", extra=fields)
            return False
        try:
            done = _DO[step.kind](self, step)
        except WrongPhase:
            return False  # the phase has just ended
        except Reverted as error:
            if error.name in ALREADY:
                log.debug("%s: %s", step.kind, error.name, extra=fields)
            elif error.name == "SeedBlockTooRecent":
                return False  # the next block will do
            else:
                self._fail(step.key, step.until and step.until - now, error)
            return False
        except Exception as error:
            self._fail(step.key, step.until and step.until - now, error)
            return False
        if self._patience.succeeded(step.key):
            log.info("%s%s: works again", _of(step.round), step.kind, extra=fields)
        receipts = [each for each in (done if isinstance(done, list) else [done]) if isinstance(each, Receipt)]
        self.meters.step(step.kind, "done", sum(receipt.gas for receipt in receipts))
        for receipt in receipts:
            what = {**fields, "transaction": receipt.transaction, "gas": receipt.gas}
            log.info("%s%s", _of(step.round), _DID.get(step.kind, step.kind), extra=what)
        return True

    def _fail(self, key: Any, left: float | None, error: Exception | str) -> None:
        """Says a failure once, in one line."""
        kind, number = key if isinstance(key, tuple) else (key, 0)
        known = isinstance(error, NodeError | str | OSError)
        text = " ".join((str(error) if known else f"{type(error).__name__}: {error} (unexpected)").split())
        self.meters.step(kind, "failed")
        if self._patience.failed(key, text, left):
            log.log(
                logging.WARNING if known else logging.ERROR,
                "%s%s: %s",
                _of(number),
                kind,
                text,
                extra={"step": kind, "round": number},
            )
            if isinstance(error, Exception) and not known:
                log.debug("where that was", exc_info=error)

    # --- what it sees ---

    def _observe(self) -> tuple[list[Seen], int, Ledger]:
        """The rounds in which something may be due, the chain's time, and all that the logs tell."""
        if self._prepared is None:
            self._prepare()
        head = self.chain.block()
        if fresh := head != self._head:
            if self.chain.endpoint.genesis() != self.chain.genesis:
                raise WrongChain(
                    f"{self.chain.endpoint.name} serves another chain than before, with the same id: a development "
                    "chain was started anew, and its market is gone. Deploy one, write its address into the "
                    "configuration, and start the node again"
                )
            self._states = {}
            self._available = self.chain.available(self.account)
            self.meters.set("available_tokens", self._available / 10**self.chain.token.decimals)
        ledger = self.node.history.refresh()
        now = self.chain.now()
        self._compare_clocks(now, fresh)
        self._head = head
        seen = []
        for number, round_ in ledger.rounds.items():
            if number not in self._ended:
                if number not in self._states:
                    self._states[number] = self.chain.state(number)
                seen.append(Seen(round_, self._states[number], ledger.trails[number]))
        return seen, now, ledger

    def _compare_clocks(self, now: int, fresh: bool) -> None:
        """Says once where the machine's clock is not the chain's."""
        ahead = now - int(time.time())
        self.meters.set("clock_ahead_seconds", ahead)
        if ahead < 0 and not fresh:
            return  # the latest block of a quiet chain is old, and not every node shows what is pending
        if abs(ahead) <= SKEW:
            self._skew_said = 0
        elif abs(ahead - self._skew_said) > SKEW:
            self._skew_said = ahead
            way = "ahead of" if ahead > 0 else "behind"
            log.warning("the chain's clock is %d s %s this machine's; the chain's counts", abs(ahead), way)

    def _audit(self) -> None:
        if self.auditor is None or self._patience.rests("audit"):
            return
        looked = self.auditor.step()
        for line in looked.said:
            log.info("%s", line, extra={"step": "audit"})
        for line in looked.failed:
            self._fail("audit", None, line)
        if not looked.failed:
            self._patience.succeeded("audit")

    def _me(self, seen: list[Seen], now: int, ledger: Ledger) -> Me:
        """What the account is and has, and what its policy wants."""
        published = ledger.encryption_keys.get(self.account) == self.node.keys.public
        me = Me(self.account, self.roles, key_is_published=published, lesson=self.trainer.running)
        if self.policy.participant:
            numbers = [each.round.number for each in seen]
            judged = {number: learned for number in numbers if (learned := self.studies.judged(number))}
            me = replace(
                me,
                offers=frozenset(number for number in numbers if self.studies.has(number, OFFER)),
                fetched=frozenset(number for number in numbers if self.studies.has(number, DELIVERED)),
                judged={number: learned.rating for number, learned in judged.items()},
                hopeless=self._hopeless,
            )
            self._joining = self._decide(seen, me, now, ledger)
            me = replace(me, joining=frozenset(self._joining))
        self._forget_ended(seen, me, now, ledger)
        if self.policy.aggregator:
            self._terms = self._schedule(now, ledger)
        return replace(me, opens=self._terms is not None, withdraws=self._withdrawal() > 0)

    def _decide(self, seen: list[Seen], me: Me, now: int, ledger: Ledger) -> dict[int, Join]:
        policy = self.policy.participant
        assert policy is not None
        open_ = [
            each for each in seen if phase_of(each.state, now) == Phase.COMMIT and each.index(self.account) is None
        ]
        joining: dict[int, Join] = {}
        where = self._standing(ledger) if open_ else Standing(self._available)
        for each in open_:
            number = each.round.number
            decision = decide(policy, each.round, replace(where, trained=number in me.offers), now, self.amount)
            if isinstance(decision, Join):
                joining[number] = decision
            self._say_refusal(number, decision)
        return joining

    def _standing(self, ledger: Ledger) -> Standing:
        """Where the account stands: its money in this market's rounds so far, and what its aggregators did."""
        policy = self.policy.participant
        assert policy is not None
        spent = at_risk = joined = 0
        rejections: dict[str, int] = {}
        for number, round_ in ledger.rounds.items():
            rejected = sum(each.rejected for each in round_.participants)
            rejections[round_.aggregator] = rejections.get(round_.aggregator, 0) + rejected
            mine = next((each for each in enumerate(round_.participants) if each[1].account == self.account), None)
            if mine is None:
                continue
            joined += 1
            trail = ledger.trails[number]
            if mine[0] in trail.paid:
                spent += mine[1].deposit - trail.credits.get(self.account, 0)
            else:
                at_risk += min(mine[1].deposit, policy.value + deposit_range(round_.terms)[0])
        subscribed = [number for number, each in ledger.rounds.items() if each.terms.task in policy.tasks]
        newest = self.studies.newest(subscribed) if policy.stop_at_loss is not None else None
        loss = newest.learned.loss if newest and newest.learned else None
        return Standing(self._available, spent, at_risk, joined, rejections, loss)

    def _schedule(self, now: int, ledger: Ledger) -> Terms | None:
        policy = self.policy.aggregator
        assert policy is not None
        mine = {number: each for number, each in ledger.rounds.items() if each.aggregator == self.account}
        # A round has ended for its aggregator once its own side of it is settled.
        running = sum(ledger.trails[number].aggregator is None for number in mine)
        last = max((each.terms.commit_deadline for each in mine.values()), default=None)
        decision = schedule(policy, Book(len(mine), running, last, self._available), now, self.amount)
        if isinstance(decision, Terms):
            self._refused.pop(0, None)
            return decision
        if "fund" in decision.reason:  # the rest is the schedule, and no news
            self._say_refusal(0, decision)
        return None

    def _say_refusal(self, number: int, decision: Join | Refuse) -> None:
        if isinstance(decision, Join):
            self._refused.pop(number, None)
            return
        # Times and amounts in a reason change from look to look; its beginning tells it from another.
        kind = decision.reason[:24]
        if self._refused.get(number) != kind:
            self._refused[number] = kind
            what = "not joined" if number else "no round is opened"
            log.info("%s%s: %s", _of(number), what, decision.reason, extra={"step": "decide", "round": number})

    def _withdrawal(self) -> int:
        """What is above what the policies keep in the market, base units."""
        for policy in (self.policy.participant, self.policy.aggregator):
            if policy and policy.withdraw_above is not None and self._available > policy.withdraw_above:
                return self._available - policy.keep
        return 0

    def _forget_ended(self, seen: list[Seen], me: Me, now: int, ledger: Ledger) -> None:
        for each in seen:
            if not is_over(each, me, now):
                continue
            number = each.round.number
            self._ended.add(number)
            if (index := each.index(self.account)) is not None and each.trail.paid:
                net = each.trail.credits.get(self.account, 0) - each.round.participants[index].deposit
                came = f"{'gained' if net > 0 else 'paid'} {self.amount(abs(net))}"
                way = "void" if each.trail.refunded else "paid out"
                log.info("round %d: %s, %s", number, way, came, extra={"round": number, "net": str(net)})
            task = each.round.terms.task
            alike = [number for number, other in ledger.rounds.items() if other.terms.task == task]
            self.studies.prune([number for number in alike if number in self._ended], alike)
        self.meters.set("rounds_followed", len(ledger.rounds) - len(self._ended))

    # --- what it does: a method per step ---

    def _publish(self, step: Step) -> Receipt:
        return self.chain.set_encryption_key(self.node.keys.public)

    def _open(self, step: Step) -> Receipt | None:
        terms = self._terms
        assert terms is not None and isinstance(self.node, Aggregator)
        if not self.node.store.has(terms.task):
            raise NotFound(f"no store here has the task {terms.task.hex()}: make it with `market-node task create`")
        receipt, number = self.chain.open_round(terms)
        said = {"step": step.kind, "round": number, "transaction": receipt.transaction, "gas": receipt.gas}
        log.info("round %d: opened, %s locked as bond", number, self.amount(terms.bond), extra=said)
        self.meters.step(step.kind, "done", receipt.gas)
        return None

    def _train(self, step: Step) -> None:
        number, round_, policy = step.round, self.node.round(step.round), self.policy.participant
        assert policy is not None
        beginning = self._newest(round_)
        if beginning is not None and beginning.is_new:
            self.studies.offer_as_it_is(number, beginning)
            return
        self.node.task(round_)  # fetches the base checkpoint
        base = self.node.folder / "tasks" / f"{round_.terms.task.hex()}.safetensors"
        start = base if beginning is None else beginning.weights
        self._begin(step, start, OFFER)

    def _evaluate(self, step: Step) -> None:
        number, round_ = step.round, self.node.round(step.round)
        beginning = self._newest(round_)
        if beginning is None:
            raise NotFound("the model that was offered is gone, so there is nothing to mix the delivery with")
        sellers = len(row_of(Seen(round_, self._states[number], self.node.history.trail(number)), self.account))
        self._begin(step, beginning.weights, ADOPTED, str(self.studies.path(number, DELIVERED)), sellers)

    def _begin(self, step: Step, start: Any, what: str, delivered: str | None = None, sellers: int = 0) -> None:
        policy = self.policy.participant
        assert policy is not None
        out = str(self.studies.path(step.round, what))
        seed, trust = step.round, self.mixing
        lesson = Lesson(policy.training, self.training_folder, str(start), out, seed, delivered, sellers, trust)
        self.trainer.begin(step.key, lesson)
        log.info("round %d: training", step.round, extra={"step": step.kind, "round": step.round})

    def _newest(self, round_: Round) -> Any:
        rounds = self.node.history.ledger.rounds
        alike = [number for number, each in rounds.items() if each.terms.task == round_.terms.task]
        return self.studies.newest(alike)

    def _hear_lesson(self) -> None:
        """Takes note of a lesson that has ended."""
        if (told := self.trainer.outcome()) is None:
            return
        (kind, number), outcome = told
        if not isinstance(outcome, Learned):
            self._fail((kind, number), None, outcome)
            return
        self._patience.succeeded((kind, number))
        self.meters.step(f"{kind}ed" if kind == steps.TRAIN else "evaluated", "done")
        said = f"trained on {outcome.samples} samples in {outcome.seconds:.1f} s"
        if outcome.loss is not None and outcome.loss_before is not None:
            said += f", loss {outcome.loss_before:.4g} → {outcome.loss:.4g}"
        if kind == steps.EVALUATE:
            said += ", the own model kept" if outcome.kept_own else ", the delivery adopted"
        log.info("round %d: %s", number, said, extra={"step": kind, "round": number, "loss": outcome.loss})
        policy = self.policy.participant
        if policy is not None and outcome.samples < policy.samples:
            log.warning(
                "round %d: the policy claims %d samples, the training has %d", number, policy.samples, outcome.samples
            )

    def _commit(self, step: Step) -> None:
        join = self._joining[step.round]
        offer = self.studies.path(step.round, OFFER)
        index = self.node.commit(step.round, offer, join.bid, deposit=join.deposit)
        locked = self.amount(join.deposit)
        said = {"step": step.kind, "round": step.round}
        log.info("round %d: committed as participant %d, %s locked", step.round, index, locked, extra=said)

    def _draw(self, step: Step) -> Receipt:
        return self.node.draw(step.round)

    def _reveal(self, step: Step) -> Receipt:
        return self.node.reveal(step.round)

    def _settle(self, step: Step) -> None:
        assert isinstance(self.node, Aggregator)
        settlement = self.node.settle(step.round)
        sold = sum(map(len, settlement.rows))
        said = {"step": step.kind, "round": step.round}
        log.info("round %d: settled, %d sold, %d excluded", step.round, sold, len(settlement.excluded), extra=said)

    def _defend(self, step: Step) -> list[Receipt]:
        assert isinstance(self.node, Aggregator)
        return self.node.defend(step.round)

    def _fetch(self, step: Step) -> None:
        try:
            self.node.fetch(step.round, self.studies.path(step.round, DELIVERED))
        except (SealError, UpdateError, TooLarge) as error:
            # Its bytes are those that were posted, and they are no model: trying again cannot help.
            self._hopeless.add(step.round)
            log.warning("round %d: the delivery cannot be used: %s", step.round, error)
            return
        except NotFound:
            if self._patience.times(step.key) >= TRIES_BEFORE_REJECTING and self._is_late(step.round):
                self._hopeless.add(step.round)
                log.warning("round %d: the delivery did not come", step.round)
            raise
        log.info("round %d: fetched what was bought", step.round, extra={"step": step.kind, "round": step.round})

    def _is_late(self, number: int) -> bool:
        """Whether three quarters of the challenge phase have passed: who only waits could no longer reject."""
        state = self._states[number]
        return self.chain.now() >= state.settle_time + state.terms.challenge_time * 3 // 4

    def _rate(self, step: Step) -> Receipt | None:
        judged = self.studies.judged(step.round)
        return self.node.rate(step.round, judged.rating) if judged and judged.rating is not None else None

    def _reject(self, step: Step) -> Receipt:
        return self.node.reject(step.round)

    def _pay_out(self, step: Step) -> list[Receipt]:
        round_ = self.node.round(step.round)
        if round_.settlement is None:
            raise ChainError("its settlement is not deep enough yet")
        rows = encode_rows(round_.settlement.rows)
        excluded = encode_excluded(round_.settlement.excluded, len(round_.participants))
        return [self.chain.pay_out(step.round, rows, excluded, *span) for span in self._unpaid(round_)]

    def _refund(self, step: Step) -> list[Receipt]:
        round_ = self.node.round(step.round)
        receipts = [self.chain.refund(step.round, *span) for span in self._unpaid(round_)]
        waiting = [each for each in standing(round_) if round_.challenges[each].refunded is None]
        return receipts + [self.chain.refund_challenge(step.round, each) for each in waiting]

    def _unpaid(self, round_: Round) -> list[tuple[int, int]]:
        """The batches in which somebody has not been paid; the first one where only the aggregator has not."""
        paid = self.node.history.trail(round_.number).paid
        batches = list(spans(round_, BATCH))
        return [each for each in batches if not paid.issuperset(range(*each))] or batches[:1]

    def _withdraw(self, step: Step) -> Receipt:
        return self.chain.withdraw(self._withdrawal())

    def _is_in_flight(self) -> bool:
        """Whether something that this account has sent is not as deep yet as the logs were read.

        What is due was derived without it, so it could be sent twice.
        """
        endpoint, read = self.chain.endpoint, max(0, self.node.history.block)
        if endpoint.nonce(self.account, "pending") <= endpoint.nonce(self.account, hex(read)):
            return False
        if self._prepared is None or self._clock() > self._prepared + PREPARE_SECONDS:
            self._prepare()
        return True

    def _prepare(self) -> None:
        """Keeps the key for this process, and sends again what may have got lost before or since."""
        self.chain.prepare()
        self._prepared = self._clock()


_DO: Mapping[str, Callable[[Daemon, Step], Any]] = {
    steps.PUBLISH: Daemon._publish,
    steps.OPEN: Daemon._open,
    steps.TRAIN: Daemon._train,
    steps.COMMIT: Daemon._commit,
    steps.DRAW: Daemon._draw,
    steps.REVEAL: Daemon._reveal,
    steps.SETTLE: Daemon._settle,
    steps.DEFEND: Daemon._defend,
    steps.FETCH: Daemon._fetch,
    steps.EVALUATE: Daemon._evaluate,
    steps.RATE: Daemon._rate,
    steps.REJECT: Daemon._reject,
    steps.PAY_OUT: Daemon._pay_out,
    steps.REFUND: Daemon._refund,
    steps.WITHDRAW: Daemon._withdraw,
}

_SENDS = frozenset(_DO) - {steps.TRAIN, steps.FETCH, steps.EVALUATE}
"""Steps that send a transaction."""

_DID = {
    steps.PUBLISH: "encryption key published",
    steps.DRAW: "drew the seed, or chose its block",
    steps.REVEAL: "revealed",
    steps.DEFEND: "refuted a false challenge",
    steps.RATE: "rated the delivery",
    steps.REJECT: "rejected the delivery",
    steps.PAY_OUT: "paid everybody",
    steps.REFUND: "refunded everybody",
    steps.WITHDRAW: "withdrew what was above the threshold",
}


def _of(number: int) -> str:
    return f"round {number}: " if number else ""
