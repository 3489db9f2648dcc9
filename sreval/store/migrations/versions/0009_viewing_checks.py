"""What viewing checks found, and the stage at which they are made."""

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from alembic import op
from alembic.operations import BatchOperations

revision = "0009"
down_revision = "0005"
branch_labels = None
depends_on = None

STAGES = (
    "stage IN ('consent', 'device', {}'questions', 'instructions', 'rating', 'break', 'rest', "
    "'closing', 'done')"
)


@contextmanager
def sessions() -> Iterator[BatchOperations]:
    """Change the table of sessions. SQLite makes it anew, and would delete with the old one all
    that hangs on it: those rows are put aside until the new one stands."""
    bind = op.get_bind()
    aside = _hanging(bind) if bind.dialect.name == "sqlite" else []
    for name in aside:
        op.execute(f"CREATE TEMPORARY TABLE {name}_aside AS SELECT * FROM {name}")
    with op.batch_alter_table("session") as table:
        yield table
    for name in aside:
        op.execute(f"INSERT INTO {name} SELECT * FROM {name}_aside")
        op.execute(f"DROP TABLE {name}_aside")


def _hanging(bind: sa.Connection) -> list[str]:
    """The tables whose rows go when their session goes, those that others hang on first."""
    found = sa.MetaData()
    found.reflect(bind)
    gone = {"session"}
    for table in found.sorted_tables:
        keys = table.foreign_key_constraints
        if any(key.ondelete == "CASCADE" and key.referred_table.name in gone for key in keys):
            gone.add(table.name)
    return [table.name for table in found.sorted_tables if table.name in gone - {"session"}]


def upgrade() -> None:
    """To this revision."""
    with sessions() as table:
        table.drop_constraint(op.f("ck_session_stage"), type_="check")
        table.create_check_constraint(op.f("ck_session_stage"), STAGES.format("'checks', "))
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
    """To the revision before. Who is at a check is at the page before it again."""
    op.drop_table("viewing_check")
    op.execute("UPDATE session SET stage = 'device' WHERE stage = 'checks'")
    with sessions() as table:
        table.drop_constraint(op.f("ck_session_stage"), type_="check")
        table.create_check_constraint(op.f("ck_session_stage"), STAGES.format(""))
