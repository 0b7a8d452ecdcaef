"""A Pulumi resource provider for the embedded cloud: the types of `aws` and `aws-native` that the program uses.

Two engines drive it: the one of `pm_sandbox.deployer` in-process, and Pulumi's own by `pm_sandbox.provider.server`.
"""

from pm_sandbox.provider.inputs import InputError
from pm_sandbox.provider.provider import PACKAGES, Diff, Made, Provider
from pm_sandbox.provider.registry import Context

__all__ = ["PACKAGES", "Context", "Diff", "InputError", "Made", "Provider"]
