"""Judge a trained model before anyone may have it."""
