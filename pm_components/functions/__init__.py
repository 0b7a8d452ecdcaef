"""The Lambda functions: one folder each, `handler.py` at its rim, and here what several of them share."""
