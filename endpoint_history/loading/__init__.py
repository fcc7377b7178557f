"""Load the archive into the tables: missing bundles, a rebuild, and the withdrawal of runs."""
