"""Rank the offers of a model by the cost of a usage."""
