"""How the tables came to be as `tables` has them, step by step: Alembic's, part of the package, run at opening."""
