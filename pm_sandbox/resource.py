"""The record of a resource that a program registers, as far as all readers of registrations agree on it."""

from dataclasses import dataclass, field, fields
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Resource:
    """A resource of a program, and its place among the others.

    Attributes:
        type: Pulumi's type token, such as `aws:s3/bucket:Bucket`.
        name: The logical name.
        urn: The URN as Pulumi's engine makes it, which holds the types of its parents.
        parent: The parent's URN.
        custom: Whether a provider makes it; a component is not custom.
        dependencies: URNs of what has to be made before it.
        input_dependencies: URNs of the resources that an input comes from, by input.
    """

    type: str
    name: str
    urn: str
    parent: str
    custom: bool = True
    dependencies: list[str] = field(default_factory=list)
    input_dependencies: dict[str, list[str]] = field(default_factory=dict)

    def place(self) -> dict[str, Any]:
        """The fields of this class, for another record of the same resource."""
        return {one.name: getattr(self, one.name) for one in fields(Resource)}
