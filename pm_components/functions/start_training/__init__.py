"""Start the making of models when forecasts have left the acceptable range."""
