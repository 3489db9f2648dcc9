"""Groups of raters, sessions that a check or a quota ends, and items that stabilise judgements."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from alembic import op
from alembic.operations import BatchOperations

revision = "0007"
down_revision = "0005"
branch_labels = None
depends_on = None

OUTCOMES = "outcome IN ('complete', 'screened_out', 'failed_check', 'withdrew', 'expired'{})"
KINDS = "kind IN ('calibration', 'warm-up', 'vote', 'repeat', 'gold', 'same'{})"
KEPT = {
    "stage": "stage IN ('consent', 'device', 'questions', 'instructions', 'rating', 'break', "
    "'rest', 'closing', 'done')",
    "done": "done BETWEEN 0 AND total",
}
"""What a batch doesn't carry over to SQLite's new table of sessions."""


def _depending(name: str) -> list[sa.Table]:
    """The tables whose rows fall with those of a table, each after those that it refers to."""
    tables = sa.MetaData()
    tables.reflect(op.get_bind())
    falling = {name}
    for table in tables.sorted_tables:
        if any(key.column.table.name in falling for key in table.foreign_keys):
            falling.add(table.name)
    return [t for t in tables.sorted_tables if t.name in falling - {name}]


@contextmanager
def changed(name: str, **options: Any) -> Iterator[BatchOperations]:
    """Change a table. SQLite makes it anew, and would delete all that refers to the old one:
    those rows are put aside until the new one stands."""
    aside = _depending(name) if op.get_bind().dialect.name == "sqlite" else []
    for table in aside:
        op.execute(f"CREATE TEMPORARY TABLE aside_{table.name} AS SELECT * FROM {table.name}")
    with op.batch_alter_table(name, **options) as batch:
        yield batch
    for table in reversed(aside):
        op.execute(sa.delete(table))
    for table in aside:
        op.execute(f"INSERT INTO {table.name} SELECT * FROM aside_{table.name}")
        op.execute(f"DROP TABLE aside_{table.name}")


def _sessions(batch: BatchOperations, outcomes: str) -> None:
    batch.drop_constraint(op.f("ck_session_outcome"), type_="check")
    batch.create_check_constraint(op.f("ck_session_outcome"), OUTCOMES.format(outcomes))
    if op.get_bind().dialect.name == "sqlite":
        for name, rule in KEPT.items():
            batch.create_check_constraint(op.f(f"ck_session_{name}"), rule)


def _slot_index(*columns: str) -> None:
    where = sa.text("holds_slot")
    op.create_index(
        "ix_session_slot", "session", ["study_id", *columns],
        unique=True, sqlite_where=where, postgresql_where=where,
    )  # fmt: skip


def _items(kinds: str) -> None:
    with changed("plan_item", table_kwargs={"sqlite_with_rowid": False}) as batch:
        batch.drop_constraint(op.f("ck_plan_item_kind"), type_="check")
        batch.create_check_constraint(op.f("ck_plan_item_kind"), KINDS.format(kinds))


def upgrade() -> None:
    """To this revision."""
    op.drop_index("ix_session_slot", "session")
    with changed("session") as batch:
        _sessions(batch, ", 'ended_early', 'quota_full'")
        batch.add_column(
            sa.Column("group", sa.String(200), nullable=False, server_default=sa.text("''"))
        )
    _slot_index("group", "slot")
    op.add_column("invitation", sa.Column("group", sa.String(200)))
    _items(", 'stabilising'")


def downgrade() -> None:
    """To the revision before. The database refuses while it holds what that has no name for:
    outcomes and items of this revision, and one slot in two groups."""
    _items("")
    op.drop_column("invitation", "group")
    op.drop_index("ix_session_slot", "session")
    with changed("session") as batch:
        _sessions(batch, "")
        batch.drop_column("group")
    _slot_index("slot")
