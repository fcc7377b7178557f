"""Render pages and write the files of the site."""
