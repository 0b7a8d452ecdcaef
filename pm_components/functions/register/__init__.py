"""Register a trained model, approved or rejected."""
