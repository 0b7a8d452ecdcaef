"""The function that frees the name of a core device whose host ends: what it does, in which order, and done again.

Not proved here: that Auto Scaling sends what its guide says, and that AWS lets the function do this (the emulated IAM
does, in tests/sandbox/core_device/test_fleet_provisioning.py).
"""

import datetime as dt
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from pm_components.functions.host_termination.core import of_the_dead, termination
from pm_components.functions.host_termination.handler import Means, end

AT = dt.datetime(2026, 11, 30, 12, tzinfo=dt.UTC)
HEAD = "arn:aws:iot:eu-central-1:123456789012:cert/"


def notification(**changes: Any) -> str:
    """A notification as in "Receive notification using Amazon SQS", Amazon EC2 Auto Scaling user guide."""
    return json.dumps(
        {
            "Service": "AWS Auto Scaling",
            "Time": "2026-11-30T12:00:00.000Z",
            "RequestId": "18b2ec17-3e9b-4c15-8024-ff2e8ce8786a",
            "LifecycleActionToken": "71514b9d-6a40-4b26-8523-05e7ee35fa40",
            "AccountId": "123456789012",
            "AutoScalingGroupName": "pm-test-ulm-host",
            "LifecycleHookName": "certificate",
            "EC2InstanceId": "i-0598c7d356eba48d7",
            "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING",
            "NotificationMetadata": None,
            **changes,
        }
    )


class Aws:
    """AWS IoT and Auto Scaling, as far as the function asks them; one call may fail."""

    def __init__(self, certificates: dict[str, dt.datetime], failing: str = "", code: str = "ThrottlingException"):
        self.certificates, self.failing, self.code = certificates, failing, code
        self.calls: list[str] = []

    def get_paginator(self, operation: str) -> Any:
        assert operation == "list_thing_principals"
        return self

    def paginate(self, thingName: str) -> Any:  # noqa: N803 - boto3's name
        assert thingName == "ulm-core"
        arns = [*self.certificates, "eu-central-1:a-cognito-identity"]
        return [{"principals": arns[:1]}, {"principals": arns[1:]}]

    def describe_certificate(self, certificateId: str) -> Any:  # noqa: N803
        return {"certificateDescription": {"creationDate": self.certificates[HEAD + certificateId]}}

    def __getattr__(self, name: str) -> Any:
        def call(**arguments: Any) -> None:
            if name == self.failing:
                raise ClientError({"Error": {"Code": self.code, "Message": "no"}}, name)
            what = arguments.get("certificateId") or arguments.get("principal") or arguments.get("thingGroupName", "")
            self.calls.append(f"{name} {what.removeprefix(HEAD)}".strip())
            if name == "detach_thing_principal":
                del self.certificates[arguments["principal"]]

        return call

    def end(self, body: str) -> str:
        return end(body, Means(self, self, "ulm-core", ["code", "model"]))


EVERYTHING = [
    "update_certificate old",
    "remove_thing_from_thing_group code",
    "add_thing_to_thing_group code",
    "remove_thing_from_thing_group model",
    "add_thing_to_thing_group model",
    "detach_thing_principal old",
    "complete_lifecycle_action",
]


def test_the_certificate_is_detached_when_all_else_is_done_and_the_instance_then_let_go() -> None:
    aws = Aws({f"{HEAD}old": AT - dt.timedelta(days=1)})
    assert aws.end(notification()) == "Freed"
    assert aws.calls == EVERYTHING


@pytest.mark.parametrize("failing", sorted({call.split(" ")[0] for call in EVERYTHING}))
def test_what_failed_half_way_is_done_again(failing: str) -> None:
    aws = Aws({f"{HEAD}old": AT - dt.timedelta(days=1)}, failing)
    with pytest.raises(ClientError):
        aws.end(notification())
    aws.failing = ""
    before = len(aws.calls)
    aws.end(notification())
    done_again = EVERYTHING if failing != "complete_lifecycle_action" else EVERYTHING[-1:]
    assert aws.calls[before:] == done_again


def test_a_notification_that_comes_twice_or_late_does_its_successor_no_harm() -> None:
    aws = Aws({f"{HEAD}new": AT + dt.timedelta(minutes=3)}, "complete_lifecycle_action", "ValidationError")
    assert aws.end(notification()) == "NothingToFree"
    assert aws.calls == []


def test_the_test_of_the_way_is_no_termination() -> None:
    aws = Aws({f"{HEAD}old": AT - dt.timedelta(days=1)})
    test = json.dumps({"Service": "AWS Auto Scaling", "Event": "autoscaling:TEST_NOTIFICATION"})
    assert aws.end(test) == "Tested"
    assert aws.calls == []


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("[]", "no notification of Auto Scaling: AttributeError"),
        ("{}", "no notification of Auto Scaling: KeyError: 'LifecycleTransition'"),
        ("no JSON", "Expecting value"),
        (notification(LifecycleTransition="autoscaling:EC2_INSTANCE_LAUNCHING"), "LAUNCHING, allowed is autoscaling"),
        (notification(Time="yesterday"), "Invalid isoformat string: 'yesterday'"),
    ],
)
def test_what_is_no_notification_is_refused(body: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Aws({}).end(body)


def test_the_hosts_certificate_is_one_that_was_made_before_its_end() -> None:
    found = termination(notification())
    assert found is not None
    assert found.at == AT
    made = {"old": AT - dt.timedelta(seconds=1), "same": AT, "new": AT + dt.timedelta(seconds=1)}
    assert of_the_dead(made, AT) == ["old"]
