"""The Lambda function that says which thing a new core device is."""
