"""Run by Alembic, on the connection that `database` gives it."""

from alembic import context

from market_node.tables import TABLES

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=TABLES,
    transaction_per_migration=True,
    transactional_ddl=True,  # Alembic believes that SQLite has none; `database` begins its transactions itself
)
with context.begin_transaction():
    context.run_migrations()
