"""Build the static web site from the history."""

FOLDER = "data/site"  # the default
