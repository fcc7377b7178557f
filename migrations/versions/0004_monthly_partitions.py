"""Uptime samples in monthly partitions, on PostgreSQL.

Revision 0004, after 0003. 2026-11-24.
"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# `LIKE` brings columns, defaults, checks and comments; keys are named again, as the old table still has their names.
MOVE_ASIDE = """
ALTER TABLE uptime_samples RENAME TO old_uptime_samples;
ALTER TABLE old_uptime_samples DROP CONSTRAINT pk_uptime_samples;
ALTER TABLE old_uptime_samples DROP CONSTRAINT fk_uptime_samples_endpoint_id_endpoints;
"""
NAME_KEYS = """
ALTER TABLE uptime_samples ADD CONSTRAINT pk_uptime_samples PRIMARY KEY (endpoint_id, observed_at);
ALTER TABLE uptime_samples ADD CONSTRAINT fk_uptime_samples_endpoint_id_endpoints
    FOREIGN KEY (endpoint_id) REFERENCES endpoints (id);
COMMENT ON TABLE uptime_samples IS
    'One row for one endpoint in one look that counts. Share of requests; from 2026-10-08 on, of minutes.';
"""
MAKE_MONTHS = """
DO $$
DECLARE
    month timestamp;
BEGIN
    FOR month IN SELECT DISTINCT date_trunc('month', observed_at AT TIME ZONE 'UTC') FROM old_uptime_samples LOOP
        EXECUTE format(
            'CREATE TABLE %I PARTITION OF uptime_samples FOR VALUES FROM (%L) TO (%L)',
            'uptime_samples_' || to_char(month, 'YYYY_MM'),
            to_char(month, 'YYYY-MM-DD') || ' 00:00:00+00',
            to_char(month + interval '1 month', 'YYYY-MM-DD') || ' 00:00:00+00'
        );
    END LOOP;
END $$;
"""
COPY = """
INSERT INTO uptime_samples SELECT * FROM old_uptime_samples;
"""


def upgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        op.execute(MOVE_ASIDE)
        op.execute(
            "CREATE TABLE uptime_samples (LIKE old_uptime_samples INCLUDING ALL) PARTITION BY RANGE (observed_at)"
        )
        op.execute(NAME_KEYS)
        op.execute(MAKE_MONTHS)
        op.execute(COPY)
        op.drop_table("old_uptime_samples")


def downgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        op.execute(MOVE_ASIDE)
        op.execute("CREATE TABLE uptime_samples (LIKE old_uptime_samples INCLUDING ALL)")
        op.execute(NAME_KEYS)
        op.execute(COPY)
        op.drop_table("old_uptime_samples")
