"""What a reviewer needs before `pulumi up`: told from the program alone, without a cloud and the same each time."""
