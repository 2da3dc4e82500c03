"""The last blocks that were read, by their hashes. Across a restart they tell that the chain was reorganised meanwhile,
and that a node is behind."""

from sqlalchemy import delete, insert, select

from .database import Database
from .tables import BLOCKS

KEPT = 64
"""How many are kept."""


class Seen:
    """The blocks of a state."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def add(self, number: int, digest: bytes) -> None:
        """The newest block. What stood at its number or after it was undone."""
        with self.database.begin() as connection:
            connection.execute(delete(BLOCKS).where(BLOCKS.c.number >= number))
            connection.execute(insert(BLOCKS).values(number=number, hash=digest))
            numbers = connection.execute(select(BLOCKS.c.number).order_by(BLOCKS.c.number.desc())).scalars().all()
            if len(numbers) > KEPT:
                connection.execute(delete(BLOCKS).where(BLOCKS.c.number <= numbers[KEPT]))

    def undo(self, number: int) -> None:
        """Forgets a block, and what came after it."""
        with self.database.begin() as connection:
            connection.execute(delete(BLOCKS).where(BLOCKS.c.number >= number))

    def last(self) -> list[tuple[int, bytes]]:
        """Number and hash, the newest first."""
        with self.database.begin() as connection:
            rows = connection.execute(select(BLOCKS).order_by(BLOCKS.c.number.desc()))
            return [(row.number, bytes(row.hash)) for row in rows]
