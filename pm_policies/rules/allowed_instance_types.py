"""Machines are of the sizes of the stack's tier."""

from collections.abc import Iterator

from pm_policies import tiers
from pm_policies.inputs import document, texts_of
from pm_policies.rule import Level, Resource, ResourceRule, Settings, Severity

_INSTANCES = (
    "aws:ec2/instance:Instance",
    "aws:ec2/launchTemplate:LaunchTemplate",
    "aws:sagemaker/notebookInstance:NotebookInstance",
)
_STATE_MACHINE = "aws:sfn/stateMachine:StateMachine"

_SMALL = ["t3.micro", "t3.small", "t3.medium", "ml.t3.medium", "ml.m5.large"]
_MEDIUM = [*_SMALL, "t3.large", "ml.m5.xlarge"]
_DEFAULT = {"dev": _SMALL, "staging": _MEDIUM, "prod": [*_MEDIUM, "ml.m5.2xlarge", "ml.c5.xlarge", "ml.c5.2xlarge"]}


def check(resource: Resource, settings: Settings) -> Iterator[str]:
    """An instance type that is not of the tier: of a machine, or of a training job in a state machine."""
    types: list[str] = []
    if resource.type in _INSTANCES:
        types = [str(resource.inputs.get("instanceType"))]
    elif resource.type == _STATE_MACHINE:
        types = sorted(set(texts_of(document(resource.inputs, "definition"), "InstanceType")))
    tier = tiers.of(resource.stack_name, settings)
    allowed = settings["instance_types"].get(tier, [])
    for type_ in types:
        if type_ not in allowed:
            yield f"instance type {type_} in tier {tier}, allowed are {', '.join(allowed) or 'none'}"


RULE = ResourceRule(
    name="allowed-instance-types",
    severity=Severity.MEDIUM,
    level=Level.MANDATORY,
    demand="Hosts, notebooks and training jobs use the instance types of the stack's tier.",
    why="One large machine that is forgotten costs more than all the rest of a development stack.",
    mend="choose a type of the list (pm:training instance_type), or have it allowed in the pack's configuration",
    settings={
        **tiers.SETTING,
        "instance_types": {"type": "object", "default": _DEFAULT, "description": "allowed instance types by tier"},
    },
    from_stack=tiers.FROM_STACK,
    check=check,
)
