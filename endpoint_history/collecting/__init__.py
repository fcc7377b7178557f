"""One live run: ask every target once, store what came, and sum it up."""
