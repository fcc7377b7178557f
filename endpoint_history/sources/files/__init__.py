"""Read bodies from saved files and from the files within zip, tar and gzip."""
