"""The transactions of one account, in the order of their nonces. What is sent stands here first."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, insert, select, update

from .database import Database
from .tables import TRANSACTIONS

OPEN = ("signed", "sent")
"""May still be mined: signed, and perhaps sent; or taken by a node."""

DONE = ("mined", "failed")
"""In a block, and what became of it."""

# The other two: "replaced", by one of the same nonce that was mined, and "gone": refused by every node that was asked,
# or its nonce was used by a transaction that is not in the book.


@dataclass(frozen=True, slots=True)
class Sent:
    """A transaction in the book."""

    nonce: int
    what: str
    round: int | None
    deed: bytes
    """Hash of what it calls, 32 bytes: the same for the same call at another nonce or price."""
    raw: bytes
    """As it goes over the wire."""
    hash: bytes
    max_fee: int
    """Wei per gas."""
    tip: int | None
    """Wei per gas; None on a chain without EIP-1559."""
    sent_at: int
    """Seconds since the epoch."""
    status: str
    block: int | None = None
    replaced_by: bytes | None = None

    @property
    def name(self) -> str:
        """The hash, 0x…."""
        return "0x" + self.hash.hex()


class Book:
    """One account's transactions in a state."""

    def __init__(self, database: Database, account: str) -> None:
        self.database = database
        self.account = account.lower()

    def add(self, sent: Sent, replaces: Sent | None = None) -> None:
        """Writes a transaction down. It is on the disk when this returns.

        Args:
            replaces: one of the same nonce that pays too little.
        """
        fields = ("nonce", "what", "round", "deed", "raw", "hash", "max_fee", "tip", "sent_at", "status")
        row = {name: getattr(sent, name) for name in fields}
        with self.database.begin() as connection:
            connection.execute(insert(TRANSACTIONS).values(account=self.account, told=False, **row))
            if replaces is not None:
                one = self._mine(TRANSACTIONS.c.hash == replaces.hash)
                connection.execute(update(TRANSACTIONS).where(one).values(replaced_by=sent.hash))

    def mark(self, sent: Sent, status: str) -> None:
        """Writes down what became of a transaction."""
        with self.database.begin() as connection:
            one = self._mine(TRANSACTIONS.c.hash == sent.hash)
            connection.execute(update(TRANSACTIONS).where(one).values(status=status, block=None))

    def lost(self, sent: Sent) -> None:
        """A reorganisation took it out of its block. It goes out again, and whoever wants the deed again finds it."""
        with self.database.begin() as connection:
            one = self._mine(TRANSACTIONS.c.hash == sent.hash)
            connection.execute(update(TRANSACTIONS).where(one).values(status="sent", block=None, told=False))

    def mined(self, digest: bytes, nonce: int, block: int, *, succeeded: bool) -> None:
        """One of those of a nonce is in a block: the others never will be."""
        same, one = TRANSACTIONS.c.nonce == nonce, TRANSACTIONS.c.hash == digest
        others = self._mine(same & ~one & TRANSACTIONS.c.status.in_(OPEN))
        status = "mined" if succeeded else "failed"
        with self.database.begin() as connection:
            connection.execute(update(TRANSACTIONS).where(others).values(status="replaced", replaced_by=digest))
            connection.execute(update(TRANSACTIONS).where(self._mine(one)).values(status=status, block=block))

    def told(self, sent: Sent) -> None:
        """What became of a deed has been said to whoever wanted it done: asked for again, it is another one."""
        one = self._mine((TRANSACTIONS.c.nonce == sent.nonce) & (TRANSACTIONS.c.deed == sent.deed))
        with self.database.begin() as connection:
            connection.execute(update(TRANSACTIONS).where(one).values(told=True))

    def wanted(self, deed: bytes) -> Sent | None:
        """The last transaction that does a deed and of which nobody was told what became of it."""
        found = self._select(
            (TRANSACTIONS.c.deed == deed) & ~TRANSACTIONS.c.told & TRANSACTIONS.c.status.in_((*OPEN, "mined"))
        )
        return found[-1] if found else None

    def open(self) -> list[Sent]:
        """Those that may still be mined, but for the ones that were replaced by a dearer one."""
        return self._select(TRANSACTIONS.c.status.in_(OPEN) & TRANSACTIONS.c.replaced_by.is_(None))

    def of(self, nonce: int) -> list[Sent]:
        """Every transaction of a nonce, the last one signed at the end. Only one of them can be mined."""
        return self._select(TRANSACTIONS.c.nonce == nonce)

    def done_from(self, nonce: int) -> list[Sent]:
        """Those from a nonce on that were in a block."""
        return self._select((TRANSACTIONS.c.nonce >= nonce) & TRANSACTIONS.c.status.in_(DONE))

    def free(self, least: int) -> int:
        """The first nonce from `least` on that is not taken."""
        taken = self._mine((TRANSACTIONS.c.nonce >= least) & TRANSACTIONS.c.status.in_((*OPEN, *DONE)))
        with self.database.begin() as connection:
            nonces = set(connection.execute(select(TRANSACTIONS.c.nonce).where(taken)).scalars())
        while least in nonces:
            least += 1
        return least

    def every(self) -> list[Sent]:
        """All of them."""
        return self._select(TRANSACTIONS.c.nonce >= 0)

    def _mine(self, condition: Any) -> Any:
        return (TRANSACTIONS.c.account == self.account) & condition

    def _select(self, condition: Any) -> list[Sent]:
        ordered = select(TRANSACTIONS).where(self._mine(condition)).order_by(TRANSACTIONS.c.nonce, TRANSACTIONS.c.id)
        with self.database.begin() as connection:
            return [_sent(row) for row in connection.execute(ordered)]


def _sent(row: Row[Any]) -> Sent:
    return Sent(
        row.nonce,
        row.what,
        row.round,
        bytes(row.deed),
        bytes(row.raw),
        bytes(row.hash),
        row.max_fee,
        row.tip,
        row.sent_at,
        row.status,
        row.block,
        bytes(row.replaced_by) if row.replaced_by else None,
    )
