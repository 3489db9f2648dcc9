"""Votes in a database: SQLAlchemy tables, migrations, the few transactions that write. No Flask."""
