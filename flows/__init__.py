"""The collect flow and its steps: targets, fetch, archive, parse, store, report."""
