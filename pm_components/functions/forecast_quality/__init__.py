"""Forecast quality: says when too many forecasts of a device left the acceptable range, and when they are back."""
