"""Raters of panels, in groups and languages, who check their screens and comment; joined sites."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from alembic import op
from alembic.operations import BatchOperations

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

STAGES = (
    "stage IN ('consent', 'device', {}'questions', 'instructions', 'rating', 'break', 'rest', "
    "'closing', 'done')"
)
OUTCOMES = "outcome IN ('complete', 'screened_out', 'failed_check', 'withdrew', 'expired'{})"
KINDS = "kind IN ('calibration', 'warm-up', 'vote', 'repeat', 'gold', 'same'{})"
DONE = "done BETWEEN 0 AND total"
"""What a batch doesn't carry over to SQLite's new table of sessions."""
GOLD = sa.text("kind = 'gold'")

FIRST_LINK = """
UPDATE rater SET link_number = (
    WITH RECURSIVE chain (id, parent_id) AS (
        SELECT id, parent_id FROM invitation WHERE id = rater.invitation_id
        UNION ALL
        SELECT invitation.id, invitation.parent_id
        FROM invitation JOIN chain ON invitation.id = chain.parent_id
    )
    SELECT id FROM chain WHERE parent_id IS NULL
)
"""
"""A rater's own link was made from the one that they came by, or replaced it."""
LABEL = """
UPDATE rater SET link_label = (
    SELECT NULLIF(label, '') FROM invitation WHERE id = rater.link_number
)
"""


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


@contextmanager
def _sessions(stages: str, outcomes: str) -> Iterator[BatchOperations]:
    with changed("session") as batch:
        rules = {"stage": STAGES.format(stages), "outcome": OUTCOMES.format(outcomes)}
        for name in rules:
            batch.drop_constraint(op.f(f"ck_session_{name}"), type_="check")
        if op.get_bind().dialect.name == "sqlite":
            rules["done"] = DONE
        for name, rule in rules.items():
            batch.create_check_constraint(op.f(f"ck_session_{name}"), rule)
        yield batch


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
    with _sessions("'checks', ", ", 'ended_early', 'quota_full'") as batch:
        batch.add_column(
            sa.Column("group", sa.String(200), nullable=False, server_default=sa.text("''"))
        )
        batch.add_column(sa.Column("language", sa.String(2)))
        batch.add_column(sa.Column("site", sa.Text()))
    _slot_index("group", "slot")
    _items(", 'stabilising'")
    op.create_index(
        "ix_plan_item_gold", "plan_item", ["session_id"], sqlite_where=GOLD, postgresql_where=GOLD
    )
    op.add_column("invitation", sa.Column("group", sa.String(200)))
    op.add_column("rater", sa.Column("link_number", sa.Integer()))
    op.add_column("rater", sa.Column("link_label", sa.Text()))
    op.execute(FIRST_LINK)
    op.execute(LABEL)
    op.add_column("vote", sa.Column("comment", sa.Text()))
    op.create_table(
        "participant",
        sa.Column("session_id", sa.String(40), nullable=False),
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.Column("participant", sa.Text(), nullable=True),
        sa.Column("kept", sa.Text(), nullable=False),
        sa.Column("code", sa.String(20), nullable=True),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["session.id"],
            name=op.f("fk_participant_session_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["study_id"], ["study.id"], name=op.f("fk_participant_study_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("session_id", name=op.f("pk_participant")),
        sa.UniqueConstraint(
            "study_id", "participant", name=op.f("uq_participant_study_id_participant")
        ),
    )
    op.create_table(
        "viewing_check",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("session_id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["session.id"],
            name=op.f("fk_viewing_check_session_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_viewing_check")),
        sa.UniqueConstraint("session_id", "kind", name=op.f("uq_viewing_check_session_id_kind")),
    )


def downgrade() -> None:
    """To the revision before, which knows no participants, checks or comments. Who is at a check
    is at the page before it again. The database refuses while it holds what that revision has no
    name for: outcomes and items of this one, and one slot in two groups."""
    op.drop_table("viewing_check")
    op.drop_table("participant")
    op.drop_column("vote", "comment")
    op.drop_column("rater", "link_label")
    op.drop_column("rater", "link_number")
    op.drop_column("invitation", "group")
    op.drop_index("ix_plan_item_gold", table_name="plan_item")
    _items("")
    op.drop_index("ix_session_slot", "session")
    op.execute("UPDATE session SET stage = 'device' WHERE stage = 'checks'")
    with _sessions("", "") as batch:
        for name in ("site", "language", "group"):
            batch.drop_column(name)
    _slot_index("slot")
