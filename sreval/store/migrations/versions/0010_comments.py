"""Votes may have a comment."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """To this revision."""
    op.add_column("vote", sa.Column("comment", sa.Text()))


def downgrade() -> None:
    """To the revision before, without the comments."""
    op.drop_column("vote", "comment")
