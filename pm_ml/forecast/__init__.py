"""The forecast of a value some hours ahead, with an interval: features, candidates, protocol, training script."""
