"""Inputs against the annotations of Pulumi's SDK: planted faults that the check finds.

Not proved here: that the provider takes what its SDK describes.
"""

from typing import Any

import pytest

from pm_sandbox.provider.sdk_inputs import violations
from pm_sandbox.provider.sdk_types import UnknownTypeError
from pm_sandbox.provider.wire import UNKNOWN

WORKGROUP = "aws:athena/workgroup:Workgroup"


@pytest.mark.parametrize(
    ("token", "inputs", "found"),
    [
        (WORKGROUP, {"nmae": "x"}, "nmae: there is no such input, allowed are "),
        (
            WORKGROUP,
            {"configuration": {"resultConfiguraton": {}}},
            "configuration.resultConfiguraton: there is no such input, allowed are bytesScannedCutoffPerQuery, ",
        ),
        (
            WORKGROUP,
            {"configuration": {"bytesScannedCutoffPerQuery": 1.5}},
            "configuration.bytesScannedCutoffPerQuery: found 1.5, allowed is an integer",
        ),
        (WORKGROUP, {"tags": ["a"]}, "tags: found ['a'], allowed is a map"),
        (WORKGROUP, {"forceDestroy": "yes"}, "forceDestroy: found 'yes', allowed is a boolean"),
        ("aws:s3/bucketObjectv2:BucketObjectv2", {"key": "k"}, "bucket: it is missing, and required"),
        (
            "aws:dynamodb/table:Table",
            {"attributes": [{"name": "device"}]},
            "attributes[0].type: it is missing, and required",
        ),
        (
            "aws-native:greengrassv2:Deployment",
            {"targetArn": "a", "deploymentPolicies": {"failureHandlingPolicy": "GIVE_UP"}},
            "deploymentPolicies.failureHandlingPolicy: found 'GIVE_UP', allowed are ",
        ),
    ],
)
def test_a_planted_fault_is_found(token: str, inputs: dict[str, Any], found: str) -> None:
    (failure,) = violations(token, inputs)
    assert str(failure).startswith(found)


def test_what_is_not_known_yet_and_files_are_not_judged() -> None:
    code = {"kind": "AssetArchive", "hash": "x"}
    inputs = {"role": UNKNOWN, "timeout": UNKNOWN, "tags": UNKNOWN, "code": code}
    assert violations("aws:lambda/function:Function", inputs) == []


def test_a_type_that_the_sdk_does_not_have_is_an_error() -> None:
    with pytest.raises(UnknownTypeError, match="aws:athena/workgruop:Workgruop"):
        violations("aws:athena/workgruop:Workgruop", {})
