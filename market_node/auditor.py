"""An auditor that looks after a market by itself: it challenges what is wrong and refutes who says so falsely.

What to do follows from the chain alone (`duties`), so it is the same after a restart or a reorganisation. The reports
add what the chain does not tell yet: what was sent and is not deep enough to be seen.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from .chain import Chain, Phase, Receipt, require_phase
from .codec import encode_excluded, rows_hash, settlement_word
from .duties import WATCHED, Duty, duties, outcome
from .errors import BadInput, ChainError, ConfigError, NodeError, NotMined, Reverted, Unreachable, WrongPhase
from .history import History
from .judge import Refutation, corrections, proof, verdicts
from .ledger import Ledger
from .records import Round, Settlement
from .reports import DONE, OVERTAKEN, Action, Report, Reports, WrongRow
from .settlement import challenge_bond

SHOWN = 10
"""Wrong rows that a line names; the report names all."""

T = TypeVar("T")


def refute(chain: Chain, number: int, challenge: int, refutation: Refutation) -> Receipt | None:
    """Refutes a false challenge. None where somebody was faster, who has the reward."""
    try:
        return chain.refute(number, challenge, refutation)
    except Reverted as error:
        if error.name != "ChallengeNotOpen":
            raise
    except WrongPhase:
        if chain.state(number).open_challenges:
            raise
        # It was the last one that was open: with it, the phase has ended.
    return None


def defend(chain: Chain, history: History, number: int) -> list[Receipt]:
    """Refutes every false challenge of a round. True ones cannot be."""
    attempts = [refute(chain, number, challenge, each) for challenge, each in _false(history.check(number))]
    return [receipt for receipt in attempts if receipt]


def _false(round_: Round) -> list[tuple[int, Refutation]]:
    return [(number, each) for number, each in verdicts(round_).items() if each]


@dataclass(frozen=True, slots=True)
class Step:
    """What one look at the market came to, in lines for a person; each thing is said once."""

    said: tuple[str, ...]
    failed: tuple[str, ...]


class Auditor:
    """Looks at every settled round, again and again, and does its duty.

    Args:
        chain: the market, with the account that challenges and refutes.
        folder: where the reports are kept.
        history: the process's reader of the market's logs, if there is one.
        amount: writes base units for a person.
        least_bond: rounds whose bond is smaller are left alone, base units: there a wrong row costs its aggregator less
            than a challenge costs in gas.
    """

    def __init__(
        self,
        chain: Chain,
        folder: Path,
        history: History | None = None,
        amount: Callable[[int], str] = "{} base units".format,
        least_bond: int = 0,
    ) -> None:
        self.chain = chain
        self.account = chain.account
        self.history = history or History(chain)
        self.reports = Reports(folder, chain.chain_id, chain.genesis, chain.market)
        self.amount = amount
        self.least_bond = least_bond
        self.known: dict[int, Report] = {}
        """Round → its report, as it is on the disk."""
        self._settlements: dict[int, Settlement] = {}
        """Round → what its report is about. The very object: a reorganisation makes a new one."""
        self._failures: dict[int, str] = {}
        """Round → what could not be done and was said; 0 is the whole market."""
        self._said: list[str] = []

    def step(self) -> Step:
        """Looks at every round once. What fails in one of them is said, and does not stop the others."""
        self._said, failed = [], list[str]()
        for number in self._try(0, self._open_rounds, failed) or ():
            self._try(number, partial(self.look, number), failed)
        return Step(tuple(self._said), tuple(failed))

    def look(self, number: int) -> None:
        """Does what there is to do in one round.

        Raises:
            NodeError: something could not be done. What could be was done, and written down.
        """
        round_, phase = self.history.round(number), self.chain.phase(number)
        if number not in self.known and phase not in WATCHED and not duties(round_, phase, (), self.account):
            return
        report = self._examine(round_, phase)
        failures, before = [], report.actions
        for duty in duties(self.history.round(number), phase, report.buyers, self.account):
            try:
                self._do(number, duty)
            except NodeError as error:
                failures.append(error)
        if self.known[number].actions != before:
            self.history.refresh()
            self._examine(self.history.round(number), phase)
        if failures:
            raise failures[0]

    def challenge(self, number: int) -> Action:
        """Challenges the first wrong row of a round, if none of its challenges is true.

        Raises:
            BadInput: every row is right, a true challenge stands, or the balance does not cover the bond.
            WrongPhase, ChainError.
        """
        self.history.refresh()
        round_ = self.history.round(number)
        require_phase(self.chain, number, Phase.CHALLENGE)
        if round_.settlement is None:
            raise BadInput(f"round {number}: its settlement has too few confirmations yet; try again")
        report = self._examine(round_, Phase.CHALLENGE)
        if not report.wrong:
            raise BadInput(f"round {number}: every row is right, there is nothing to challenge")
        due = duties(self.history.round(number), Phase.CHALLENGE, report.buyers, self.account)
        challenging = next((duty for duty in due if duty.doing == "challenging"), None)
        if challenging is None:
            raise BadInput(f"round {number}: a true challenge stands already, and one is enough")
        self._do(number, challenging)
        self.history.refresh()
        self._examine(self.history.round(number), Phase.CHALLENGE)
        action = self.known[number].last("challenging", challenging.of)
        assert action is not None  # `_do` has written it down
        return action

    # --- what it sees ---

    def _open_rounds(self) -> list[int]:
        """The settled rounds, of bonds large enough, in which something can still happen."""
        ledger = self.history.refresh()
        large = (number for number, round_ in ledger.rounds.items() if round_.terms.bond >= self.least_bond)
        return [number for number in large if self._is_open(ledger, number)]

    def _is_open(self, ledger: Ledger, number: int) -> bool:
        round_, trail = ledger.rounds[number], ledger.trails[number]
        if round_.settlement is None:
            return False
        paid = trail.aggregator is not None and len(trail.paid) == len(round_.participants)
        known = self.known.get(number)
        seen_to_its_end = known is None or known.phase in (str(Phase.PAYOUT), str(Phase.VOID))
        return not (paid and seen_to_its_end and not duties(round_, Phase.VOID, (), self.account))

    def _examine(self, round_: Round, phase: Phase) -> Report:
        """The round's report as of now, on the disk."""
        number = round_.number
        if self._settlements.get(number) is not round_.settlement:
            # Checked first: an endpoint that hides a reveal would make a right row look wrong, which costs a bond.
            round_ = self.history.check(number)
            if round_.settlement is None:
                raise ChainError(f"round {number}: its settlement is gone, the chain was reorganised; try again")
            report = self._recompute(round_, phase)
        else:
            report = self.known[number]
        if phase == Phase.VOID and report.phase != str(phase):
            self._say(number, "void, because a challenge stands")
        report = replace(
            report,
            phase=str(phase),
            challenges=tuple(_challenge(round_, each) for each in range(len(round_.challenges))),
            actions=tuple(outcome(round_, each, self.account) for each in report.actions),
        )
        self._write(report)
        assert round_.settlement is not None
        self._settlements[number] = round_.settlement
        return report

    def _recompute(self, round_: Round, phase: Phase) -> Report:
        posted = round_.settlement
        assert posted is not None
        wrong = tuple(
            WrongRow(buyer, round_.participants[buyer].account, row, posted.rows[buyer])
            for buyer, row in corrections(round_).items()
        )
        excluded = encode_excluded(posted.excluded, len(round_.participants))
        word = settlement_word(excluded, rows_hash(posted.rows))
        report = Report(round_.number, word, str(phase), wrong, actions=self._done_before(round_.number))
        some = ", ".join(map(str, report.buyers[:SHOWN])) + (" …" if len(wrong) > SHOWN else "")
        self._say(round_.number, f"{len(wrong)} wrong rows, of participants {some}" if wrong else "every row is right")
        return report

    def _done_before(self, number: int) -> tuple[Action, ...]:
        try:
            return self.reports.actions(number)
        except ConfigError:
            raise
        except BadInput as error:  # no reason to let a wrong row pass
            self._said.append(str(error))
            return ()

    # --- what it does ---

    def _do(self, number: int, duty: Duty) -> None:
        """Writes a duty down, does it, and writes down what came of it."""
        report = self.known[number]
        last = report.last(duty.doing, duty.of)
        if last and last.outcome in (None, DONE) and self._is_on_its_way(last):
            return
        if duty.doing == "challenging":
            self._require_bond(number)
        action = Action(duty.doing, duty.of, self._nonce("pending"))
        self._write(report.with_action(action))
        try:
            sent = self._send(number, duty)
            action = replace(
                action, outcome=DONE if sent else OVERTAKEN, transaction=sent.transaction if sent else None
            )
        except (NotMined, Unreachable):
            raise  # it may come yet
        except NodeError as error:
            action = replace(action, outcome=str(error))
            raise
        finally:
            self._write(report.with_action(action))
        if not last or last.outcome != action.outcome:
            what = {"challenging": "the row of participant", "refuting": "challenge", "refunding": "challenge"}
            came = f"transaction {action.transaction}" if sent else OVERTAKEN
            self._say(number, f"{duty.doing} {what[duty.doing]} {duty.of}: {came}")

    def _send(self, number: int, duty: Duty) -> Receipt | None:
        if duty.doing == "challenging":
            return self.chain.challenge(number, proof(self.history.round(number), duty.of))[0]
        if duty.refutation:
            return refute(self.chain, number, duty.of, duty.refutation)
        try:
            return self.chain.refund_challenge(number, duty.of)
        except Reverted as error:
            if error.name != "ChallengeNotOpen":
                raise
            return None  # anyone may fetch it for its challenger

    def _require_bond(self, number: int) -> None:
        bond = challenge_bond(self.history.round(number).terms)
        if (available := self.chain.available(self.account)) < bond:
            needed, there = self.amount(bond), self.amount(available)
            raise BadInput(
                f"round {number} is wrong, but a challenge locks {needed} and {there} are available: fund the account"
            )

    def _is_on_its_way(self, action: Action) -> bool:
        """Whether something was sent with the action's nonce, and is not as deep yet as the history has read."""
        return self._nonce(max(0, self.history.block)) <= action.nonce < self._nonce("pending")

    def _nonce(self, at: int | str) -> int:
        endpoint = self.chain.endpoint
        with endpoint.reached():
            return int(endpoint.web3.eth.get_transaction_count(self.account, at))  # type: ignore[arg-type]

    # --- what the steps share ---

    def _try(self, number: int, look: Callable[[], T], failed: list[str]) -> T | None:
        try:
            seen = look()
        except NodeError as error:
            if self._failures.get(number) != str(error):
                failed.append(str(error))
            self._failures[number] = str(error)
            return None
        self._failures.pop(number, None)
        return seen

    def _write(self, report: Report) -> None:
        if self.known.get(report.round) != report:
            self.reports.write(report)
            self.known[report.round] = report

    def _say(self, number: int, text: str) -> None:
        self._said.append(f"round {number}: {text}")


def _challenge(round_: Round, number: int) -> dict[str, Any]:
    """A challenge for the report."""
    challenge = round_.challenges[number]
    return {
        "number": number,
        "challenger": challenge.challenger,
        "buyer": challenge.claim.buyer,
        "listed": list(challenge.claim.listed),
        "refuter": challenge.refuter,
        "refunded": None if challenge.refunded is None else str(challenge.refunded),
    }
