"""The Lambda function that frees the name of a core device whose EC2 host is terminated."""
