"""A refusal that `pulumi up` would end in."""

from typing import NamedTuple


class Refusal(NamedTuple):
    """A refusal of a resource's inputs by its provider or AWS."""

    urn: str
    """The resource; empty if it is the stack as a whole."""
    message: str
