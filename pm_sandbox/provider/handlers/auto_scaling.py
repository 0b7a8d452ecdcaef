"""Auto Scaling: a group that keeps instances, and its hooks. The emulator gives them ids, and boots nothing."""

import json
from typing import Any

from pm_sandbox.provider.changes import changed
from pm_sandbox.provider.inputs import InputError, Inputs, told
from pm_sandbox.provider.registry import Context, Made, deletes, handles, puts, reads, updates

_GROUP = {
    "desiredCapacity": "DesiredCapacity",
    "healthCheckType": "HealthCheckType",
    "maxSize": "MaxSize",
    "minSize": "MinSize",
}
_HOOK = {
    "defaultResult": "DefaultResult",
    "heartbeatTimeout": "HeartbeatTimeout",
    "lifecycleTransition": "LifecycleTransition",
    "notificationMetadata": "NotificationMetadata",
    "notificationTargetArn": "NotificationTargetARN",
    "roleArn": "RoleARN",
}


@handles(
    "aws:autoscaling/group:Group",
    instanceRefresh="says how instances are replaced when the template has changed, and the sandbox makes it once",
    instanceMaintenancePolicy="the emulator's instances are never replaced",
)
def auto_scaling_group(inputs: Inputs, context: Context) -> Made:
    """A group that keeps a number of instances; the emulator gives them ids, and nothing more."""
    name = inputs.need("name")
    client = context.client("autoscaling")
    client.create_auto_scaling_group(
        AutoScalingGroupName=name, Tags=_group_tags(inputs.blocks("tags")), **_group(inputs)
    )
    (made,) = client.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
    return name, {"arn": made["AutoScalingGroupARN"]}


def _group(inputs: Inputs) -> dict[str, Any]:
    template = inputs.block("launchTemplate")
    if template is None:
        raise InputError("launchTemplate is missing: a group without one is not honoured")
    for key in ("minSize", "maxSize"):
        inputs.need(key)
    return {
        "LaunchTemplate": {"LaunchTemplateId": template.need("id"), "Version": template.need("version")},
        "VPCZoneIdentifier": ",".join(inputs.need("vpcZoneIdentifiers")),
        **inputs.renamed(**_GROUP),
    }


def _group_tags(blocks: list[Inputs]) -> list[dict[str, Any]]:
    return [
        {"Key": tag.need("key"), "Value": tag.need("value"), "PropagateAtLaunch": tag.need("propagateAtLaunch")}
        for tag in blocks
    ]


@reads("aws:autoscaling/group:Group")
def read_auto_scaling_group(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any] | None:
    """A group that keeps a number of instances."""
    groups = context.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[id_])
    for found in groups["AutoScalingGroups"]:
        template = found.get("LaunchTemplate", {})
        tags = {tag["Key"]: tag for tag in found.get("Tags", [])}
        order = [tag["key"] for tag in state.get("tags", []) if tag["key"] in tags]
        return {
            "name": id_,
            **told(found, **_GROUP),
            "launchTemplate": told(template, id="LaunchTemplateId", version="Version"),
            "vpcZoneIdentifiers": found.get("VPCZoneIdentifier", "").split(","),
            "tags": [
                {
                    "key": key,
                    "value": tags[key]["Value"],
                    "propagateAtLaunch": tags[key]["PropagateAtLaunch"],
                }
                for key in [*order, *sorted(tags.keys() - set(order))]
            ],
        }
    return None


@updates("aws:autoscaling/group:Group")
def update_auto_scaling_group(id_: str, olds: dict[str, Any], news: Inputs, context: Context) -> dict[str, Any]:
    """A group's settings, all at once, and its tags."""
    client = context.client("autoscaling")
    if changed(olds, news, "launchTemplate", "vpcZoneIdentifiers", *_GROUP):
        client.update_auto_scaling_group(AutoScalingGroupName=id_, **_group(news))
    if changed(olds, news, "tags"):
        place = {"ResourceId": id_, "ResourceType": "auto-scaling-group"}
        has = _group_tags(news.blocks("tags"))
        gone = {tag["key"] for tag in olds.get("tags", [])} - {tag["Key"] for tag in has}
        if gone:
            client.delete_tags(Tags=[{"Key": key, **place} for key in sorted(gone)])
        if has:
            client.create_or_update_tags(Tags=[{**tag, **place} for tag in has])
    return {}


@deletes("aws:autoscaling/group:Group")
def delete_auto_scaling_group(id_: str, state: dict[str, Any], context: Context) -> None:
    """A group, once it keeps none."""
    client = context.client("autoscaling")
    client.update_auto_scaling_group(AutoScalingGroupName=id_, MinSize=0, MaxSize=0, DesiredCapacity=0)
    client.delete_auto_scaling_group(AutoScalingGroupName=id_, ForceDelete=bool(state.get("forceDelete")))


@puts("aws:autoscaling/lifecycleHook:LifecycleHook")
def lifecycle_hook(inputs: Inputs, context: Context) -> Made:
    """A hook that an instance waits for. As AWS does, a queue that is to hear of it is sent a test."""
    name, group = inputs.need("name"), inputs.need("autoscalingGroupName")
    inputs.need("lifecycleTransition")
    context.client("autoscaling").put_lifecycle_hook(
        LifecycleHookName=name, AutoScalingGroupName=group, **inputs.renamed(**_HOOK)
    )
    target = inputs.get("notificationTargetArn")
    if target:
        sqs = context.client("sqs")
        test = {
            "AccountId": context.account_id,
            "AutoScalingGroupName": group,
            "Event": "autoscaling:TEST_NOTIFICATION",
            "Service": "AWS Auto Scaling",
        }
        url = sqs.get_queue_url(QueueName=target.rpartition(":")[2])["QueueUrl"]
        sqs.send_message(QueueUrl=url, MessageBody=json.dumps(test))
    return name, {}


@reads("aws:autoscaling/lifecycleHook:LifecycleHook")
def read_lifecycle_hook(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any] | None:
    """A hook that an instance waits for, if its group has it."""
    group = state["autoscalingGroupName"]
    hooks = context.client("autoscaling").describe_lifecycle_hooks(AutoScalingGroupName=group)["LifecycleHooks"]
    for found in hooks:
        if found["LifecycleHookName"] == id_:
            # The emulated cloud does not tell whom a hook notifies.
            settings = {key: value for key, value in told(found, **_HOOK).items() if value is not None}
            return {"name": id_, "autoscalingGroupName": group, **settings}
    return None


@deletes("aws:autoscaling/lifecycleHook:LifecycleHook")
def delete_lifecycle_hook(id_: str, state: dict[str, Any], context: Context) -> None:
    """A hook that an instance waits for; its group stays."""
    context.client("autoscaling").delete_lifecycle_hook(
        LifecycleHookName=id_, AutoScalingGroupName=state["autoscalingGroupName"]
    )
