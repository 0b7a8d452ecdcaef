"""The application of the library to one environment: its configuration, its tier, its rules for all resources."""
