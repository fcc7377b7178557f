"""Read bodies that a Wayback Machine captured."""
