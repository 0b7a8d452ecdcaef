"""The report of a training run and of an evaluation: one HTML file that opens anywhere, without a network."""
