"""Shared parts of the components: bus, settings, counters and status, dead letters, files, models."""
