"""The lake: streams into a bucket of Parquet files, tables and queries over them, a replay of dead letters."""
