"""Turn response bodies into values. Pure."""
