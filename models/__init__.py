"""The nouns: tables, and the values that travel between the steps."""
