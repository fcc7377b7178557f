"""Targets that collects did not find, which is no history: the archive keeps no models listing."""

from __future__ import annotations

import sqlalchemy as sa

from models.rollups import metadata

not_found = sa.Table(
    "not_found",
    metadata,
    sa.Column("target", sa.Text, primary_key=True, comment="The author/slug that was asked for."),
    sa.Column("suggestion", sa.Text, comment="The known model whose name is closest; null: none is close."),
    comment="One row for one target that a collect did not find: never seen, and not in OpenRouter's models listing."
    " Not made from the archive: a rebuild keeps it.",
)
