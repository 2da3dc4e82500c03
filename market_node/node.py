"""One account's node: a short method per step of a round.

    commit → draw → reveal → fetch → rate or reject → pay_out → withdraw         (refund where the round is void)

Every step first writes down what losing it would cost, then sends. Each can be called again after a crash.
"""

import hashlib
import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .chain import Chain, Phase, Receipt, require_phase
from .claim import claim_of
from .codec import encode_excluded, encode_rows
from .database import Database, open_database
from .delivery import LIMIT, DeliveryList, parse_delivery_list
from .errors import BadInput, MalformedUpdate, NotFound, StateError
from .history import History
from .journal import Entry, Journal
from .keys import EncryptionKeys
from .records import Bid, Model, Participant, Round
from .recovery import NOTE, Secrets, find_secrets, new_secrets
from .retention import SCRATCH, sweep
from .seal import Envelope, open_file, read_header, seal_file, sealed_limit, unwrap_key, wrap_key
from .sketch import sketch
from .store import Store
from .terms import Exposure, choose_deposit, exposure

if TYPE_CHECKING:
    from .models import OpenTask

log = logging.getLogger(__name__)

PROBE = b"a file that a node has stored to be read again\n"

BATCH = 200
"""Participants paid by one transaction: well below the gas that one may use."""


class Node:
    """The steps that a participant, or anyone, takes.

    Args:
        folder: where the node keeps what it must not lose. One folder is one backup.
        chain: the market, with the account's signer.
        store: where sealed files go and come from.
        keys: the account's encryption keys.
        database: the node's state; by default `state.db` in the folder.

    Raises:
        StateError: the state cannot be used, or belongs to another chain, market or account.
    """

    def __init__(
        self, folder: Path, chain: Chain, store: Store, keys: EncryptionKeys, database: Database | None = None
    ) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        sweep(folder)  # opened models that a killed step has left
        self.database = database or open_database(folder)
        chain.remember(self.database)
        self.folder, self.scratch = folder, folder / SCRATCH
        self.chain = chain
        self.store = store
        self.keys = keys
        self.journal = Journal(self.database, chain.chain_id, chain.market, chain.genesis)
        self.journal.take_over(folder / "rounds")
        self.history = History(chain)

    # --- participant ---

    def exposure(self, number: int, bid: Bid, deposit: int | None = None) -> Exposure:
        """What `commit` with the same arguments would lock, until when, and the worst loss."""
        terms = self.round(number).terms
        return exposure(terms, bid, choose_deposit(terms, bid, self.chain.available(self.chain.account), deposit))

    def commit(
        self, number: int, weights: Path, bid: Bid, card: dict[str, Any] | None = None, deposit: int | None = None
    ) -> int:
        """Seals the model at `weights` and the bid, publishes the one and commits to both.

        Args:
            card: what the public may read about the model, in clear in the sealed file's header.
            deposit: base units; by default the most that the terms allow and the balance covers, which hides the value.

        Returns:
            The account's index in the round.

        Raises:
            BadInput: a bid or deposit that the terms do not allow, a card whose privacy claim is none, an aggregator
                whose key cannot be used, or another bid already committed.
            WrongPhase: commits are closed.
        """
        claim_of(card or {})
        round_ = self.round(number)
        self.require(number, Phase.COMMIT)
        locked = choose_deposit(round_.terms, bid, self.chain.available(self.chain.account), deposit)
        model = self.task(round_).read(weights)
        hidden = new_secrets(self.keys, self.envelope(number), bid)
        salt, key = hidden.salt, hidden.key
        wrap_key(
            key, round_.encryption_key, self.envelope(number)
        )  # or nothing could be revealed, and the bond is lost
        public = {**(card or {}), "fingerprint": model.fingerprint.hex(), NOTE: hidden.note}
        with self._scratch() as folder:
            seal_file(weights, folder / "sealed", key, self.envelope(number), public)
            cid = self.store.put(folder / "sealed")
        committed = Model(cid, model.root)
        # Without bid and salt the reveal bond is lost, without the key the model: on disk before anything is sent.
        entry = self.journal.commit(
            number, self.chain.account, bid=bid, salt=salt, model=committed, key=key, deposit=locked
        )
        _, index = self.chain.commit(number, entry.sealed_bid, committed, locked)
        self.journal.committed(number, self.chain.account, entry.sealed_bid)
        return index

    def reveal(self, number: int) -> Receipt:
        """Opens the bid, with the model's sketch under the round's seed and its key for the aggregator."""
        round_ = self.round(number)
        self.require(number, Phase.REVEAL)
        index = self.index(round_)
        entry = self.entry(round_)
        if round_.seed is None:
            raise NotFound(f"round {number} is in its reveal phase but its seed was not seen; try again in a moment")
        with self._scratch() as folder:
            self._open(number, self.chain.account, entry.model.cid, entry.key, folder / "model", self.task(round_))
            update = self.task(round_).read(folder / "model").update
        wrapped = wrap_key(entry.key, round_.encryption_key, self.envelope(number))
        shape = sketch(update, round_.seed)
        return self.chain.reveal(number, index, round_.seed, entry.bid, entry.salt, entry.model, shape, wrapped)

    def fetch(self, number: int, out: Path) -> Path:
        """Fetches the personal model that the aggregator delivered to this account, and checks it.

        Raises:
            NotFound: nothing was delivered, or no store has it.
            SealError, UpdateError, StorageError: what was delivered cannot be used. `reject` says so on chain.
        """
        round_ = self.round(number)
        delivery = self.deliveries(round_).to(self.index(round_))
        if delivery is None:
            raise NotFound(f"round {number} delivers nothing to {self.chain.account}: its row is empty")
        task = self.task(round_)
        committed = round_.participants[delivery.index]
        key = unwrap_key(delivery.key, self.keys.private(committed.encryption_key), self.envelope(number))
        with self._scratch() as folder:
            self._open(number, self.chain.account, delivery.model, key, folder / "model", task)
            with open(folder / "model", "rb") as file:
                if hashlib.file_digest(file, "sha256").digest() != delivery.digest:
                    raise MalformedUpdate(f"round {number}: the delivered file is not the one on the delivery list")
            if task.read(folder / "model").fingerprint != delivery.fingerprint:
                raise MalformedUpdate(f"round {number}: the delivered model's fingerprint is not the listed one")
            out.parent.mkdir(parents=True, exist_ok=True)
            (folder / "model").replace(out)
        return out

    def rate(self, number: int, rating: int) -> Receipt:
        """Rates the delivery, in hundredths: 100 better than the own model, 0 worse, 75 otherwise."""
        self.require(number, Phase.CHALLENGE)
        return self.chain.rate(number, self.index(self.round(number)), rating)

    def reject(self, number: int) -> Receipt:
        """Says on chain that nothing usable was delivered. Costs the price, the fee and the reveal bond."""
        self.require(number, Phase.CHALLENGE)
        return self.chain.reject(number, self.index(self.round(number)))

    # --- anyone ---

    def draw(self, number: int) -> Receipt:
        """One of the two calls that draw the seed."""
        self.require(number, Phase.DRAW)
        return self.chain.draw_seed(number)

    def pay_out(self, number: int, batch: int = BATCH) -> list[Receipt]:
        """Pays every participant of a settled round, in batches."""
        round_ = self.round(number)
        self.require(number, Phase.PAYOUT)
        if round_.settlement is None:
            raise NotFound(f"round {number} is in its payout phase but its settlement was not seen; try again")
        rows = encode_rows(round_.settlement.rows)
        excluded = encode_excluded(round_.settlement.excluded, len(round_.participants))
        return [self.chain.pay_out(number, rows, excluded, *span) for span in spans(round_, batch)]

    def refund(self, number: int, batch: int = BATCH) -> list[Receipt]:
        """Gives everybody of a void round what is theirs, in batches."""
        round_ = self.round(number)
        self.require(number, Phase.VOID)
        return [self.chain.refund(number, *span) for span in spans(round_, batch)]

    # --- what the steps share ---

    def entry(self, round_: Round) -> Entry:
        """The account's bid in a round, from the state; or found again with the keys, where the state is an older one.

        Raises:
            BadInput: neither; says what is lost.
            StorageError: the sealed model, in which it is looked for, does not come.
        """
        number, account = round_.number, self.chain.account
        participant = round_.participants[self.index(round_)]
        try:
            return self.journal.entry(number, account, participant.sealed_bid)
        except StateError:
            raise
        except BadInput as error:
            found = self._find_again(round_, participant)
            if found is None or participant.model is None:
                raise BadInput(
                    f"{error} These keys do not open it either: unless it is found before the reveal phase ends, the "
                    "reveal bond is lost; the rest of the deposit comes back"
                ) from None
        log.warning("round %d: its bid was not in the state, and was found again with the keys", number)
        self.journal.commit(
            number,
            account,
            bid=found.bid,
            salt=found.salt,
            model=participant.model,
            key=found.key,
            deposit=participant.deposit,
        )
        self.journal.committed(number, account, participant.sealed_bid)
        return self.journal.entry(number, account, participant.sealed_bid)

    def _find_again(self, round_: Round, participant: Participant) -> Secrets | None:
        if participant.model is None:
            return None
        with self._scratch() as folder:
            self.store.get(participant.model.cid, folder / "sealed", sealed_limit(self.task(round_).file_limit))
            with open(folder / "sealed", "rb") as sealed:
                _, card = read_header(sealed)
        return find_secrets(self.keys, self.envelope(round_.number), card, participant.sealed_bid)

    def round(self, number: int) -> Round:
        """The round, as the chain's logs tell it now."""
        self.history.refresh()
        return self.history.round(number)

    def require(self, number: int, phase: Phase) -> None:
        """Raises WrongPhase unless the round is in `phase`; says which one it is in and when the right one starts."""
        require_phase(self.chain, number, phase)

    def index(self, round_: Round) -> int:
        """This account's index in the round."""
        for index, participant in enumerate(round_.participants):
            if participant.account == self.chain.account:
                return index
        raise BadInput(f"{self.chain.account} did not commit in round {round_.number}")

    def task(self, round_: Round) -> "OpenTask":
        """The round's task and base checkpoint."""
        from .models import open_task  # and with it torch, for which draws and payouts need not wait

        return open_task(self.store, round_.terms.task, self.folder / "tasks")

    def deliveries(self, round_: Round) -> DeliveryList:
        """The round's delivery list."""
        return read_deliveries(self.chain, self.store, round_)

    def envelope(self, number: int, account: str | None = None) -> Envelope:
        """Who and where a sealed file or key is for."""
        return Envelope(self.chain.chain_id, self.chain.market, number, account or self.chain.account)

    def _open(self, number: int, account: str, cid: bytes, key: bytes, out: Path, task: "OpenTask") -> dict[str, Any]:
        """Fetches and opens a sealed model, every size bounded by the task's. Returns its card."""
        sealed = out.with_suffix(".sealed")
        self.store.get(cid, sealed, sealed_limit(task.file_limit))
        card = open_file(sealed, out, key, self.envelope(number, account), task.file_limit)
        sealed.unlink()
        return card

    def prove_the_store(self) -> None:
        """Raises StorageError where what is stored does not come back: then nobody else is to blame for a file that
        does not come."""
        with self._scratch() as folder:
            (folder / "probe").write_bytes(PROBE)
            self.store.get(self.store.put(folder / "probe"), folder / "back", len(PROBE))

    @contextmanager
    def _scratch(self) -> Iterator[Path]:
        """A folder for one step, beside the results so that moving them is atomic."""
        self.scratch.mkdir(parents=True, exist_ok=True)
        # What a fetch that nobody waits for any more still writes is left to `sweep`.
        with tempfile.TemporaryDirectory(dir=self.scratch, ignore_cleanup_errors=True) as folder:
            yield Path(folder)


def spans(round_: Round, batch: int) -> Iterator[tuple[int, int]]:
    """The batches `from` … `to` - 1 over a round's participants; one empty one where there are none."""
    count = len(round_.participants)
    for start in range(0, max(count, 1), batch):
        yield start, min(start + batch, count)


def read_deliveries(chain: Chain, store: Store, round_: Round) -> DeliveryList:
    """A round's delivery list.

    Raises:
        NotFound: the round is not settled, or no store has the list.
        MalformedUpdate: it is none, or another round's.
    """
    if round_.deliveries is None:
        raise NotFound(f"round {round_.number} is not settled: nothing was delivered yet")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "list"
        store.get(round_.deliveries, path, LIMIT)
        listed = parse_delivery_list(path.read_bytes())
    here = chain.chain_id, chain.market.lower(), round_.number
    if (listed.chain_id, listed.market.lower(), listed.round) != here:
        raise MalformedUpdate(f"the delivery list of round {round_.number} names another round")
    return listed
