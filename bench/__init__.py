"""Figures: what the project is measured by, each against a reference in the same run."""
