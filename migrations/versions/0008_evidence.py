"""A view of the looks that history rests on, and where each came from.

Revision 0008, after 0007. 2026-11-25.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

MEANING = "One row for one look that counts: history rests on these."
COLUMNS = [
    ("model", "m.openrouter_id", "The resolved model id (data.id)."),
    ("path", "t.author || '/' || t.slug", "The path that was asked for."),
    ("observed_at", "o.observed_at", "When (UTC)."),
    ("outcome", "o.outcome", "ok, or gone (the API's own 404)."),
    ("complete", "o.complete", "Whether every endpoint in it could be read: only then is absence proved."),
    ("source", "r.source", "live: a look of our own; files, git, wayback: imported."),
    ("run", "r.name", "The run that brought it (runs.name), and the bundle of the archive that has its body."),
    ("origin", "o.origin", "Where an imported body lay: file, commit and path, or capture; null: our own."),
    ("observation_id", "o.id", "The look (observations.id)."),
    ("model_id", "m.id", "The model (models.id)."),
]
SOURCE = """observations o
JOIN models m ON m.id = o.model_id
JOIN targets t ON t.id = o.target_id
JOIN runs r ON r.id = o.run_id
WHERE o.is_evidence"""


def upgrade() -> None:
    last = COLUMNS[-1][0]
    lines = [f"    {sql} AS {name}{',' * (name != last)} -- {text}" for name, sql, text in COLUMNS]
    _run("\n".join([f"CREATE VIEW evidence AS -- {MEANING}", "SELECT", *lines, f"FROM {SOURCE}"]))
    if op.get_context().dialect.name == "postgresql":
        _comment("VIEW evidence", MEANING)
        for name, _, text in COLUMNS:
            _comment(f"COLUMN evidence.{name}", text)


def downgrade() -> None:
    op.execute("DROP VIEW evidence")


def _run(sql: str) -> None:
    op.execute(sa.text(sql.replace(":", "\\:")))


def _comment(thing: str, text: str) -> None:
    _run(f"COMMENT ON {thing} IS '{text.replace(chr(39), chr(39) * 2)}'")
