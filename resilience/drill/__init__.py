"""A running factory is hurt by a seed while its sensors report, and what came of it is counted."""
