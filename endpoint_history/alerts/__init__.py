"""Alerts on prices and uptime: rules, the engine, and the outbox."""
