"""The static site: pages of history for people, made of files alone."""
