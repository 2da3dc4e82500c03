"""The tables of a node's state. The migrations make them; a test compares both.

facts          what the state belongs to: chain, market, account
rounds, bids   what a lost reveal would cost: the attempts to commit, and which of them the chain holds
transactions   what was signed, before it is sent
blocks         the last blocks that were read, by their hashes
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.types import TypeDecorator


class Amount(TypeDecorator[int]):
    """A whole number below 2**256, kept as its digits: no database's own integers are as wide."""

    impl = String(78)
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        """How it is kept."""
        return None if value is None else str(int(value))

    def process_result_value(self, value: Any, dialect: Dialect) -> int | None:
        """How it comes back."""
        return None if value is None else int(value)


TABLES = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s",
        "fk": "fk_%(table_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    }
)

FACTS = Table(
    "facts",
    TABLES,
    Column("name", String(32), primary_key=True),
    Column("value", Text, nullable=False),
)

ROUNDS = Table(
    "rounds",
    TABLES,
    Column("id", Integer, primary_key=True),
    Column("chain_id", BigInteger, nullable=False),
    Column("genesis", LargeBinary, nullable=False),
    Column("market", String(42), nullable=False),
    Column("round", BigInteger, nullable=False),
    Column("account", String(42), nullable=False),
    Column("committed", LargeBinary),  # the sealed bid that the chain holds
    UniqueConstraint("chain_id", "genesis", "market", "round", "account"),
)

BIDS = Table(
    "bids",
    TABLES,
    Column("id", Integer, primary_key=True),
    Column("round_id", Integer, ForeignKey("rounds.id"), nullable=False, index=True),
    Column("value", Amount, nullable=False),
    Column("cost", Amount, nullable=False),
    Column("samples", Amount, nullable=False),
    Column("min_reputation", Integer, nullable=False),
    Column("salt", LargeBinary, nullable=False),
    Column("cid", LargeBinary, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("key", LargeBinary, nullable=False),
    Column("deposit", Amount, nullable=False),
    Column("sealed_bid", LargeBinary, nullable=False),
)

TRANSACTIONS = Table(
    "transactions",
    TABLES,
    Column("id", Integer, primary_key=True),
    Column("account", String(42), nullable=False),
    Column("nonce", BigInteger, nullable=False),
    Column("what", String(100), nullable=False),  # such as "Market.commit"
    Column("round", BigInteger),
    Column("deed", LargeBinary, nullable=False),  # hash of receiver and calldata: what is wanted, at whatever nonce
    Column("raw", LargeBinary, nullable=False),
    Column("hash", LargeBinary, nullable=False, unique=True),
    Column("max_fee", Amount, nullable=False),  # wei per gas
    Column("tip", Amount),  # wei per gas; none on a chain without EIP-1559
    Column("sent_at", BigInteger, nullable=False),  # seconds since the epoch
    Column("status", String(16), nullable=False),
    Column("block", BigInteger),
    Column("replaced_by", LargeBinary),  # hash
    Column("told", Boolean, nullable=False),  # whether its outcome has been said to whoever wanted it
    Index("ix_transactions_nonce", "account", "nonce"),
)

BLOCKS = Table(
    "blocks",
    TABLES,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary, nullable=False),
)
