"""Items of two or three pictures: a pair's right one, and the original in view."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from alembic import op
from alembic.operations import BatchOperations

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

KINDS = "kind IN ('calibration', 'warm-up', 'vote', 'repeat', 'gold'{})"
PICTURES: tuple[tuple[str, Any], ...] = (
    ("right_method", sa.Text()),
    ("right_sha256", sa.String(64)),
    ("right_address", sa.String(40)),
    ("right_sent_at", sa.DateTime(timezone=True)),
    ("reference_sha256", sa.String(64)),
    ("reference_address", sa.String(40)),
    ("reference_sent_at", sa.DateTime(timezone=True)),
)
LOOKS: tuple[tuple[str, Any], ...] = (
    ("switches", sa.Integer()),
    ("left_ms", sa.Double()),
    ("right_ms", sa.Double()),
    ("reference_ms", sa.Double()),
)


@contextmanager
def plan_items() -> Iterator[BatchOperations]:
    """Change the table of plan items. SQLite makes it anew, and would delete every vote with the
    old one: votes are put aside until the new one stands."""
    aside = op.get_bind().dialect.name == "sqlite"
    if aside:
        op.execute("CREATE TEMPORARY TABLE votes_aside AS SELECT * FROM vote")
    with op.batch_alter_table("plan_item", table_kwargs={"sqlite_with_rowid": False}) as table:
        yield table
    if aside:
        op.execute("INSERT INTO vote SELECT * FROM votes_aside")
        op.execute("DROP TABLE votes_aside")


def upgrade() -> None:
    """To this revision."""
    with plan_items() as table:
        table.drop_constraint(op.f("ck_plan_item_kind"), type_="check")
        table.create_check_constraint(op.f("ck_plan_item_kind"), KINDS.format(", 'same'"))
        for name, kind in PICTURES:
            table.add_column(sa.Column(name, kind))
    for name, number in LOOKS:
        op.add_column("vote", sa.Column(name, number))


def downgrade() -> None:
    """To the revision before. The database refuses while it holds items of the kind same."""
    for name, _ in LOOKS:
        op.drop_column("vote", name)
    with plan_items() as table:
        for name, _ in PICTURES:
            table.drop_column(name)
        table.drop_constraint(op.f("ck_plan_item_kind"), type_="check")
        table.create_check_constraint(op.f("ck_plan_item_kind"), KINDS.format(""))
