"""A Pulumi resource provider for the embedded cloud: the types of `aws` and `aws-native` that the program uses.

Two engines drive it: the one of `sandbox.deployer` in-process, and Pulumi's own through `sandbox.provider.server`.
"""

from sandbox.provider.inputs import InputError
from sandbox.provider.provider import PACKAGES, Diff, Made, Provider
from sandbox.provider.registry import Context

__all__ = ["PACKAGES", "Context", "Diff", "InputError", "Made", "Provider"]
