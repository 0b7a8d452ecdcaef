"""All that trains: data, features, the forecast model, the fault model, their evaluation and their export."""
