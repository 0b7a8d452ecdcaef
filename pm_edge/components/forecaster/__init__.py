"""The forecaster: next-hour PM2.5 with an interval, from the hours so far."""
