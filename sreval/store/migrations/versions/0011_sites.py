"""Where a session took place, of studies joined from several sites; gold items at once."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """To this revision."""
    op.add_column("session", sa.Column("site", sa.Text(), nullable=True))
    gold = sa.text("kind = 'gold'")
    op.create_index(
        "ix_plan_item_gold", "plan_item", ["session_id"], sqlite_where=gold, postgresql_where=gold
    )


def downgrade() -> None:
    """To the revision before."""
    op.drop_index("ix_plan_item_gold", table_name="plan_item")
    op.drop_column("session", "site")
