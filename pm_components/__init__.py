"""The Pulumi library: one module a component, helpers beside them, `functions/` for the Lambda code it packages."""
