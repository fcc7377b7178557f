"""Read bodies from the history of a git repository."""
