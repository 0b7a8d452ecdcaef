"""The command line `pm`."""
