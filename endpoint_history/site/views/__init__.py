"""The values of each page. Pure."""
