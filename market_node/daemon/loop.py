"""The loop of a node that runs by itself: look at the chain, take the most urgent step that is due, look again.

What is due follows from the chain and from files that are whole or not there (`steps.due`), so a node that was killed
goes on where the chain says it is. Nothing is remembered that could not be forgotten.
"""

import logging
import time
from collections.abc import Callable
from typing import Any

from ..auditor import Auditor
from ..ending import Ending
from ..errors import NodeError, Reverted, WrongChain, WrongPhase
from ..node import Node
from ..policy import Policy
from .deeds import SENDING, Deeds, Done
from .keeping import Keeper
from .meters import Meters
from .outlook import Outlook
from .patience import Patience
from .steps import Step, due
from .studies import Studies

PREPARE_SECONDS = 60
"""So often what was sent is compared with the chain while it is on its way."""

ALREADY = frozenset(("AlreadyCommitted", "AlreadyRevealed", "AlreadyRated", "SeedAlreadyDrawn"))
"""Refusals that say that a step was taken: by somebody else, or by this node before it was stopped."""

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
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.chain, self.policy, self.auditor = node.chain, policy, auditor
        self.ending = Ending()
        """Set, it ends the loop after the current step."""
        self.meters = Meters(policy.run.interval)
        name = f"{self.chain.chain_id}-{self.chain.genesis.hex()[:8]}"
        studies = Studies(node.folder / "learning" / name / self.chain.market.lower())
        self.outlook = Outlook(node, policy, studies, self.meters, amount)
        self._patience, self._clock = Patience(policy.run.interval, clock), clock
        self.deeds = Deeds(self.outlook, mixing, training_folder, self._patience)
        self.keeper = Keeper(self.outlook, clock)
        self._prepared: float | None = None
        """When what was sent was last compared with the chain."""
        self._gas_counted = 0
        """Of the account's transactions."""
        self._reorganisations = 0
        """How many there were by then."""

    def run(self) -> None:
        """Goes on until `ending` is set.

        Raises:
            WrongChain: the endpoint serves another chain than at the start.
            StateError: another process sends with the account's key.
        """
        self._prepare()
        roles = " and ".join(self.outlook.roles)
        log.info("%s on market %s as %s", self.chain.account, self.chain.market, roles)
        try:
            while not self.ending.is_set():
                if not self.look():
                    self.ending.wait(self.policy.run.interval)
        finally:
            self.deeds.trainer.close()
        log.info("ended, with nothing half done")

    def look(self) -> bool:
        """Looks once and takes one step. Returns whether it took one.

        Raises:
            WrongChain.
        """
        if self._patience.rests("look"):
            return False
        try:
            self._hear()
            self.outlook.look()
            if self.outlook.node.history.reorganisations != self._reorganisations:
                self._prepare()  # what was undone is not due again where the node knows that it did it
            self._audit()
            self._keep_up()
            me = self.outlook.me(self.deeds.trainer.running, self.deeds.hopeless)
        except WrongChain:
            raise
        except Exception as error:
            self._fail("look", None, error)
            return False
        if self._patience.succeeded("look"):
            log.info("the chain can be seen again")
        todo = due(self.outlook.seen, me, self.outlook.now)
        self._patience.keep({"audit", "pins", self.deeds.trainer.running, *(step.key for step in todo)})
        for step in todo:
            if not self.ending.is_set() and not self._patience.rests(step.key) and self._take(step):
                return True
        return False

    def _take(self, step: Step) -> bool:
        """Takes a step, or says why it could not. Returns whether it did: then the market may look different."""
        try:
            if step.kind in SENDING and self._is_in_flight():
                return False
            done = self.deeds.do(step)
        except WrongPhase:
            return False  # the phase has just ended
        except Exception as error:
            if isinstance(error, Reverted) and error.name == "SeedBlockTooRecent":
                return False  # the next block will do
            if not (isinstance(error, Reverted) and error.name in ALREADY):
                self._fail(step.key, step.until and step.until - self.outlook.now, error)
            return False
        self._succeed(step.key, done)
        return True

    def _hear(self) -> None:
        """Takes note of a training that has ended."""
        if (told := self.deeds.heard()) is None:
            return
        key, came = told
        if isinstance(came, Done):
            self._succeed(key, came)
        else:
            self._fail(key, None, came)

    def _audit(self) -> None:
        if self.auditor is None or self._patience.rests("audit"):
            return
        looked = self.auditor.step()
        for line in looked.said:
            log.info("%s", line, extra={"step": "audit"})
        for line in looked.failed:
            self._fail("audit", None, line)
        if gas := self._new_gas():
            self.meters.step("audit", "done", gas)

    def _keep_up(self) -> None:
        """Takes note of what became of the files that others fetch from here, and looks after them now and then."""
        kept = self.keeper.outcome()
        if isinstance(kept, str):
            self._fail("pins", None, kept)
        elif kept is not None:
            self._patience.succeeded("pins")
            self.meters.step("pins", "done")
            for line in self.keeper.news(kept):
                log.warning("a file that must be kept until its round is paid out is lost: %s", line)
            if kept.restored:
                log.warning("%d files that must be kept were not pinned any more, and are again", len(kept.restored))
            if kept.released:
                log.info("%d files unpinned, whose rounds are over", len(kept.released))
        if not self._patience.rests("pins"):
            self.keeper.begin()

    # --- what is sent ---

    def _is_in_flight(self) -> bool:
        """Whether something that this account has sent is not as deep yet as the logs were read.

        What is due was derived without it, so it could be sent twice.
        """
        endpoint, account, read = self.chain.endpoint, self.chain.account, max(0, self.outlook.node.history.block)
        if endpoint.nonce(account, "pending") <= endpoint.nonce(account, hex(read)):
            return False
        if self._prepared is None or self._clock() > self._prepared + PREPARE_SECONDS:
            self._prepare()
        return True

    def _prepare(self) -> None:
        """Keeps the key for this process, and sends again what may have got lost before or since."""
        reorganisations = self.outlook.node.history.reorganisations
        self.chain.prepare()
        self._prepared, self._reorganisations = self._clock(), reorganisations

    def _new_gas(self) -> int:
        """What was used since this was last asked."""
        used = self.chain.gas_used
        new, self._gas_counted = used - self._gas_counted, used
        return new

    # --- what is said ---

    def _succeed(self, key: tuple[str, int], done: Done) -> None:
        kind, number = key[0], done.round or key[1]
        self._patience.succeeded(key)
        gas = self._new_gas()
        self.meters.step(kind, "done", gas)
        if not done.said:
            return
        extra: dict[str, Any] = {"step": kind, "round": number}
        if gas:
            extra["gas"] = gas
        if done.receipts:
            extra["transaction"] = done.receipts[-1].transaction
        log.info("%s%s", _of(number), done.said, extra=extra)

    def _fail(self, key: Any, left: float | None, error: Exception | str) -> None:
        """Says a failure once, in one line."""
        kind, number = key if isinstance(key, tuple) else (key, 0)
        expected = isinstance(error, NodeError | str | OSError)
        text = " ".join((str(error) if expected else f"{type(error).__name__}: {error} (unexpected)").split())
        self.meters.step(kind, "failed", self._new_gas())
        if self._patience.failed(key, text, left):
            level = logging.WARNING if expected else logging.ERROR
            log.log(level, "%s%s: %s", _of(number), kind, text, extra={"step": kind, "round": number})
            if isinstance(error, Exception) and not expected:
                log.debug("where that was", exc_info=error)


def _of(number: int) -> str:
    return f"round {number}: " if number else ""
