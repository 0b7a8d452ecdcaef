"""The fault detector: faulty or not, from one machine reading."""
