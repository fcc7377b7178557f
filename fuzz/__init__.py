"""Throw what nobody thought of at what reads strangers' bytes: `make fuzz`."""
