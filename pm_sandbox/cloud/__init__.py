"""Emulated AWS: one child process on loopback, and what it lacks for this project added as extensions."""

from pm_sandbox.cloud.process import Cloud, CloudError

__all__ = ["Cloud", "CloudError"]
