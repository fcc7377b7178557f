"""The archive of raw bodies: bundles, the spool of a running collect, and the reader."""
