"""Build the static web site from the history."""
