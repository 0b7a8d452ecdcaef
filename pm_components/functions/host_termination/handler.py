"""Notifications of Auto Scaling (by way of SQS) that the EC2 host of a core device ends -> its thing's name is free.

Fleet provisioning gives a name to nobody while a certificate is attached to it. The instance waits in
`Terminating:Wait` until this has been done, or the hook's time is over.
"""

import datetime as dt
import functools
import json
import logging
import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import boto3
from botocore.exceptions import ClientError

from pm_components.functions.batches import work_off_each
from pm_components.functions.host_termination.core import of_the_dead, termination

log = logging.getLogger(__name__)


class Means(NamedTuple):
    """Settings of the function."""

    iot: Any
    autoscaling: Any
    thing: str
    """The thing that the hosts of the group are, one after the other."""
    groups: Sequence[str]
    """Its thing groups."""


def end(body: str, means: Means) -> str:
    """Free the name of the host that a notification says is ending.

    Done again it changes nothing, so that a delivery that failed half-way can be repeated: the certificate is detached
    last.

    Raises:
        ValueError: if `body` is no notification.
    """
    found = termination(body)
    if found is None:
        return "Tested"
    dead = of_the_dead(_certificates(means), found.at)
    for arn in dead:
        means.iot.update_certificate(certificateId=arn.rpartition("/")[2], newStatus="INACTIVE")
    if dead:
        _have_deployed_again(means)
    for arn in dead:
        # It stays attached to its policies, by which `pm clear` finds it.
        means.iot.detach_thing_principal(thingName=means.thing, principal=arn)
    try:
        means.autoscaling.complete_lifecycle_action(
            AutoScalingGroupName=found.group,
            LifecycleHookName=found.hook,
            LifecycleActionToken=found.token,
            InstanceId=found.instance,
            LifecycleActionResult="CONTINUE",
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationError":
            raise
        log.warning("%s no longer waits: %s", found.instance, error)
    log.info("%s: %d certificates of %s are inactive and detached", found.instance, len(dead), means.thing)
    return "Freed" if dead else "NothingToFree"


def _certificates(means: Means) -> dict[str, dt.datetime]:
    """Time of creation of each certificate of the thing, by its ARN."""
    pages = means.iot.get_paginator("list_thing_principals").paginate(thingName=means.thing)
    arns = [arn for page in pages for arn in page["principals"] if ":cert/" in arn]
    described = {arn: means.iot.describe_certificate(certificateId=arn.rpartition("/")[2]) for arn in arns}
    return {arn: one["certificateDescription"]["creationDate"] for arn, one in described.items()}


def _have_deployed_again(means: Means) -> None:
    """Have the next host take the deployments that this one has carried out: it begins with an empty disk.

    A deployment to a thing group is a continuous job, which runs for a thing once, and again when the thing joins the
    group ("Jobs key concepts", AWS IoT developer guide).
    """
    for group in means.groups:
        means.iot.remove_thing_from_thing_group(thingGroupName=group, thingName=means.thing)
        means.iot.add_thing_to_thing_group(thingGroupName=group, thingName=means.thing)


@functools.cache
def _means() -> Means:
    groups = json.loads(os.environ["THING_GROUPS"])
    return Means(boto3.client("iot"), boto3.client("autoscaling"), os.environ["THING_NAME"], groups)


def handle(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """The Lambda handler."""
    return work_off_each(event, lambda record: end(record["body"], _means()))
