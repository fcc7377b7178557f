"""The one writer of history, and the change rule behind it."""
