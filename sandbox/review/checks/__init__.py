"""Refusals by a provider or AWS of a program's resources, found without either: one module a check."""
