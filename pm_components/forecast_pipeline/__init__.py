"""The loop of the models: retraining, gate, registry, trial, release and watch."""
