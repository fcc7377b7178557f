"""What analysts get beside SQL."""
