"""The steps that a node takes by itself: a method each, by the kind of step."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..aggregator import Aggregator
from ..chain import Receipt
from ..claim import FIELD
from ..codec import encode_excluded, encode_rows
from ..errors import (
    ChainError,
    Misshapen,
    NotFound,
    SealError,
    StorageError,
    TooLarge,
    UnknownVersion,
    UpdateError,
)
from ..node import BATCH, spans
from ..records import Round
from ..settlement import standing
from ..trainer import Learned, Lesson, Trainer, read_learned
from . import steps
from .outlook import Outlook
from .patience import Patience
from .steps import Step, row_of
from .studies import ADOPTED, DELIVERED, MODEL, OFFER, Beginning

TRIES_BEFORE_REJECTING = 3
"""So often a delivery must have failed to come before the node says on chain that there is none."""

log = logging.getLogger("market_node.daemon")


@dataclass(frozen=True, slots=True)
class Done:
    """What a step came to: in words where there is something to say, and its transactions."""

    said: str = ""
    receipts: tuple[Receipt, ...] = ()
    round: int = 0
    """Of the round that it opened."""


class Deeds:
    """Takes steps.

    Args:
        outlook: what the node sees.
        mixing: n₀, as configured.
        training_folder: where the module of the owner's training is looked for first.
        patience: how often what has failed.
    """

    def __init__(self, outlook: Outlook, mixing: int, training_folder: str, patience: Patience) -> None:
        self.outlook, self.node, self.chain = outlook, outlook.node, outlook.chain
        self.studies, self.policy, self.amount = outlook.studies, outlook.policy, outlook.amount
        self.mixing, self.training_folder, self.patience = mixing, training_folder, patience
        took = self.policy.participant
        self.trainer = Trainer(took.isolate, took.longest_training) if took else Trainer()
        self.hopeless: set[int] = set()
        """Rounds whose delivery cannot be used."""

    def do(self, step: Step) -> Done:
        """Takes a step. Taken twice, the second time changes nothing."""
        return _DO[step.kind](self, step)

    # --- anybody ---

    def publish(self, step: Step) -> Done:
        return Done("encryption key published", (self.chain.set_encryption_key(self.node.keys.public),))

    def draw(self, step: Step) -> Done:
        receipt = self.node.draw(step.round)
        drawn = any(event.name == "SeedDrawn" for event in receipt.events)
        return Done("drew the seed" if drawn else "chose the block whose hash will be the seed", (receipt,))

    def pay_out(self, step: Step) -> Done:
        round_ = self.node.round(step.round)
        if round_.settlement is None:
            raise ChainError("its settlement is not deep enough yet")
        rows = encode_rows(round_.settlement.rows)
        excluded = encode_excluded(round_.settlement.excluded, len(round_.participants))
        paid = tuple(self.chain.pay_out(step.round, rows, excluded, *span) for span in self._unpaid(round_))
        return Done("paid everybody" if paid else "", paid)

    def refund(self, step: Step) -> Done:
        round_ = self.node.round(step.round)
        receipts = [self.chain.refund(step.round, *span) for span in self._unpaid(round_)]
        waiting = [each for each in standing(round_) if round_.challenges[each].refunded is None]
        receipts += [self.chain.refund_challenge(step.round, each) for each in waiting]
        return Done("void: everybody has what is theirs" if receipts else "", tuple(receipts))

    def withdraw(self, step: Step) -> Done:
        above = self.outlook.withdrawal
        return Done(f"{self.amount(above)} withdrawn", (self.chain.withdraw(above),))

    def _unpaid(self, round_: Round) -> list[tuple[int, int]]:
        """The batches in which somebody has not been paid; the first one where only the aggregator has not."""
        trail = self.node.history.trail(round_.number)
        batches = list(spans(round_, BATCH))
        unpaid = [each for each in batches if not trail.paid.issuperset(range(*each))]
        return unpaid or (batches[:1] if trail.aggregator is None else [])

    # --- the aggregator ---

    def open(self, step: Step) -> Done:
        terms = self.outlook.opening
        assert terms is not None
        if not self.node.store.has(terms.task):
            raise NotFound(f"no store here has the task {terms.task.hex()}: make it with `market-node task create`")
        receipt, number = self.chain.open_round(terms)
        return Done(f"opened, {self.amount(terms.bond)} locked as bond", (receipt,), number)

    def settle(self, step: Step) -> Done:
        assert isinstance(self.node, Aggregator)
        settlement = self.node.settle(step.round)
        return Done(f"settled, {sum(map(len, settlement.rows))} sold, {len(settlement.excluded)} excluded")

    def defend(self, step: Step) -> Done:
        assert isinstance(self.node, Aggregator)
        receipts = tuple(self.node.defend(step.round))
        return Done("refuted a false challenge" if receipts else "", receipts)

    # --- a participant ---

    def train(self, step: Step) -> Done:
        round_ = self.node.round(step.round)
        beginning = self._newest(round_)
        if beginning is not None and beginning.is_new:
            self.studies.offer_as_it_is(step.round, beginning)
            return Done()
        base = self._base(round_)
        if beginning is None:
            return self._begin(step, OFFER, start=base, is_base=True)
        return self._begin(step, OFFER, start=beginning.weights)

    def commit(self, step: Step) -> Done:
        join = self.outlook.joining[step.round]
        offer = self.studies.path(step.round, OFFER)
        learned = read_learned(offer)
        card = {FIELD: learned.privacy} if learned is not None and learned.privacy else {}
        index = self.node.commit(step.round, offer, join.bid, card, join.deposit)
        return Done(f"committed as participant {index}, {self.amount(join.deposit)} locked")

    def reveal(self, step: Step) -> Done:
        return Done("revealed", (self.node.reveal(step.round),))

    def fetch(self, step: Step) -> Done:
        try:
            self.node.fetch(step.round, self.studies.path(step.round, DELIVERED))
        except (SealError, UpdateError, TooLarge, Misshapen) as error:
            # Its bytes are those that were posted, and they are no model: trying again cannot help.
            self.hopeless.add(step.round)
            log.warning("round %d: the delivery cannot be used: %s", step.round, error)
            return Done()
        except (StorageError, UnknownVersion) as error:  # who posts a version that nobody reads delivers nothing either
            if self.patience.times(step.key) < TRIES_BEFORE_REJECTING or not self._is_late(step.round):
                raise
            self.node.prove_the_store()
            self.hopeless.add(step.round)
            log.warning("round %d: the delivery did not come: %s", step.round, error)
            return Done()
        return Done("fetched what was bought")

    def evaluate(self, step: Step) -> Done:
        round_ = self.node.round(step.round)
        beginning = self._newest(round_)
        if beginning is None:
            raise NotFound("the model that was offered is gone, so there is nothing to mix the delivery with")
        return self._begin(
            step,
            ADOPTED,
            start=beginning.weights,
            delivered=str(self.studies.path(step.round, DELIVERED)),
            sellers=len(row_of(self.outlook.of(step.round), self.outlook.account)),
            base=str(self._base(round_)),
            model=str(self.studies.path(step.round, MODEL)),
        )

    def rate(self, step: Step) -> Done:
        judged = self.studies.judged(step.round)
        assert judged is not None and judged.rating is not None  # or it were not due
        return Done(f"rated the delivery {judged.rating}", (self.node.rate(step.round, judged.rating),))

    def reject(self, step: Step) -> Done:
        return Done("rejected the delivery", (self.node.reject(step.round),))

    def _is_late(self, number: int) -> bool:
        """Whether three quarters of the challenge phase have passed: who waits longer could no longer reject."""
        state = self.outlook.of(number).state
        return self.outlook.now >= state.settle_time + state.terms.challenge_time * 3 // 4

    # --- training, which goes on beside the steps ---

    def heard(self) -> tuple[tuple[str, int], Done | str] | None:
        """The step whose training has ended, and what it came to, or why it failed; once."""
        if (told := self.trainer.outcome()) is None:
            return None
        key, outcome = told
        return key, outcome if isinstance(outcome, str) else Done(self._report(key, outcome))

    def _base(self, round_: Round) -> Path:
        """The task's base checkpoint, fetched where it is not here."""
        self.node.task(round_)
        return self.node.folder / "tasks" / f"{round_.terms.task.hex()}.safetensors"

    def _begin(self, step: Step, what: str, start: Path, **lesson: Any) -> Done:
        policy = self.policy.participant
        assert policy is not None
        out = str(self.studies.path(step.round, what))
        scratch = str(self.node.scratch.absolute())
        asked: dict[str, Any] = {"seed": step.round, "trust": self.mixing, "scratch": scratch} | lesson
        self.trainer.begin(step.key, Lesson(policy.training, self.training_folder, str(start), out, **asked))
        return Done("training")

    def _newest(self, round_: Round) -> Beginning | None:
        return self.studies.newest(self.outlook.alike(round_.terms.task))

    def _report(self, key: tuple[str, int], learned: Learned) -> str:
        kind, number = key
        policy = self.policy.participant
        if policy is not None and learned.samples < policy.samples:
            claims = "round %d: the policy claims %d samples, the training has %d"
            log.warning(claims, number, policy.samples, learned.samples)
        said = f"trained on {learned.samples} samples in {learned.seconds:.1f} s"
        if learned.loss is not None and learned.loss_before is not None:
            said += f", loss {learned.loss_before:.4g} → {learned.loss:.4g}"
        if kind == steps.EVALUATE:
            said += ", the own model kept" if learned.kept_own else ", the delivery adopted"
        return said


_DO: Mapping[str, Callable[[Deeds, Step], Done]] = {
    steps.PUBLISH: Deeds.publish,
    steps.OPEN: Deeds.open,
    steps.TRAIN: Deeds.train,
    steps.COMMIT: Deeds.commit,
    steps.DRAW: Deeds.draw,
    steps.REVEAL: Deeds.reveal,
    steps.SETTLE: Deeds.settle,
    steps.DEFEND: Deeds.defend,
    steps.FETCH: Deeds.fetch,
    steps.EVALUATE: Deeds.evaluate,
    steps.RATE: Deeds.rate,
    steps.REJECT: Deeds.reject,
    steps.PAY_OUT: Deeds.pay_out,
    steps.REFUND: Deeds.refund,
    steps.WITHDRAW: Deeds.withdraw,
}

SENDING = frozenset(_DO) - {steps.TRAIN, steps.FETCH, steps.EVALUATE}
"""Steps that send a transaction."""
