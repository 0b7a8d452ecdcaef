"""Pulumi's own engine on the sandbox: which command there is, where its state lies, and what it does to a stack."""
