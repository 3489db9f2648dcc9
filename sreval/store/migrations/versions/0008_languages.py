"""The language of the texts that a rater reads."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """To this revision."""
    op.add_column("session", sa.Column("language", sa.String(2), nullable=True))


def downgrade() -> None:
    """To the revision before."""
    op.drop_column("session", "language")
