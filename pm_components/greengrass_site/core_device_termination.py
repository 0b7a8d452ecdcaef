"""The end of an EC2 host: before it goes, its certificate is deactivated and its thing's name is free for the next one.

Auto Scaling tells a queue that an instance is ending, and holds it until the function says that it is done, or the
hook's time is over. A notification that cannot be processed becomes a dead letter with an alarm: sent back, it still
frees the name.
"""

import json
from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from pm_components.aws import naming
from pm_components.aws.alarms import TopicArns
from pm_components.aws.lambda_function import contracts_layer, lambda_function
from pm_components.aws.limits import SQS_EVENT_SOURCE_CONCURRENCY_MINIMUM
from pm_components.aws.permissions import allow, service_role
from pm_components.aws.queues import WorkQueue, work_queue

_TIMEOUT_SECONDS = 30
#: Seconds that an instance waits for the function: each of its five tries, which are six times its timeout apart.
#: Allowed are 30 to 7,200 ("Add lifecycle hooks", Amazon EC2 Auto Scaling user guide).
_HEARTBEAT_SECONDS = 900


def host_termination(
    name: str,
    thing_name: pulumi.Input[str],
    thing_groups: Sequence[pulumi.Input[str]],
    group: aws.autoscaling.Group,
    group_name: str,
    *,
    parent: pulumi.Resource,
    alarm_topic_arns: TopicArns = None,
) -> None:
    """The lifecycle hook `{name}-termination-hook` of a group, its queue, and the function that works it off.

    Args:
        name: logical name of the host.
        thing_name: the thing that the group's instances are, one after the other.
        thing_groups: its thing groups, whose deployments the next instance is to take.
        group: the Auto Scaling group.
        group_name: its physical name.
        parent: the component that it belongs to.
        alarm_topic_arns: SNS topics that hear of dead letters.
    """
    word = f"{name}-termination"
    queue = work_queue(word, _TIMEOUT_SECONDS, parent=parent, alarm_topic_arns=alarm_topic_arns)
    source = _function(word, thing_name, thing_groups, group_name, queue, parent)
    # "Receive notification using Amazon SQS", Amazon EC2 Auto Scaling user guide; GetQueueUrl is asked for beside it by
    # AWS's own policy for this, AutoScalingNotificationAccessRole.
    role = service_role(
        f"{word}-notice",
        "autoscaling.amazonaws.com",
        [allow(["sqs:SendMessage", "sqs:GetQueueUrl"], [queue.queue.arn])],
        parent=parent,
    )
    aws.autoscaling.LifecycleHook(
        f"{word}-hook",
        name="certificate",
        autoscaling_group_name=group.name,
        lifecycle_transition="autoscaling:EC2_INSTANCE_TERMINATING",
        # An instance that ends cannot be kept; both results let it go.
        default_result="CONTINUE",
        heartbeat_timeout=_HEARTBEAT_SECONDS,
        notification_target_arn=queue.queue.arn,
        role_arn=role.arn,
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[source]),
    )


def _function(
    word: str,
    thing_name: pulumi.Input[str],
    thing_groups: Sequence[pulumi.Input[str]],
    group_name: str,
    queue: WorkQueue,
    parent: pulumi.Resource,
) -> aws.lambda_.EventSourceMapping:
    """The function, fed by the queue."""
    thing = naming.arn("iot", pulumi.Output.concat("thing/", thing_name), parent)
    groups = [naming.arn("iot", pulumi.Output.concat("thinggroup/", group), parent) for group in thing_groups]
    certificates = naming.arn("iot", "cert/*", parent)
    made = lambda_function(
        word,
        "host_termination",
        parent=parent,
        description="Deactivates and detaches the certificate of a core device's host that is ending",
        statements=[
            allow(["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"], [queue.queue.arn]),
            allow(["iot:ListThingPrincipals"], [thing]),
            # Which certificate it is, the thing alone knows: no policy can name it.
            allow(["iot:DescribeCertificate", "iot:UpdateCertificate"], [certificates]),
            allow(["iot:DetachThingPrincipal"], [certificates, thing]),
            allow(["iot:AddThingToThingGroup", "iot:RemoveThingFromThingGroup"], [thing, *groups]),
            allow(
                ["autoscaling:CompleteLifecycleAction"],
                [naming.arn("autoscaling", f"autoScalingGroup:*:autoScalingGroupName/{group_name}", parent)],
            ),
        ],
        environment={
            "THING_NAME": thing_name,
            "THING_GROUPS": pulumi.Output.all(*thing_groups).apply(json.dumps),
        },
        layers=[contracts_layer(word, parent=parent).arn],
        timeout_seconds=_TIMEOUT_SECONDS,
    )
    return aws.lambda_.EventSourceMapping(
        f"{word}-source",
        event_source_arn=queue.queue.arn,
        function_name=made.function.arn,
        batch_size=1,
        function_response_types=["ReportBatchItemFailures"],
        scaling_config={"maximum_concurrency": SQS_EVENT_SOURCE_CONCURRENCY_MINIMUM},
        opts=pulumi.ResourceOptions(parent=parent),
    )
