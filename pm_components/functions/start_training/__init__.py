"""Start the making of models, by schedule or when forecasts have left the acceptable range."""
