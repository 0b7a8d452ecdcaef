"""Simulated and recorded sensors: seeded generators, and the stream of readings that they or a CSV file give."""
