"""What must be on disk before it is sent: the bids, whose loss costs the reveal bond.

Nothing in it is ever replaced: an attempt to commit whose fate is unknown (the node was stopped, the endpoint did not
answer) stays beside the next one, and what the chain holds says which of them it was.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from .codec import seal_bid
from .database import Database
from .errors import BadInput
from .records import Bid, Model
from .tables import BIDS, ROUNDS


@dataclass(frozen=True, slots=True)
class Entry:
    """One attempt to commit."""

    bid: Bid
    salt: bytes
    model: Model
    key: bytes
    """The content key of the sealed model."""
    deposit: int
    sealed_bid: bytes
    """What the commit shows of the bid."""


class Journal:
    """The bids of one market's rounds.

    Args:
        database: where they are kept.
        genesis: hash of the chain's first block: a development chain that starts again with the same id is another.
    """

    def __init__(self, database: Database, chain_id: int, market: str, genesis: bytes = b"") -> None:
        self.database = database
        self.chain_id = chain_id
        self.market = market
        self.genesis = genesis

    def commit(
        self, number: int, account: str, *, bid: Bid, salt: bytes, model: Model, key: bytes, deposit: int
    ) -> Entry:
        """Writes an attempt to commit down, beside the earlier ones. It is on the disk when this returns.

        Raises:
            BadInput: another bid is known to be committed in the round.
            StateError: it cannot be written.
        """
        sealed = seal_bid(self.market, self.chain_id, number, account, bid, salt)
        entry = Entry(bid, salt, model, key, deposit, sealed)
        with self.database.begin() as connection:
            round_id, entries, committed = self._read(connection, number, account)
            if committed not in (None, sealed):
                raise BadInput(f"{account} has committed to another bid in round {number}; a bid cannot be changed")
            if entry not in entries:
                self._add(connection, round_id or self._begin(connection, number, account), entry)
        return entry

    def committed(self, number: int, account: str, sealed_bid: bytes) -> None:
        """Writes down which attempt the chain holds. From then on the round's entry is that one.

        Raises:
            BadInput: it is none that was written down.
        """
        with self.database.begin() as connection:
            round_id, entries, committed = self._read(connection, number, account)
            if sealed_bid != committed:
                self._find(entries, sealed_bid, number, account)
                self._settle(connection, round_id, sealed_bid)

    def entry(self, number: int, account: str, sealed_bid: bytes | None = None) -> Entry:
        """The bid of a round.

        Args:
            sealed_bid: which one, as the round's logs show it; without it the one that is known to be committed, or
                the last attempt.

        Raises:
            BadInput: there is none, or not that one.
        """
        with self.database.begin() as connection:
            _, entries, committed = self._read(connection, number, account)
        if not entries:
            raise BadInput(
                f"{self.database.name} has no bid of {account} in round {number}: was it made on another machine?"
            )
        wanted = sealed_bid or committed
        return entries[-1] if wanted is None else self._find(entries, wanted, number, account)

    def rounds(self, account: str) -> tuple[int, ...]:
        """The rounds in which an account has tried to commit, in order."""
        mine = self._here() & (ROUNDS.c.account == account.lower())
        with self.database.begin() as connection:
            return tuple(connection.execute(select(ROUNDS.c.round).where(mine).order_by(ROUNDS.c.round)).scalars())

    def take_over(self, folder: Path) -> int:
        """Takes over what a node of an earlier version has written as files, and renames their folder.

        Args:
            folder: where that version kept its rounds.

        Returns:
            How many bids are new here.

        Raises:
            BadInput: a file is damaged; nothing was taken over, and nothing is renamed.
        """
        name = f"{self.chain_id}-{self.genesis.hex()[:8]}" if self.genesis else str(self.chain_id)
        folder = folder / name / self.market.lower()
        if not folder.is_dir():
            return 0
        taken = 0
        with self.database.begin() as connection:
            for path in sorted(folder.glob("*-0x*.json")):
                number, _, account = path.stem.partition("-")
                if not number.isdecimal():
                    continue
                found, sealed = _file(path)
                round_id, entries, committed = self._read(connection, int(number), account)
                round_id = round_id or self._begin(connection, int(number), account)
                for entry in [each for each in found if each not in entries]:
                    self._add(connection, round_id, entry)
                    taken += 1
                if sealed and committed is None:
                    self._settle(connection, round_id, sealed)
        # Only now: a crash before this takes over the same again, which changes nothing.
        folder.rename(folder.with_name(folder.name + ".taken-over"))
        return taken

    # --- inside ---

    def _here(self) -> Any:
        return (
            (ROUNDS.c.chain_id == self.chain_id)
            & (ROUNDS.c.genesis == self.genesis)
            & (ROUNDS.c.market == self.market.lower())
        )

    def _read(self, connection: Connection, number: int, account: str) -> tuple[int, list[Entry], bytes | None]:
        """The round's row, 0 where there is none; its bids, oldest first; and the one that the chain holds."""
        mine = self._here() & (ROUNDS.c.round == number) & (ROUNDS.c.account == account.lower())
        row = connection.execute(select(ROUNDS.c.id, ROUNDS.c.committed).where(mine)).one_or_none()
        if row is None:
            return 0, [], None
        bids = connection.execute(select(BIDS).where(BIDS.c.round_id == row.id).order_by(BIDS.c.id))
        return row.id, [_entry(each) for each in bids], bytes(row.committed) if row.committed else None

    def _begin(self, connection: Connection, number: int, account: str) -> int:
        mine = {"market": self.market.lower(), "round": number, "account": account.lower()}
        row = insert(ROUNDS).values(chain_id=self.chain_id, genesis=self.genesis, **mine)
        return int(connection.execute(row.returning(ROUNDS.c.id)).scalar_one())

    @staticmethod
    def _add(connection: Connection, round_id: int, entry: Entry) -> None:
        values = {
            "value": entry.bid.value,
            "cost": entry.bid.cost,
            "samples": entry.bid.samples,
            "min_reputation": entry.bid.min_reputation,
            "salt": entry.salt,
            "cid": entry.model.cid,
            "root": entry.model.root,
            "key": entry.key,
            "deposit": entry.deposit,
            "sealed_bid": entry.sealed_bid,
        }
        connection.execute(insert(BIDS).values(round_id=round_id, **values))

    @staticmethod
    def _settle(connection: Connection, round_id: int, sealed_bid: bytes) -> None:
        connection.execute(update(ROUNDS).where(ROUNDS.c.id == round_id).values(committed=sealed_bid))

    def _find(self, entries: list[Entry], sealed_bid: bytes, number: int, account: str) -> Entry:
        for entry in entries:
            if entry.sealed_bid == sealed_bid:
                return entry
        raise BadInput(
            f"{self.database.name} has no bid of {account} in round {number} with the seal {sealed_bid.hex()}, which "
            "is the one on chain: was it made on another machine?"
        )


def _entry(row: Row[Any]) -> Entry:
    return Entry(
        Bid(row.value, row.cost, row.samples, row.min_reputation),
        bytes(row.salt),
        Model(bytes(row.cid), bytes(row.root)),
        bytes(row.key),
        row.deposit,
        bytes(row.sealed_bid),
    )


def _file(path: Path) -> tuple[list[Entry], bytes | None]:
    """The attempts in a file of an earlier version, and the one that the chain holds."""
    try:
        content = json.loads(path.read_bytes())
        committed = content["committed"]
        entries = [
            Entry(
                Bid(*map(int, item["bid"])),
                bytes.fromhex(item["salt"]),
                Model(*map(bytes.fromhex, item["model"])),
                bytes.fromhex(item["key"]),
                int(item["deposit"]),
                bytes.fromhex(item["sealedBid"]),
            )
            for item in content["attempts"]
        ]
        return entries, bytes.fromhex(committed) if committed else None
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{path} is damaged ({type(error).__name__}): restore it from a backup") from error
