"""Damaged and hostile input at each boundary of the product, by a seed: `python -m resilience.fuzz`."""
