"""The steps of a round that only its aggregator takes: open it, settle it."""

import hashlib
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from typing import Any

from torch import Tensor

from .aggregate import limited, personal_models, squared_lengths
from .arrivals import arrivals
from .auditor import defend
from .chain import Phase, Receipt
from .codec import encode_excluded, encode_rows
from .copies import find_copies
from .delivery import Delivery, DeliveryList, Exclusion, Length, delivery_list_bytes
from .errors import (
    BadInput,
    BrokenSeal,
    ChainError,
    MalformedUpdate,
    Misshapen,
    NodeError,
    NotForUs,
    NotFound,
    OutOfRange,
    StorageError,
    TooLarge,
)
from .models import OpenTask, ReadModel
from .node import Node
from .phases import span
from .pins import accepted, pinning, predecessors
from .records import Participant, Round, Settlement, Terms
from .seal import new_key, open_file, seal_file, sealed_limit, unwrap_key, wrap_key
from .settlement import reveals_hash, row_weights, settle
from .sketch import sketch
from .weights import mapped, unflatten, write_weights

log = logging.getLogger(__name__)

POLL_SECONDS = 1.0
"""Between two looks at whether the reveals are confirmed."""


@dataclass(frozen=True, slots=True)
class Opened:
    """What opening the models of a round gave."""

    updates: dict[int, Tensor]
    """Index → update, int64, one coordinate per weight; mapped from files that have no name any more."""
    exclusions: tuple[Exclusion, ...]
    unread: Mapping[int, StorageError]
    """Index → why no store could give the model, nor say that it is missing."""


def is_last_try(began: int, ended: int, start: int, end: int) -> bool:
    """Whether what could not be read by then counts as missing: else who never publishes its model could, with a store
    that only stalls, keep the aggregator from settling until its bond is lost.

    So it is once three quarters of the settle phase have passed, or where a try as long as this one would end later.

    Args:
        began: when this try to read all models began; `ended`, when it ended. Seconds since the epoch.
        start: of the settle phase; and its `end`.
    """
    return ended + (ended - began) >= start + (end - start) * 3 // 4


def longest_try(began: int, start: int, end: int) -> int:
    """For how many seconds a try waits for models: until three quarters of the settle phase have passed, or for half of
    what is left of it where it begins late.

    Args:
        began: when the try began, seconds since the epoch.
        start: of the settle phase; and its `end`.
    """
    return max(start + (end - start) * 3 // 4 - began, (end - began) // 2)


def may_look_back(now: int, start: int, end: int) -> bool:
    """Whether there is still time to fetch a model of an earlier round, to find copies of it.

    Until seven eighths of the settle phase have passed: what a store stalls over must not cost the bond.

    Args:
        start: of the settle phase, seconds since the epoch; and its `end`.
    """
    return now < start + (end - start) * 7 // 8


class Aggregator(Node):
    """A node that runs rounds.

    `device` is where models are combined, "cpu" or "cuda"; the bytes are the same.
    """

    device = "cpu"

    def open_round(self, terms: Terms) -> int:
        """Opens a round and locks its bond. Returns the round's number."""
        _, number = self.chain.open_round(terms)
        return number

    def settle(self, number: int) -> Settlement:
        """Opens and checks the models, combines them for their buyers, publishes and posts the settlement."""
        self.require(number, Phase.SETTLE)
        round_ = self.confirmed(number)
        task = self.task(round_)
        opened = self.without_copies(round_, task, self.open_in_time(round_, task))
        settlement = settle(round_, frozenset(exclusion.index for exclusion in opened.exclusions))
        rows = row_weights(round_, settlement)
        squares = squared_lengths(rows, opened.updates)
        deliveries = tuple(self.deliver(round_, limited(rows, squares), opened, task))
        lengths = tuple(Length(index, square) for index, square in squares.items())
        listed = DeliveryList(self.chain.chain_id, self.chain.market, number, deliveries, opened.exclusions, lengths)
        self.post(round_, settlement, self.publish(listed))
        return settlement

    def confirmed(self, number: int) -> Round:
        """The round, once every reveal that the contract has counted is confirmed: waits for that.

        Raises:
            ChainError: they are not in time.
        """
        endpoint, end = self.chain.endpoint, time.monotonic() + self.chain.endpoint.timeout
        while reveals_hash(round_ := self.round(number)) != (state := self.chain.state(number)).reveals_hash:
            if time.monotonic() > end:
                seen = (
                    f"{state.revealed} revealed and {len(round_.reveal_order)} are {endpoint.confirmations} blocks deep"
                )
                raise ChainError(f"round {number}: {seen}; a settlement names all, so wait for more blocks")
            time.sleep(POLL_SECONDS)
        return round_

    def defend(self, number: int) -> list[Receipt]:
        """Refutes every false challenge of a round: nobody else has as much to lose by one."""
        return defend(self.chain, self.history, number)

    def open_in_time(self, round_: Round, task: OpenTask) -> Opened:
        """Opens the models that come in time. What does not stops the settlement, to be tried again; near its end it
        is missing.

        Raises:
            StorageError: why, of the first one that cannot be read; or the stores give nothing at all.
        """
        start, end = span(self.chain.state(round_.number), Phase.SETTLE)
        assert start is not None and end is not None  # the round is being settled
        began = self.chain.now()
        opened = self.open_models(round_, task, longest_try(began, start, end))
        if not opened.unread:
            return opened
        if not is_last_try(began, self.chain.now(), start, end):
            raise next(iter(opened.unread.values()))
        self.prove_the_store()
        for index, error in opened.unread.items():
            log.warning("round %d: the model of %d is taken for missing: %s", round_.number, index, error)
        missing = (Exclusion(index, "missing") for index in opened.unread)
        exclusions = sorted((*opened.exclusions, *missing), key=lambda each: each.index)
        return Opened(opened.updates, tuple(exclusions), {})

    def open_models(self, round_: Round, task: OpenTask, seconds: float = inf) -> Opened:
        """Opens the model of everyone who revealed; one that fails any check is excluded with its reason.

        They are fetched side by side and opened one by one, as they come. `seconds`: how long they are waited for.
        """
        updates: dict[int, Tensor] = {}
        exclusions: dict[int, Exclusion] = {}
        unread: dict[int, StorageError] = {}
        cids = {index: each.reveal.model.cid for index, each in enumerate(round_.participants) if each.reveal}
        limit = sealed_limit(task.file_limit)
        with self._scratch() as folder, closing(arrivals(self.store, cids, folder, limit, seconds)) as coming:
            for index, sealed in coming:
                try:
                    updates[index] = self._check(round_, round_.participants[index], task, sealed.result)
                except Rejected as refusal:
                    exclusions[index] = Exclusion(index, refusal.reason, refusal.evidence)
                except StorageError as error:
                    unread[index] = error
        in_order = tuple(exclusions[index] for index in sorted(exclusions))
        return Opened(dict(sorted(updates.items())), in_order, dict(sorted(unread.items())))

    def without_copies(self, round_: Round, task: OpenTask, opened: Opened) -> Opened:
        """Excludes what holds nothing new beside what others have offered, in the last rounds or in this one."""
        accounts = {participant.account: index for index, participant in enumerate(round_.participants)}
        earlier = predecessors(round_.aggregator, round_.terms.task, self.history.ledger.rounds.values(), round_.number)
        last: list[Tensor] = []
        own: dict[int, list[int]] = {}
        for account, update in self._updates_of(earlier, task, round_.number):
            if account in accounts:
                own.setdefault(accounts[account], []).append(len(last))
            last.append(update)
        copies = find_copies(opened.updates, last, own, self.device)
        numbers = [each.number for each in earlier]
        excluded = (Exclusion(copy.index, "copy", copy.evidence(numbers)) for copy in copies)
        exclusions = sorted((*opened.exclusions, *excluded), key=lambda each: each.index)
        for copy in copies:
            log.info("round %d: the model of %d is a copy: %s", round_.number, copy.index, copy)
        kept = {index: opened.updates[index] for index in opened.updates.keys() - {copy.index for copy in copies}}
        return Opened(dict(sorted(kept.items())), tuple(exclusions), opened.unread)

    def _updates_of(self, earlier: Sequence[Round], task: OpenTask, number: int) -> Iterable[tuple[str, Tensor]]:
        """The updates that earlier rounds have accepted, opened again while there is time for it in the round that is
        being settled: account, update. Some may be lost."""
        start, end = span(self.chain.state(number), Phase.SETTLE)
        assert start is not None and end is not None  # the round is being settled
        for round_, index in ((each, index) for each in earlier for index in accepted(each)):
            if not may_look_back(self.chain.now(), start, end):
                log.warning("round %d: no time is left to look for copies of all earlier models", number)
                return
            participant = round_.participants[index]
            try:
                yield participant.account, self._read_again(round_, participant, task).update
            except NodeError as error:
                log.warning(
                    "round %d: the model of %d cannot be had any more, so copies of it are not found: %s",
                    *(round_.number, index, error),
                )

    def deliver(
        self, round_: Round, weights: Mapping[int, Mapping[int, int]], opened: Opened, task: OpenTask
    ) -> Iterable[Delivery]:
        """Combines, seals and stores one personal model per buyer that has a key which can be used.

        `weights`: buyer → (seller → weight), as `limited` gives them.
        """
        for index, combined in personal_models(task.base, opened.updates, weights, self.device):
            buyer, key = round_.participants[index], new_key()
            envelope = self.envelope(round_.number, buyer.account)
            try:
                wrapped = wrap_key(key, buyer.encryption_key, envelope)
            except BadInput:  # any 32 bytes can be published as a key; one buyer's nonsense must not stop the round
                continue
            with self._scratch() as folder:
                write_weights(folder / "model", unflatten(combined, task.task.manifest))
                # What travels is rounded to the tensors' dtypes: the fingerprint is the file's, not the sum's.
                mark = task.read(folder / "model").fingerprint
                digest = _digest(folder / "model")
                seal_file(folder / "model", folder / "sealed", key, envelope, {"round": round_.number})
                cid = self.store.put(folder / "sealed")
            yield Delivery(index, buyer.account, cid, digest, mark, wrapped)

    def publish(self, listed: DeliveryList) -> bytes:
        """Stores the delivery list; returns its CID digest."""
        with self._scratch() as folder:
            (folder / "list").write_bytes(delivery_list_bytes(listed))
            return self.store.put(folder / "list")

    def post(self, round_: Round, settlement: Settlement, deliveries: bytes) -> Receipt:
        """Sends the settlement, naming the reveals that it was computed from."""
        excluded = encode_excluded(settlement.excluded, len(round_.participants))
        rows = encode_rows(settlement.rows)
        return self.chain.settle(round_.number, reveals_hash(round_), excluded, rows, deliveries)

    def _check(self, round_: Round, participant: Participant, task: OpenTask, sealed: Callable[[], Path]) -> Tensor:
        """The participant's update, or Rejected with the reason."""
        reveal, seed = participant.reveal, round_.seed
        assert reveal is not None and seed is not None  # both are public once a reveal is
        model, card = self._read(round_, participant, task, sealed)
        if model.root != reveal.model.root:
            raise Rejected("root-mismatch", model.root)
        if card.get("fingerprint") != model.fingerprint.hex():
            raise Rejected("fingerprint-mismatch", model.fingerprint)
        if (true := sketch(model.update, seed)) != reveal.sketch:
            raise Rejected("sketch-mismatch", true)
        self._keep(round_.number, reveal.model.cid)
        return model.update

    def _read_again(self, round_: Round, participant: Participant, task: OpenTask) -> ReadModel:
        """A model that an earlier round has accepted."""
        assert participant.reveal is not None
        with self._scratch() as folder:
            sealed = folder / "sealed"
            self.store.get(participant.reveal.model.cid, sealed, sealed_limit(task.file_limit))
            return self._read(round_, participant, task, lambda: sealed)[0]

    def _read(
        self, round_: Round, participant: Participant, task: OpenTask, sealed: Callable[[], Path]
    ) -> tuple[ReadModel, dict[str, Any]]:
        """A participant's model with its card, or Rejected. `sealed` gives the file, or raises what the store did."""
        reveal = participant.reveal
        assert reveal is not None
        envelope = self.envelope(round_.number, participant.account)
        with self._scratch() as folder:
            path = folder / "model"
            try:
                came = sealed()
                key = unwrap_key(reveal.sealed_key, self.keys.private(round_.encryption_key), envelope)
                card = open_file(came, path, key, envelope, task.file_limit)
                model = task.read(path)
            except NotForUs as error:
                raise Rejected("names-another") from error
            except (TooLarge, Misshapen) as error:
                raise Rejected("malformed") from error
            except NotFound as error:
                # A store that is down or returns other bytes says nothing about the file: see `open_in_time`.
                raise Rejected("missing") from error
            except BrokenSeal as error:
                raise Rejected("wrong-key") from error
            except OutOfRange as error:
                raise Rejected("out-of-range", _digest(path)) from error
            except MalformedUpdate as error:
                raise Rejected("malformed", _digest(path)) from error
            return replace(model, update=mapped(model.update, folder / "update")), card

    def _keep(self, number: int, cid: bytes) -> None:
        """Pins a sealed model, with which the next rounds' are compared. Its owner keeps it until the payout only."""
        if (store := pinning(self.store)) is not None:
            try:
                store.pin(cid)
            except StorageError as error:
                log.warning("round %d: a model cannot be kept for later rounds: %s", number, error)


class Rejected(NodeError):
    """A model that the round does not accept. `reason` is a key of `delivery.REASONS`."""

    def __init__(self, reason: str, evidence: bytes = b"") -> None:
        super().__init__(reason)
        self.reason = reason
        self.evidence = evidence


def _digest(path: Path) -> bytes:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
