"""The resources that have a name in a cloud, for types of which the cloud itself refuses no second one of that name.

Where AWS refuses, so does the emulated cloud. Of these types it lets two resources be one, without a word, and what
destroys the one destroys the other.
"""

from collections.abc import Iterable

from pm_sandbox.deployer.records import DeploymentError, ResourceRecord

#: Creating is putting, which replaces what is there: PutLifecycleHook, PutDashboard, PutMetricAlarm, PutRule,
#: PutRolePolicy, PutObject.
_REPLACED = {
    "aws:autoscaling/lifecycleHook:LifecycleHook",
    "aws:cloudwatch/dashboard:Dashboard",
    "aws:cloudwatch/eventRule:EventRule",
    "aws:cloudwatch/metricAlarm:MetricAlarm",
    "aws:iam/rolePolicy:RolePolicy",
    "aws:s3/bucketObjectv2:BucketObjectv2",
}
#: Creating succeeds where all is as it was, by the API reference of each.
_SHARED = {
    "aws:iot/thing:Thing",
    "aws:iot/thingGroup:ThingGroup",
    "aws:iot/thingType:ThingType",
    "aws:sfn/stateMachine:StateMachine",
    "aws:sns/topic:Topic",
    "aws:sqs/queue:Queue",
}
WATCHED = _REPLACED | _SHARED


class Owners:
    """The owners of resources.

    Args:
        records: what is there already, of other stacks and of this one.
    """

    def __init__(self, records: Iterable[ResourceRecord] = ()) -> None:
        self._owners = {(record.type, record.physical_id): record.urn for record in records}

    def claim(self, type_: str, physical_id: str, urn: str) -> None:
        """Note that a resource was made for `urn`.

        Raises:
            DeploymentError: if it was made before, for another one.
        """
        if type_ not in WATCHED:
            return
        if (owner := self._owners.get((type_, physical_id), urn)) != urn:
            raise DeploymentError(f"{physical_id} already exists, as {owner}: name each resource after its component")
        self._owners[type_, physical_id] = urn

    def rename(self, type_: str, physical_id: str, urn: str) -> None:
        """Note that a resource is that of `urn` from now on."""
        self._owners[type_, physical_id] = urn

    def release(self, type_: str, physical_id: str, urn: str) -> None:
        """Note that the resource of `urn` is none any more."""
        if self._owners.get((type_, physical_id)) == urn:
            del self._owners[type_, physical_id]
