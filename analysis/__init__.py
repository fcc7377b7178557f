"""Questions that people ask of history, answered exactly."""
