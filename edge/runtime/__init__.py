"""What the components on a core device share: bus, settings, counters and status, dead letters, files, models."""
