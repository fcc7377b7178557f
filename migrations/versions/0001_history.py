"""History.

Revision 0001, after nothing. 2026-11-23.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")
EPOCH = sa.DateTime(timezone=True).with_variant(sa.Integer(), "sqlite")
DECIMAL = sa.Numeric().with_variant(sa.Text(), "sqlite")
JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "models",
        sa.Column("id", ID, nullable=False, comment="Surrogate key."),
        sa.Column("openrouter_id", sa.Text(), nullable=False, comment="The resolved model id (data.id)."),
        sa.Column("name", sa.Text(), nullable=False, comment="Display name, from the newest body."),
        sa.Column("created_at", TIME, nullable=True, comment="When OpenRouter says the model was added (UTC)."),
        sa.Column("description", sa.Text(), nullable=False, comment="Description, cut by upstream since 2026."),
        sa.Column("input_modalities", JSON, nullable=False, comment="Sorted list, such as image, text."),
        sa.Column("output_modalities", JSON, nullable=False, comment="Sorted list, such as text."),
        sa.Column("tokenizer", sa.Text(), nullable=True, comment="Tokenizer family, where upstream names one."),
        sa.Column("instruct_type", sa.Text(), nullable=True, comment="Instruction format, where upstream names one."),
        sa.Column("first_seen_at", TIME, nullable=False, comment="Oldest body that shows the model (UTC)."),
        sa.Column("last_seen_at", TIME, nullable=False, comment="Newest body that shows the model (UTC)."),
        sa.CheckConstraint("first_seen_at <= last_seen_at", name=op.f("ck_models_seen_in_order")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_models")),
        sa.UniqueConstraint("openrouter_id", name=op.f("uq_models_openrouter_id")),
        comment="One row for one resolved model id, however many paths lead to it.",
    )
    op.create_table(
        "runs",
        sa.Column("id", ID, nullable=False, comment="Surrogate key."),
        sa.Column("name", sa.Text(), nullable=False, comment="Unique name; also that of the archive bundle."),
        sa.Column("kind", sa.Text(), nullable=False, comment="collect or backfill."),
        sa.Column(
            "source", sa.Text(), nullable=False, comment="Where the bodies come from: live, files, git, wayback."
        ),
        sa.Column(
            "cadence_seconds",
            sa.Integer(),
            nullable=True,
            comment="Interval of the schedule in force; null where nothing repeats.",
        ),
        sa.Column("started_at", TIME, nullable=False, comment="When the run began (UTC)."),
        sa.Column(
            "finished_at", TIME, nullable=True, comment="When it ended (UTC); null while it runs and after a crash."
        ),
        sa.Column("ok", sa.Integer(), server_default="0", nullable=False, comment="Targets whose body was read."),
        sa.Column(
            "gone", sa.Integer(), server_default="0", nullable=False, comment="Targets answered by the API's own 404."
        ),
        sa.Column("failed", sa.Integer(), server_default="0", nullable=False, comment="Targets that proved nothing."),
        sa.CheckConstraint("kind IN ('collect', 'backfill')", name=op.f("ck_runs_kind")),
        sa.CheckConstraint("finished_at >= started_at", name=op.f("ck_runs_ends_after_start")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runs")),
        sa.UniqueConstraint("name", name=op.f("uq_runs_name")),
        comment="One row for one collect or backfill.",
    )
    op.create_table(
        "targets",
        sa.Column("id", ID, nullable=False, comment="Surrogate key."),
        sa.Column("author", sa.Text(), nullable=False, comment="First part of the requested path."),
        sa.Column("slug", sa.Text(), nullable=False, comment="Second part of the requested path, with its variant."),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_targets")),
        sa.UniqueConstraint("author", "slug", name=op.f("uq_targets_author_slug")),
        comment="One row for one requested author/slug pair. Several may resolve to one model.",
    )
    op.create_table(
        "endpoints",
        sa.Column("id", ID, nullable=False, comment="Surrogate key."),
        sa.Column("model_id", ID, nullable=False, comment="The model that lists it."),
        sa.Column(
            "variant", sa.Text(), nullable=False, comment="The endpoint's own model id, with :free and the like."
        ),
        sa.Column("route", sa.Text(), nullable=False, comment="Its tag; before tags: provider:NAME quantization:NAME."),
        sa.Column("ordinal", sa.Integer(), nullable=False, comment="Numbers endpoints that share variant and route."),
        sa.Column(
            "tag",
            sa.Text(),
            nullable=True,
            comment="Routing slug such as deepinfra/fp8; null in bodies from before tags.",
        ),
        sa.Column("name", sa.Text(), nullable=False, comment="As upstream calls it, from the newest body; not unique."),
        sa.Column(
            "provider_name", sa.Text(), nullable=True, comment="Display name of the provider; providers get renamed."
        ),
        sa.Column("context_length", sa.BigInteger(), nullable=True, comment="Context window in tokens."),
        sa.Column(
            "quantization",
            sa.Text(),
            nullable=True,
            comment="Such as fp8; null where upstream says unknown, null or nothing.",
        ),
        sa.Column(
            "max_completion_tokens",
            sa.BigInteger(),
            nullable=True,
            comment="Longest answer in tokens; null where not limited.",
        ),
        sa.Column(
            "max_prompt_tokens",
            sa.BigInteger(),
            nullable=True,
            comment="Longest prompt in tokens; null where not limited.",
        ),
        sa.Column("supported_parameters", JSON, nullable=True, comment="Sorted list of request parameters."),
        sa.Column(
            "features",
            JSON,
            nullable=True,
            comment="Other flags by upstream's names: supports_*, native_tools, service_tier.",
        ),
        sa.Column("first_seen_at", TIME, nullable=False, comment="Oldest body that lists it (UTC)."),
        sa.Column("last_seen_at", TIME, nullable=False, comment="Newest body that lists it (UTC)."),
        sa.CheckConstraint("first_seen_at <= last_seen_at", name=op.f("ck_endpoints_seen_in_order")),
        sa.CheckConstraint("ordinal >= 0", name=op.f("ck_endpoints_ordinal")),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name=op.f("fk_endpoints_model_id_models")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_endpoints")),
        sa.UniqueConstraint(
            "model_id", "variant", "route", "ordinal", name=op.f("uq_endpoints_model_id_variant_route_ordinal")
        ),
        comment="One row for one provider's offer of a model, with its terms as last seen.",
    )
    op.create_table(
        "observations",
        sa.Column("id", ID, nullable=False, comment="Surrogate key."),
        sa.Column("run_id", ID, nullable=False, comment="The run that looked."),
        sa.Column("target_id", ID, nullable=False, comment="What was asked for."),
        sa.Column("observed_at", TIME, nullable=False, comment="When the response came (UTC, whole seconds)."),
        sa.Column(
            "outcome", sa.Text(), nullable=False, comment="ok, gone (the API's own 404) or failed (proves nothing)."
        ),
        sa.Column(
            "complete", sa.Boolean(), nullable=False, comment="Whether it proves the absence of what it doesn't list."
        ),
        sa.Column(
            "is_evidence",
            sa.Boolean(),
            nullable=False,
            comment="Whether history rests on it: false for failed looks, and where another look outweighs it.",
        ),
        sa.Column("model_id", ID, nullable=True, comment="The model it speaks for; null where unknown."),
        sa.Column("http_status", sa.SmallInteger(), nullable=True, comment="HTTP status; null when no response came."),
        sa.Column("error", sa.Text(), nullable=True, comment="Why it failed, or which endpoints could not be read."),
        sa.Column("elapsed_ms", sa.Integer(), nullable=True, comment="Duration of the request in milliseconds."),
        sa.Column(
            "body_bytes", sa.Integer(), nullable=True, comment="Size of the decoded body in bytes; null without a body."
        ),
        sa.Column(
            "body_digest", sa.Text(), nullable=False, comment="First 16 hex digits of the body's SHA-256; else empty."
        ),
        sa.Column(
            "archive_line",
            sa.Integer(),
            nullable=True,
            comment="Line of the run's archive bundle that holds it, from 1.",
        ),
        sa.CheckConstraint(
            "outcome <> 'failed' OR (NOT complete AND NOT is_evidence)",
            name=op.f("ck_observations_failed_proves_nothing"),
        ),
        sa.CheckConstraint("outcome <> 'ok' OR model_id IS NOT NULL", name=op.f("ck_observations_ok_names_its_model")),
        sa.CheckConstraint("outcome IN ('ok', 'gone', 'failed')", name=op.f("ck_observations_outcome")),
        sa.CheckConstraint(
            "NOT is_evidence OR model_id IS NOT NULL", name=op.f("ck_observations_evidence_speaks_for_a_model")
        ),
        sa.CheckConstraint(
            "elapsed_ms >= 0 AND body_bytes >= 0 AND archive_line > 0", name=op.f("ck_observations_counts")
        ),
        sa.CheckConstraint(
            "observed_at IS datetime(observed_at)", name=op.f("ck_observations_observed_at_is_time")
        ).ddl_if(dialect="sqlite"),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name=op.f("fk_observations_model_id_models")),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_observations_run_id_runs")),
        sa.ForeignKeyConstraint(["target_id"], ["targets.id"], name=op.f("fk_observations_target_id_targets")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_observations")),
        sa.UniqueConstraint(
            "target_id",
            "observed_at",
            "outcome",
            "body_digest",
            name=op.f("uq_observations_target_id_observed_at_outcome_body_digest"),
        ),
        comment="One row for one look at one target, whatever came of it. Rows are only ever added.",
    )
    op.create_index(
        "ix_observations_gone",
        "observations",
        ["target_id", "observed_at"],
        unique=False,
        sqlite_where=sa.text("outcome = 'gone'"),
        postgresql_where=sa.text("outcome = 'gone'"),
    )
    op.create_index("ix_observations_model_id_observed_at", "observations", ["model_id", "observed_at"], unique=False)
    op.create_index("ix_observations_observed_at", "observations", ["observed_at"], unique=False)
    op.create_index("ix_observations_run_id", "observations", ["run_id"], unique=False)
    op.create_index(
        "uq_observations_one_evidence",
        "observations",
        ["target_id", "observed_at"],
        unique=True,
        sqlite_where=sa.text("is_evidence"),
        postgresql_where=sa.text("is_evidence"),
    )
    op.create_table(
        "paths",
        sa.Column("target_id", ID, nullable=False, comment="What was asked for."),
        sa.Column("model_id", ID, nullable=False, comment="A model that it showed."),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name=op.f("fk_paths_model_id_models")),
        sa.ForeignKeyConstraint(["target_id"], ["targets.id"], name=op.f("fk_paths_target_id_targets")),
        sa.PrimaryKeyConstraint("target_id", "model_id", name=op.f("pk_paths")),
        comment="One row for one model that a target ever resolved to.",
    )
    op.create_index("ix_paths_model_id", "paths", ["model_id"], unique=False)
    op.create_table(
        "listing_changes",
        sa.Column("endpoint_id", ID, nullable=False, comment="The endpoint that changed."),
        sa.Column("observed_at", TIME, nullable=False, comment="From when this holds (UTC)."),
        sa.Column("observation_id", ID, nullable=False, comment="The look that proves it."),
        sa.Column("listed", sa.Boolean(), nullable=False, comment="False: from here on not listed, all else is null."),
        sa.Column(
            "provider_name", sa.Text(), nullable=True, comment="Display name of the provider; providers get renamed."
        ),
        sa.Column("context_length", sa.BigInteger(), nullable=True, comment="Context window in tokens."),
        sa.Column(
            "quantization",
            sa.Text(),
            nullable=True,
            comment="Such as fp8; null where upstream says unknown, null or nothing.",
        ),
        sa.Column(
            "max_completion_tokens",
            sa.BigInteger(),
            nullable=True,
            comment="Longest answer in tokens; null where not limited.",
        ),
        sa.Column(
            "max_prompt_tokens",
            sa.BigInteger(),
            nullable=True,
            comment="Longest prompt in tokens; null where not limited.",
        ),
        sa.Column("supported_parameters", JSON, nullable=True, comment="Sorted list of request parameters."),
        sa.Column(
            "features",
            JSON,
            nullable=True,
            comment="Other flags by upstream's names: supports_*, native_tools, service_tier.",
        ),
        sa.CheckConstraint(
            "NOT listed OR (provider_name IS NOT NULL AND supported_parameters IS NOT NULL)",
            name=op.f("ck_listing_changes_listed_has_terms"),
        ),
        sa.CheckConstraint(
            "listed OR (provider_name IS NULL AND context_length IS NULL AND quantization IS NULL AND max_completion_tokens IS NULL AND max_prompt_tokens IS NULL AND supported_parameters IS NULL AND features IS NULL)",
            name=op.f("ck_listing_changes_absent_has_no_terms"),
        ),
        sa.CheckConstraint(
            "observed_at IS datetime(observed_at)", name=op.f("ck_listing_changes_observed_at_is_time")
        ).ddl_if(dialect="sqlite"),
        sa.CheckConstraint("context_length >= 0", name=op.f("ck_listing_changes_context_length")),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], ["endpoints.id"], name=op.f("fk_listing_changes_endpoint_id_endpoints")
        ),
        sa.ForeignKeyConstraint(
            ["observation_id"], ["observations.id"], name=op.f("fk_listing_changes_observation_id_observations")
        ),
        sa.PrimaryKeyConstraint("endpoint_id", "observed_at", name=op.f("pk_listing_changes")),
        comment="One row for one change of an endpoint's presence or terms; it holds until the endpoint's next row.",
    )
    op.create_index("ix_listing_changes_observation_id", "listing_changes", ["observation_id"], unique=False)
    op.create_index("ix_listing_changes_observed_at", "listing_changes", ["observed_at"], unique=False)
    op.create_table(
        "pricing_snapshots",
        sa.Column("endpoint_id", ID, nullable=False, comment="The endpoint that changed."),
        sa.Column("observed_at", TIME, nullable=False, comment="From when this holds (UTC)."),
        sa.Column("observation_id", ID, nullable=False, comment="The look that proves it."),
        sa.Column("listed", sa.Boolean(), nullable=False, comment="False: from here on not listed, all else is null."),
        sa.Column(
            "prompt_usd",
            DECIMAL,
            nullable=True,
            comment="USD per token of the prompt, net of discount; null means that it varies.",
        ),
        sa.Column(
            "completion_usd",
            DECIMAL,
            nullable=True,
            comment="USD per token of the answer, net of discount; null means that it varies.",
        ),
        sa.Column(
            "request_usd", DECIMAL, nullable=True, comment="USD per request, net of discount; null means not charged."
        ),
        sa.Column(
            "image_usd",
            DECIMAL,
            nullable=True,
            comment="USD per unit of image, net of discount; null means not charged.",
        ),
        sa.Column(
            "image_token_usd",
            DECIMAL,
            nullable=True,
            comment="USD per unit of image_token, net of discount; null means not charged.",
        ),
        sa.Column(
            "image_output_usd",
            DECIMAL,
            nullable=True,
            comment="USD per unit of image_output, net of discount; null means not charged.",
        ),
        sa.Column(
            "audio_usd",
            DECIMAL,
            nullable=True,
            comment="USD per unit of audio, net of discount; null means not charged.",
        ),
        sa.Column(
            "audio_output_usd",
            DECIMAL,
            nullable=True,
            comment="USD per unit of audio_output, net of discount; null means not charged.",
        ),
        sa.Column(
            "input_audio_cache_usd",
            DECIMAL,
            nullable=True,
            comment="USD per unit of input_audio_cache, net of discount; null means not charged.",
        ),
        sa.Column(
            "web_search_usd",
            DECIMAL,
            nullable=True,
            comment="USD per unit of web_search, net of discount; null means not charged.",
        ),
        sa.Column(
            "internal_reasoning_usd",
            DECIMAL,
            nullable=True,
            comment="USD per unit of internal_reasoning, net of discount; null means not charged.",
        ),
        sa.Column(
            "input_cache_read_usd",
            DECIMAL,
            nullable=True,
            comment="USD per unit of input_cache_read, net of discount; null means not charged.",
        ),
        sa.Column(
            "input_cache_write_usd",
            DECIMAL,
            nullable=True,
            comment="USD per unit of input_cache_write, net of discount; null means not charged.",
        ),
        sa.Column(
            "input_cache_write_1h_usd",
            DECIMAL,
            nullable=True,
            comment="USD per unit of input_cache_write_1h, net of discount; null means not charged.",
        ),
        sa.Column("varies", sa.Boolean(), nullable=False, comment="Whether upstream gives -1 (varies) for any price."),
        sa.Column(
            "discount",
            DECIMAL,
            nullable=True,
            comment="Fraction already taken off; negative is a markup; null means none.",
        ),
        sa.Column(
            "overrides",
            JSON,
            nullable=True,
            comment="Conditional prices as published, in order; later entries win per key.",
        ),
        sa.Column(
            "other_prices", JSON, nullable=True, comment="Price keys that have no column yet, exact decimals as text."
        ),
        sa.CheckConstraint(
            "CAST(audio_output_usd AS DOUBLE PRECISION) >= 0",
            name=op.f("ck_pricing_snapshots_audio_output_usd_not_negative"),
        ),
        sa.CheckConstraint(
            "CAST(audio_usd AS DOUBLE PRECISION) >= 0", name=op.f("ck_pricing_snapshots_audio_usd_not_negative")
        ),
        sa.CheckConstraint(
            "CAST(completion_usd AS DOUBLE PRECISION) >= 0",
            name=op.f("ck_pricing_snapshots_completion_usd_not_negative"),
        ),
        sa.CheckConstraint(
            "CAST(image_output_usd AS DOUBLE PRECISION) >= 0",
            name=op.f("ck_pricing_snapshots_image_output_usd_not_negative"),
        ),
        sa.CheckConstraint(
            "CAST(image_token_usd AS DOUBLE PRECISION) >= 0",
            name=op.f("ck_pricing_snapshots_image_token_usd_not_negative"),
        ),
        sa.CheckConstraint(
            "CAST(image_usd AS DOUBLE PRECISION) >= 0", name=op.f("ck_pricing_snapshots_image_usd_not_negative")
        ),
        sa.CheckConstraint(
            "CAST(input_audio_cache_usd AS DOUBLE PRECISION) >= 0",
            name=op.f("ck_pricing_snapshots_input_audio_cache_usd_not_negative"),
        ),
        sa.CheckConstraint(
            "CAST(input_cache_read_usd AS DOUBLE PRECISION) >= 0",
            name=op.f("ck_pricing_snapshots_input_cache_read_usd_not_negative"),
        ),
        sa.CheckConstraint(
            "CAST(input_cache_write_1h_usd AS DOUBLE PRECISION) >= 0",
            name=op.f("ck_pricing_snapshots_input_cache_write_1h_usd_not_negative"),
        ),
        sa.CheckConstraint(
            "CAST(input_cache_write_usd AS DOUBLE PRECISION) >= 0",
            name=op.f("ck_pricing_snapshots_input_cache_write_usd_not_negative"),
        ),
        sa.CheckConstraint(
            "CAST(internal_reasoning_usd AS DOUBLE PRECISION) >= 0",
            name=op.f("ck_pricing_snapshots_internal_reasoning_usd_not_negative"),
        ),
        sa.CheckConstraint(
            "CAST(prompt_usd AS DOUBLE PRECISION) >= 0", name=op.f("ck_pricing_snapshots_prompt_usd_not_negative")
        ),
        sa.CheckConstraint(
            "CAST(request_usd AS DOUBLE PRECISION) >= 0", name=op.f("ck_pricing_snapshots_request_usd_not_negative")
        ),
        sa.CheckConstraint(
            "CAST(web_search_usd AS DOUBLE PRECISION) >= 0",
            name=op.f("ck_pricing_snapshots_web_search_usd_not_negative"),
        ),
        sa.CheckConstraint(
            "NOT listed OR varies OR (prompt_usd IS NOT NULL AND completion_usd IS NOT NULL)",
            name=op.f("ck_pricing_snapshots_listed_has_prices"),
        ),
        sa.CheckConstraint(
            "listed OR (NOT varies AND prompt_usd IS NULL AND completion_usd IS NULL AND request_usd IS NULL AND image_usd IS NULL AND image_token_usd IS NULL AND image_output_usd IS NULL AND audio_usd IS NULL AND audio_output_usd IS NULL AND input_audio_cache_usd IS NULL AND web_search_usd IS NULL AND internal_reasoning_usd IS NULL AND input_cache_read_usd IS NULL AND input_cache_write_usd IS NULL AND input_cache_write_1h_usd IS NULL AND discount IS NULL AND overrides IS NULL AND other_prices IS NULL)",
            name=op.f("ck_pricing_snapshots_absent_has_no_price"),
        ),
        sa.CheckConstraint(
            "prompt_usd NOT GLOB '*[^0-9.]*' AND completion_usd NOT GLOB '*[^0-9.]*' AND request_usd NOT GLOB '*[^0-9.]*' AND image_usd NOT GLOB '*[^0-9.]*' AND image_token_usd NOT GLOB '*[^0-9.]*' AND image_output_usd NOT GLOB '*[^0-9.]*' AND audio_usd NOT GLOB '*[^0-9.]*' AND audio_output_usd NOT GLOB '*[^0-9.]*' AND input_audio_cache_usd NOT GLOB '*[^0-9.]*' AND web_search_usd NOT GLOB '*[^0-9.]*' AND internal_reasoning_usd NOT GLOB '*[^0-9.]*' AND input_cache_read_usd NOT GLOB '*[^0-9.]*' AND input_cache_write_usd NOT GLOB '*[^0-9.]*' AND input_cache_write_1h_usd NOT GLOB '*[^0-9.]*'",
            name=op.f("ck_pricing_snapshots_decimals"),
        ).ddl_if(dialect="sqlite"),
        sa.CheckConstraint(
            "observed_at IS datetime(observed_at)", name=op.f("ck_pricing_snapshots_observed_at_is_time")
        ).ddl_if(dialect="sqlite"),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], ["endpoints.id"], name=op.f("fk_pricing_snapshots_endpoint_id_endpoints")
        ),
        sa.ForeignKeyConstraint(
            ["observation_id"], ["observations.id"], name=op.f("fk_pricing_snapshots_observation_id_observations")
        ),
        sa.PrimaryKeyConstraint("endpoint_id", "observed_at", name=op.f("pk_pricing_snapshots")),
        comment="One row for one change of an endpoint's price set; it holds until the endpoint's next row.",
    )
    op.create_index("ix_pricing_snapshots_observation_id", "pricing_snapshots", ["observation_id"], unique=False)
    op.create_index("ix_pricing_snapshots_observed_at", "pricing_snapshots", ["observed_at"], unique=False)
    op.create_table(
        "uptime_samples",
        sa.Column("endpoint_id", ID, nullable=False, comment="The endpoint seen."),
        sa.Column(
            "observed_at",
            EPOCH,
            nullable=False,
            comment="When (UTC). On SQLite unix seconds: datetime(observed_at, 'unixepoch') reads them.",
        ),
        sa.Column(
            "status",
            sa.SmallInteger(),
            nullable=True,
            comment="0 normal, -2 degraded, -5 down, -3 deranked, -10 off, -1 unseen.",
        ),
        sa.Column(
            "uptime_5m_pct",
            sa.Double(),
            nullable=True,
            comment="Uptime over the last 5 minutes in percent; null: upstream gave none.",
        ),
        sa.Column(
            "uptime_30m_pct",
            sa.Double(),
            nullable=True,
            comment="Uptime over the last 30 minutes in percent; null: upstream gave none.",
        ),
        sa.Column(
            "uptime_1d_pct",
            sa.Double(),
            nullable=True,
            comment="Uptime over the last day in percent; null: upstream gave none.",
        ),
        sa.CheckConstraint("uptime_1d_pct BETWEEN 0 AND 100", name=op.f("ck_uptime_samples_uptime_1d_pct")),
        sa.CheckConstraint("uptime_30m_pct BETWEEN 0 AND 100", name=op.f("ck_uptime_samples_uptime_30m_pct")),
        sa.CheckConstraint("uptime_5m_pct BETWEEN 0 AND 100", name=op.f("ck_uptime_samples_uptime_5m_pct")),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], ["endpoints.id"], name=op.f("fk_uptime_samples_endpoint_id_endpoints")
        ),
        sa.PrimaryKeyConstraint("endpoint_id", "observed_at", name=op.f("pk_uptime_samples")),
        comment="One row for one endpoint in one look that counts. Share of requests; from 2026-10-08 on, of minutes.",
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("uptime_samples")
    op.drop_index("ix_pricing_snapshots_observed_at", table_name="pricing_snapshots")
    op.drop_index("ix_pricing_snapshots_observation_id", table_name="pricing_snapshots")
    op.drop_table("pricing_snapshots")
    op.drop_index("ix_listing_changes_observed_at", table_name="listing_changes")
    op.drop_index("ix_listing_changes_observation_id", table_name="listing_changes")
    op.drop_table("listing_changes")
    op.drop_index("ix_paths_model_id", table_name="paths")
    op.drop_table("paths")
    op.drop_index(
        "uq_observations_one_evidence",
        table_name="observations",
        sqlite_where=sa.text("is_evidence"),
        postgresql_where=sa.text("is_evidence"),
    )
    op.drop_index("ix_observations_run_id", table_name="observations")
    op.drop_index("ix_observations_observed_at", table_name="observations")
    op.drop_index("ix_observations_model_id_observed_at", table_name="observations")
    op.drop_index(
        "ix_observations_gone",
        table_name="observations",
        sqlite_where=sa.text("outcome = 'gone'"),
        postgresql_where=sa.text("outcome = 'gone'"),
    )
    op.drop_table("observations")
    op.drop_table("endpoints")
    op.drop_table("targets")
    op.drop_table("runs")
    op.drop_table("models")
