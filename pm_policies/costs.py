"""The monthly cost of a stack, estimated from its resources before they are made.

Prices are those of `pm_policies/prices.py`; `REGIONAL_SURCHARGE` covers that other regions ask more than US East. What
use there will be cannot be read off a program; it is assumed in `Usage`, on the high side. `NOT_IN_IT` says what is
left out.
"""

from collections.abc import Callable, Iterable, Mapping
from math import ceil
from typing import Any, NamedTuple

from pulumi_policy.proxy import UnknownValueError

from pm_policies.inputs import at, document, is_set, items
from pm_policies.prices import INSTANCE_HOURS, PRICES
from pm_policies.rule import Resource
from pm_policies.stacks import known_values

HOURS = 730
"""Hours of a month, as AWS's own calculator has them."""
REGIONAL_SURCHARGE = 1.2
"""Frankfurt asks up to a fifth more than N. Virginia for what is used here."""
_MILLION = 1_000_000
NOT_IN_IT = (
    "data transfer",
    "requests to keys",
    "minutes of connection and shadow operations of AWS IoT Core",
    "objects that dynamic partitioning delivers",
    "storage of logs",
    "reads of tables",
    "what Amazon Polly speaks",
)
"""Charges of such a stack that this estimate leaves out: cents, at the size that `Usage` assumes."""


class Usage(NamedTuple):
    """The assumed usage of a month."""

    messages_per_thing: int = 4 * HOURS
    """A thing sends a reading an hour; forecast, outcome and score come of it."""
    gigabytes_per_bucket: float = 20
    puts_per_bucket: int = 50_000
    invocations_per_function: int = 100_000
    seconds_per_invocation: float = 0.5
    requests_per_queue: int = 100_000
    polls_per_event_source: int = 1_300_000
    """AWS Lambda keeps five pollers waiting, 20 seconds each: 650,000 requests, and as many again for what comes."""
    requests_per_topic: int = 100_000
    writes_per_table: int = 1_000_000
    gigabytes_per_table: float = 1
    gigabytes_per_log_group: float = 0.5
    terabytes_per_workgroup: float = 0.1
    training_runs: float = 4.4
    """Of a state machine that trains: once a week. Each job is taken to run for as long as it may."""
    transitions_per_run: int = 500
    gigabytes_per_volume: int = 8


class Item(NamedTuple):
    """A line of the estimate."""

    what: str
    """Resource type's last part and the resource's name."""
    urn: str
    usd: float


class Estimate(NamedTuple):
    """The monthly cost of a stack, in US dollars, surcharge included."""

    items: list[Item]
    unpriced: list[tuple[str, str]]
    """URNs of what should have a price and has none here, with the reason."""

    @property
    def total_usd(self) -> float:
        """The sum."""
        return sum(item.usd for item in self.items)

    def largest(self, count: int) -> list[Item]:
        """The `count` most expensive lines."""
        return sorted(self.items, key=lambda item: -item.usd)[:count]


class Unpriced(Exception):
    """A resource that costs something and is not in the table."""


def estimate(resources: Iterable[Resource], usage: Usage = Usage()) -> Estimate:  # noqa: B008 - it cannot change
    """The monthly cost of `resources`.

    A resource whose size is not known yet, or whose price is not in the table, is named in `unpriced`.
    """
    priced: list[Item] = []
    unpriced: list[tuple[str, str]] = []
    known = list(resources)
    for resource in known:
        if resource.type in _FREE or not resource.type.startswith(("aws:", "aws-native:")):
            continue
        try:
            if resource.type not in _CHARGES:
                raise Unpriced(f"no price for {resource.type}")
            usd = _CHARGES[resource.type](resource.inputs, usage)
        except Unpriced as reason:
            unpriced.append((resource.urn, str(reason)))
        except UnknownValueError as unknown:
            unpriced.append((resource.urn, f"{'.'.join(unknown.props)} is not known yet"))
        else:
            what = f"{resource.type.rpartition(':')[2]} {resource.name}"
            priced.append(Item(what, resource.urn, usd * REGIONAL_SURCHARGE))
    counted = {"messages of the things": _messages(known, usage), "core devices": _core_devices(known)}
    priced += [Item(what, "", usd * REGIONAL_SURCHARGE) for what, usd in counted.items() if usd]
    return Estimate(priced, unpriced)


def _messages(resources: Iterable[Resource], usage: Usage) -> float:
    types = [resource.type for resource in resources]
    each = _price("iot_message")
    if "aws:iot/topicRule:TopicRule" in types:
        each += _price("iot_rule") + _price("iot_action")
    return types.count("aws:iot/thing:Thing") * usage.messages_per_thing * each


def _core_devices(resources: Iterable[Resource]) -> float:
    """The members of a thing group, which take its deployments."""
    members = [one for one in resources if one.type == "aws:iot/thingGroupMembership:ThingGroupMembership"]
    return len({name for one in members for name in known_values(one.inputs, "thingName")}) * _price("core_device")


def _price(name: str) -> float:
    return PRICES[name].usd


def _hours(instance_type: Any) -> float:
    if instance_type not in INSTANCE_HOURS:
        raise Unpriced(f"no price for instance type {instance_type}")
    return INSTANCE_HOURS[instance_type].usd


def _instance(inputs: Mapping[str, Any], usage: Usage) -> float:
    root = at(inputs, "rootBlockDevice", "volumeSize") or usage.gigabytes_per_volume
    address = _price("public_address") if inputs.get("associatePublicIpAddress") else 0.0
    return HOURS * (_hours(inputs.get("instanceType")) + address) + root * _price("volume_gigabyte")


def _launch_template(inputs: Mapping[str, Any], usage: Usage) -> float:
    """One instance: a group of more has no price here."""
    disks = sum(at(one, "ebs", "volumeSize") or 0 for one in items(inputs.get("blockDeviceMappings")))
    public = [one for one in items(inputs.get("networkInterfaces")) if one.get("associatePublicIpAddress") == "true"]
    hourly = _hours(inputs.get("instanceType")) + len(public) * _price("public_address")
    return HOURS * hourly + (disks or usage.gigabytes_per_volume) * _price("volume_gigabyte")


def _group(inputs: Mapping[str, Any], _usage: Usage) -> float:
    """Nothing beside its one instance, which is priced with the launch template."""
    if inputs.get("maxSize") != 1:
        raise Unpriced(f"a group of up to {inputs.get('maxSize')} instances is not estimated, only one of 1")
    return 0.0


def _notebook(inputs: Mapping[str, Any], usage: Usage) -> float:
    size = inputs.get("volumeSize") or usage.gigabytes_per_volume
    return HOURS * _hours(inputs.get("instanceType")) + size * _price("volume_gigabyte")


def _function(inputs: Mapping[str, Any], usage: Usage) -> float:
    gigabytes = (inputs.get("memorySize") or 128) / 1024
    seconds = usage.invocations_per_function * usage.seconds_per_invocation
    return usage.invocations_per_function * _price("lambda_request") + seconds * gigabytes * _price(
        "lambda_gigabyte_second"
    )


def _stream(inputs: Mapping[str, Any], usage: Usage) -> float:
    gigabytes = usage.messages_per_thing * _THINGS_PER_STREAM * 5 / _MILLION
    configuration = at(inputs, "extendedS3Configuration") or {}
    each = _price("firehose_gigabyte")
    if at(configuration, "dataFormatConversionConfiguration", "enabled"):
        each += _price("firehose_conversion")
    if at(configuration, "dynamicPartitioningConfiguration", "enabled"):
        each += _price("firehose_partitioning")
    return ceil(gigabytes) * each


_THINGS_PER_STREAM = 100
"""Things whose messages a stream is taken to carry; a record of each message counts 5 KB."""


def _state_machine(inputs: Mapping[str, Any], usage: Usage) -> float:
    jobs = list(_training_jobs(document(inputs, "definition")))
    hours = sum(seconds / 3600 * count * _hours(type_) for type_, count, seconds in jobs)
    return usage.training_runs * (hours + usage.transitions_per_run * _price("state_transition"))


def _training_jobs(node: Any) -> Iterable[tuple[str, int, int]]:
    """Instance type, count and longest time of each training job in a definition."""
    if isinstance(node, Mapping):
        cluster = node.get("ResourceConfig")
        if isinstance(cluster, Mapping):
            longest = (node.get("StoppingCondition") or {}).get("MaxRuntimeInSeconds", 86_400)
            # A value that is only chosen when it runs has a key that ends with `.$`.
            yield str(cluster.get("InstanceType")), int(cluster.get("InstanceCount", 1)), int(longest)
        for value in node.values():
            yield from _training_jobs(value)
    elif isinstance(node, list):
        for value in node:
            yield from _training_jobs(value)


def _endpoint(inputs: Mapping[str, Any], _usage: Usage) -> float:
    if inputs.get("vpcEndpointType") != "Interface":
        return 0.0
    return HOURS * _price("endpoint") * max(1, len(items(inputs.get("subnetIds"))))


def _table(inputs: Mapping[str, Any], usage: Usage) -> float:
    if inputs.get("billingMode") != "PAY_PER_REQUEST":
        raise Unpriced("provisioned capacity is not estimated")
    return usage.writes_per_table * _price("dynamodb_write") + usage.gigabytes_per_table * _price("dynamodb_gigabyte")


def _alarm(inputs: Mapping[str, Any], _usage: Usage) -> float:
    return _price("alarm") * max(1, len(items(inputs.get("metricQueries")))) if is_set(inputs, "name") else 0.0


_CHARGES: dict[str, Callable[[Mapping[str, Any], Usage], float]] = {
    "aws:kms/key:Key": lambda _inputs, _usage: _price("kms_key"),
    "aws:cloudwatch/metricAlarm:MetricAlarm": _alarm,
    "aws:cloudwatch/dashboard:Dashboard": lambda _inputs, _usage: _price("dashboard"),
    "aws:cloudwatch/logGroup:LogGroup": lambda _inputs, usage: usage.gigabytes_per_log_group * _price("log_gigabyte"),
    "aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream": _stream,
    "aws:s3/bucket:Bucket": lambda _inputs, usage: (
        usage.gigabytes_per_bucket * _price("s3_gigabyte") + usage.puts_per_bucket * _price("s3_put")
    ),
    "aws:lambda/function:Function": _function,
    "aws:lambda/eventSourceMapping:EventSourceMapping": lambda _inputs, usage: (
        usage.polls_per_event_source * _price("sqs_request")
    ),
    "aws:sqs/queue:Queue": lambda _inputs, usage: usage.requests_per_queue * _price("sqs_request"),
    "aws:sns/topic:Topic": lambda _inputs, usage: usage.requests_per_topic * _price("sns_request"),
    "aws:dynamodb/table:Table": _table,
    "aws:athena/workgroup:Workgroup": lambda _inputs, usage: usage.terabytes_per_workgroup * _price("athena_terabyte"),
    "aws:sfn/stateMachine:StateMachine": _state_machine,
    "aws:ec2/instance:Instance": _instance,
    "aws:ec2/launchTemplate:LaunchTemplate": _launch_template,
    "aws:autoscaling/group:Group": _group,
    "aws:ebs/volume:Volume": lambda inputs, usage: (
        (inputs.get("size") or usage.gigabytes_per_volume) * _price("volume_gigabyte")
    ),
    "aws:ec2/eip:Eip": lambda _inputs, _usage: HOURS * _price("public_address"),
    "aws:ec2/natGateway:NatGateway": lambda _inputs, _usage: HOURS * _price("nat_gateway"),
    "aws:ec2/vpcEndpoint:VpcEndpoint": _endpoint,
    "aws:sagemaker/notebookInstance:NotebookInstance": _notebook,
}

#: Types that cost nothing by themselves: settings, permissions, descriptions, and what is counted in another line.
_FREE = frozenset(
    {
        "aws-native:greengrassv2:ComponentVersion",
        "aws-native:greengrassv2:Deployment",
        "aws:athena/namedQuery:NamedQuery",
        "aws:autoscaling/lifecycleHook:LifecycleHook",
        "aws:cloudwatch/eventRule:EventRule",
        "aws:cloudwatch/eventTarget:EventTarget",
        "aws:cloudwatch/logStream:LogStream",
        "aws:ec2/internetGateway:InternetGateway",
        "aws:ec2/route:Route",
        "aws:ec2/routeTable:RouteTable",
        "aws:ec2/routeTableAssociation:RouteTableAssociation",
        "aws:ec2/securityGroup:SecurityGroup",
        "aws:ec2/subnet:Subnet",
        "aws:ec2/vpc:Vpc",
        "aws:glue/catalogDatabase:CatalogDatabase",
        "aws:glue/catalogTable:CatalogTable",
        "aws:iam/instanceProfile:InstanceProfile",
        "aws:iam/policy:Policy",
        "aws:iam/role:Role",
        "aws:iam/rolePolicy:RolePolicy",
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
        "aws:iot/certificate:Certificate",
        "aws:iot/policy:Policy",
        "aws:iot/policyAttachment:PolicyAttachment",
        "aws:iot/provisioningTemplate:ProvisioningTemplate",
        "aws:iot/roleAlias:RoleAlias",
        "aws:iot/thing:Thing",
        "aws:iot/thingGroup:ThingGroup",
        # A core device is counted once, however many groups it is in.
        "aws:iot/thingGroupMembership:ThingGroupMembership",
        "aws:iot/thingPrincipalAttachment:ThingPrincipalAttachment",
        "aws:iot/thingType:ThingType",
        "aws:iot/topicRule:TopicRule",
        "aws:kms/alias:Alias",
        "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig",
        "aws:lambda/layerVersion:LayerVersion",
        "aws:lambda/permission:Permission",
        "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
        "aws:s3/bucketNotification:BucketNotification",
        "aws:s3/bucketObjectv2:BucketObjectv2",
        "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
        "aws:s3/bucketPolicy:BucketPolicy",
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
        "aws:s3/bucketVersioning:BucketVersioning",
        "aws:sagemaker/modelPackageGroup:ModelPackageGroup",
        "aws:sagemaker/notebookInstanceLifecycleConfiguration:NotebookInstanceLifecycleConfiguration",
        "aws:scheduler/schedule:Schedule",
        "aws:scheduler/scheduleGroup:ScheduleGroup",
        "aws:sns/topicPolicy:TopicPolicy",
        "aws:sns/topicSubscription:TopicSubscription",
        "aws:sqs/queuePolicy:QueuePolicy",
        "aws:sqs/redrivePolicy:RedrivePolicy",
        "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule",
        "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
    }
)
