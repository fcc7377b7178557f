"""Add older bodies to the history, from our archive or from a source."""
