"""What is known of a look: when its image was sent, how long it was hidden or out of focus."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """To this revision."""
    op.add_column("plan_item", sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("vote", sa.Column("hidden_ms", sa.Double(), nullable=True))
    op.add_column("vote", sa.Column("unfocused_ms", sa.Double(), nullable=True))


def downgrade() -> None:
    """To the revision before."""
    op.drop_column("vote", "unfocused_ms")
    op.drop_column("vote", "hidden_ms")
    op.drop_column("plan_item", "sent_at")
