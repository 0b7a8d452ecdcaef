"""The recorder answers with ARNs of the form that AWS gives to each type, by policy_sentry's copy of AWS's reference.

Not proved here: the ids in them that AWS makes up, of keys, instances and networks.
"""

import importlib
import re
from collections.abc import Callable

import pytest
from policy_sentry.querying.arns import get_raw_arns_for_service

from pm_sandbox.recorder import Recording, Registered

#: Modules of the SDK that are named otherwise than in a type's token.
_MODULES = {"lambda": "lambda_"}


def _has_an_arn(resource: Registered) -> bool:
    """Return whether the provider tells an ARN of the type, which is not one of its inputs."""
    package, module, name = resource.type.split(":")
    service = module.split("/")[0]
    sdk = importlib.import_module(f"pulumi_{package.replace('-', '_')}.{_MODULES.get(service, service)}")
    return hasattr(getattr(sdk, name), "arn") and "arn" not in resource.inputs


def _known(arn: str) -> bool:
    """Return whether the reference has a resource of this form."""
    forms = get_raw_arns_for_service(arn.split(":")[2])
    return any(re.fullmatch(re.sub(r"\\\$\\\{\w+\\\}", "[^:]*", re.escape(form)), arn) for form in forms)


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_every_arn_has_the_form_of_its_type(stack: str, recorded: Callable[[str], Recording]) -> None:
    made = [one for one in recorded(stack).resources if one.custom and _has_an_arn(one)]
    assert len({one.type for one in made}) > 25
    # A subscription's is its topic's with an id behind it, which the reference does not list.
    arns = {one.urn: one.outputs["arn"] for one in made if one.type != "aws:sns/topicSubscription:TopicSubscription"}
    assert {urn: arn for urn, arn in arns.items() if not _known(arn)} == {}


def test_another_form_would_have_been_found() -> None:
    assert _known("arn:aws:iot:eu-central-1:123456789012:thinggroup/floor")
    assert not _known("arn:aws:iot:eu-central-1:123456789012:floor")
    assert not _known("arn:aws:s3:eu-central-1:123456789012:bucket")
