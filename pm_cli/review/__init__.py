"""A reviewer's report before `pulumi up`: from the program alone, without a cloud and the same each time."""
