"""The decision whether a machine has a fault: trees, calibration, protocol, training script, a public data set."""
