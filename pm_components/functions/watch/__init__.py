"""Watch a release arrive on the core devices."""
