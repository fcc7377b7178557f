"""The past of the tables: numbered, reversible, free of application code."""
