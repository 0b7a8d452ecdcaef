"""Refusals by AWS of what a program registers, found without it, where the provider's own checks do not look."""
