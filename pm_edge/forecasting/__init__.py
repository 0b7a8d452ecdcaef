"""The forecast that forecaster and challenger make: features, the model's answer, its interval."""
