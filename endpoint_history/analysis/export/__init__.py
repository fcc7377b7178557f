"""Export the history to Parquet and CSV files."""
