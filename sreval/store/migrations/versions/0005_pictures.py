"""Items of two or three pictures: a pair's right one, and the original in view."""

from typing import Any

import sqlalchemy as sa
from alembic import op

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


def upgrade() -> None:
    """To this revision."""
    with op.batch_alter_table("plan_item", table_kwargs={"sqlite_with_rowid": False}) as table:
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
    with op.batch_alter_table("plan_item", table_kwargs={"sqlite_with_rowid": False}) as table:
        for name, _ in PICTURES:
            table.drop_column(name)
        table.drop_constraint(op.f("ck_plan_item_kind"), type_="check")
        table.create_check_constraint(op.f("ck_plan_item_kind"), KINDS.format(""))
