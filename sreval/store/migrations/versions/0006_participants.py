"""Participants of panels, apart from votes; and the link that each rater came by."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

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


def upgrade() -> None:
    """To this revision."""
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
    op.add_column("rater", sa.Column("link_number", sa.Integer()))
    op.add_column("rater", sa.Column("link_label", sa.Text()))
    op.execute(FIRST_LINK)
    op.execute(LABEL)


def downgrade() -> None:
    """To the revision before, which knows no participants."""
    op.drop_column("rater", "link_label")
    op.drop_column("rater", "link_number")
    op.drop_table("participant")
