"""The commands of `pm`, one module a group."""
