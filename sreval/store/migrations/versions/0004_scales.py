"""Scores as numbers of any scale: which there are, the design says."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

SCORE = "score BETWEEN 1 AND 5"


def upgrade() -> None:
    """To this revision."""
    with op.batch_alter_table("vote", table_kwargs={"sqlite_with_rowid": False}) as table:
        table.drop_constraint(op.f("ck_vote_score"), type_="check")
        table.alter_column("score", type_=sa.Double(), existing_type=sa.Integer())


def downgrade() -> None:
    """To the revision before."""
    with op.batch_alter_table("vote", table_kwargs={"sqlite_with_rowid": False}) as table:
        table.alter_column("score", type_=sa.Integer(), existing_type=sa.Double())
        table.create_check_constraint(op.f("ck_vote_score"), SCORE)
