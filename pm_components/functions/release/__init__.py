"""Release models to the sites: component versions and deployments."""
