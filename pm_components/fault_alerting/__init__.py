"""Alerts to people: forecast quality, the life of an alarm, mail and speech."""
