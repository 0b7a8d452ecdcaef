"""All programs of tests/policies that break a rule or can be mended, each within a component of its own.

Each has physical names of its own, too, so that no rule takes a resource of one for that of another.
"""

import runpy
from pathlib import Path

import pulumi
from pulumi.runtime.settings import get_root_resource, set_root_resource

from pm_components.aws.tagging import with_tags

POLICIES = Path(__file__).resolve().parents[3] / "policies"
TAGS = {"Project": "pm", "Stack": "dev", "Tier": "dev", "Owner": "tests", "CostCentre": "tests"}

pulumi.runtime.register_stack_transformation(
    lambda args: pulumi.ResourceTransformationResult(with_tags(args.type_, args.props, TAGS), args.opts)
)
stack = get_root_resource()
assert stack is not None
for path in sorted((*POLICIES.glob("bad_programs/*.py"), *POLICIES.glob("mended_programs/*.py"))):
    # A resource without a parent is a child of the root, and no two programs may have the same URN.
    set_root_resource(
        pulumi.ComponentResource(f"{path.parent.name}:{path.stem}:Case", f"{path.parent.name}-{path.stem}")
    )
    runpy.run_path(str(path))
    set_root_resource(stack)
