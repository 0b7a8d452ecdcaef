"""The Lambda function that gives the lake what it refused once, after the cause was mended."""
