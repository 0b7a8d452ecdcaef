"""A forecast model on trial, beside the one in charge."""
