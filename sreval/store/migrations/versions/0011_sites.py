"""Where a session took place, of studies joined from several sites."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """To this revision."""
    op.add_column("session", sa.Column("site", sa.Text(), nullable=True))


def downgrade() -> None:
    """To the revision before."""
    op.drop_column("session", "site")
