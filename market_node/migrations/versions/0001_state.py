"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Makes them."""
    op.create_table(
        "facts",
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_facts"),
    )
    op.create_table(
        "rounds",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("chain_id", sa.BigInteger, nullable=False),
        sa.Column("genesis", sa.LargeBinary, nullable=False),
        sa.Column("market", sa.String(42), nullable=False),
        sa.Column("round", sa.BigInteger, nullable=False),
        sa.Column("account", sa.String(42), nullable=False),
        sa.Column("committed", sa.LargeBinary),
        sa.PrimaryKeyConstraint("id", name="pk_rounds"),
        sa.UniqueConstraint("chain_id", "genesis", "market", "round", "account", name="uq_rounds"),
    )
    op.create_table(
        "bids",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("round_id", sa.Integer, nullable=False),
        sa.Column("value", sa.String(78), nullable=False),
        sa.Column("cost", sa.String(78), nullable=False),
        sa.Column("samples", sa.String(78), nullable=False),
        sa.Column("min_reputation", sa.Integer, nullable=False),
        sa.Column("salt", sa.LargeBinary, nullable=False),
        sa.Column("cid", sa.LargeBinary, nullable=False),
        sa.Column("root", sa.LargeBinary, nullable=False),
        sa.Column("key", sa.LargeBinary, nullable=False),
        sa.Column("deposit", sa.String(78), nullable=False),
        sa.Column("sealed_bid", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_bids"),
        sa.ForeignKeyConstraint(["round_id"], ["rounds.id"], name="fk_bids"),
    )
    op.create_index("ix_bids_round_id", "bids", ["round_id"])
    op.create_table(
        "transactions",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("account", sa.String(42), nullable=False),
        sa.Column("nonce", sa.BigInteger, nullable=False),
        sa.Column("what", sa.String(100), nullable=False),
        sa.Column("round", sa.BigInteger),
        sa.Column("deed", sa.LargeBinary, nullable=False),
        sa.Column("raw", sa.LargeBinary, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.Column("max_fee", sa.String(78), nullable=False),
        sa.Column("tip", sa.String(78)),
        sa.Column("sent_at", sa.BigInteger, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("block", sa.BigInteger),
        sa.Column("replaced_by", sa.LargeBinary),
        sa.Column("told", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_transactions"),
        sa.UniqueConstraint("hash", name="uq_transactions"),
    )
    op.create_index("ix_transactions_nonce", "transactions", ["account", "nonce"])
    op.create_table(
        "blocks",
        sa.Column("number", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_blocks"),
    )
