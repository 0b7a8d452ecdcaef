"""Simulated and recorded sensors: seeded generators, the CSV reader, and the stream of readings that both give."""
