"""Column types that have the same meaning on SQLite and PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from models.listing import canonical_decimal

_SQLITE_FORM = "%Y-%m-%d %H:%M:%S"  # the form of SQLite's datetime(), so that both can be compared


class UtcTime(sa.types.TypeDecorator[datetime]):
    """Aware UTC in whole seconds: TIMESTAMP WITH TIME ZONE, or TEXT `YYYY-MM-DD HH:MM:SS` on SQLite."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        """Return the type that this database stores."""
        return dialect.type_descriptor(sa.Text() if dialect.name == "sqlite" else self.impl_instance)

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> Any:
        """Store whole seconds. Raises ValueError for a naive time."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a time without a time zone: {value}")
        utc = value.astimezone(UTC).replace(microsecond=0)
        return utc.strftime(_SQLITE_FORM) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> datetime | None:
        """Return aware UTC, whatever the time zone of the session."""
        if value is None:
            return None
        if dialect.name == "sqlite":
            return datetime.fromisoformat(value).replace(tzinfo=UTC)
        return _as_utc(value)


class UtcEpoch(sa.types.TypeDecorator[datetime]):
    """Like UtcTime, for the largest tables: INTEGER unix seconds on SQLite, as every byte of a row counts."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        """Return the type that this database stores."""
        return dialect.type_descriptor(sa.Integer() if dialect.name == "sqlite" else self.impl_instance)

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> Any:
        """Store whole seconds. Raises ValueError for a naive time."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a time without a time zone: {value}")
        return int(value.timestamp()) if dialect.name == "sqlite" else value.replace(microsecond=0)

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> datetime | None:
        """Return aware UTC, whatever the time zone of the session."""
        if value is None:
            return None
        return datetime.fromtimestamp(value, UTC) if dialect.name == "sqlite" else _as_utc(value)


class ExactDecimal(sa.types.TypeDecorator[Decimal]):
    """An exact decimal: NUMERIC, or canonical TEXT on SQLite, where NUMERIC is a double."""

    impl = sa.Numeric
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        """Return the type that this database stores."""
        return dialect.type_descriptor(sa.Text() if dialect.name == "sqlite" else sa.Numeric(asdecimal=True))

    def process_bind_param(self, value: Decimal | None, dialect: sa.Dialect) -> Any:
        """Store a Decimal. Raises TypeError for a float, which is not the exact price."""
        if value is None:
            return None
        if not isinstance(value, Decimal):
            raise TypeError(f"a price is a Decimal, not {type(value).__name__}")
        return canonical_decimal(value) if dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> Decimal | None:  # noqa: ARG002
        """Return the Decimal that was stored."""
        return None if value is None else Decimal(value)


def _as_utc(value: datetime) -> datetime:
    return value.astimezone(UTC)


Json = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
Id = sa.BigInteger().with_variant(sa.Integer, "sqlite")
