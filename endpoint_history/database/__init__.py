"""Connect to SQLite and PostgreSQL, upgrade the schema, and hide how the two differ."""
