"""Read bodies that a Wayback Machine captured."""

WAYBACK_URL = "https://web.archive.org"
