"""Tables derived from samples: uptime by hour and day, incidents, coverage, and retention."""
