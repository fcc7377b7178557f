"""Python functions for analysts: DataFrames, the cheapest offer, export."""
