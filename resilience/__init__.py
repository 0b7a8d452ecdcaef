"""Attacks on the product that anybody can repeat: `fuzz` at each of its boundaries, `drill` on a running factory.

Nothing of the product imports this package.
"""
