"""The resources of a type that a cloud lists, by the ids that a deployment keeps of them."""

from pm_sandbox.cloud import Cloud

#: By type: service, operation, and the keys of list and item in the answer.
LISTED = {
    "aws-native:greengrassv2:Deployment": ("greengrassv2", "list_deployments", "deployments.deploymentId"),
    "aws:athena/workgroup:Workgroup": ("athena", "list_work_groups", "WorkGroups.Name"),
    "aws:cloudwatch/dashboard:Dashboard": ("cloudwatch", "list_dashboards", "DashboardEntries.DashboardName"),
    "aws:cloudwatch/eventRule:EventRule": ("events", "list_rules", "Rules.Name"),
    "aws:cloudwatch/logGroup:LogGroup": ("logs", "describe_log_groups", "logGroups.logGroupName"),
    "aws:cloudwatch/metricAlarm:MetricAlarm": ("cloudwatch", "describe_alarms", "MetricAlarms.AlarmName"),
    "aws:dynamodb/table:Table": ("dynamodb", "list_tables", "TableNames"),
    "aws:glue/catalogDatabase:CatalogDatabase": ("glue", "get_databases", "DatabaseList.Name"),
    "aws:iam/role:Role": ("iam", "list_roles", "Roles.RoleName"),
    "aws:iot/policy:Policy": ("iot", "list_policies", "policies.policyName"),
    "aws:iot/roleAlias:RoleAlias": ("iot", "list_role_aliases", "roleAliases"),
    "aws:iot/thing:Thing": ("iot", "list_things", "things.thingName"),
    "aws:iot/thingGroup:ThingGroup": ("iot", "list_thing_groups", "thingGroups.groupName"),
    "aws:iot/thingType:ThingType": ("iot", "list_thing_types", "thingTypes.thingTypeName"),
    "aws:iot/topicRule:TopicRule": ("iot", "list_topic_rules", "rules.ruleName"),
    "aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream": (
        "firehose",
        "list_delivery_streams",
        "DeliveryStreamNames",
    ),
    "aws:kms/alias:Alias": ("kms", "list_aliases", "Aliases.AliasName"),
    "aws:kms/key:Key": ("kms", "list_keys", "Keys.KeyId"),
    "aws:lambda/eventSourceMapping:EventSourceMapping": (
        "lambda",
        "list_event_source_mappings",
        "EventSourceMappings.UUID",
    ),
    "aws:lambda/function:Function": ("lambda", "list_functions", "Functions.FunctionName"),
    "aws:s3/bucket:Bucket": ("s3", "list_buckets", "Buckets.Name"),
    "aws:sagemaker/modelPackageGroup:ModelPackageGroup": (
        "sagemaker",
        "list_model_package_groups",
        "ModelPackageGroupSummaryList.ModelPackageGroupName",
    ),
    "aws:scheduler/scheduleGroup:ScheduleGroup": ("scheduler", "list_schedule_groups", "ScheduleGroups.Name"),
    "aws:sfn/stateMachine:StateMachine": (
        "stepfunctions",
        "list_state_machines",
        "stateMachines.stateMachineArn",
    ),
    "aws:sns/topic:Topic": ("sns", "list_topics", "Topics.TopicArn"),
    "aws:sns/topicSubscription:TopicSubscription": ("sns", "list_subscriptions", "Subscriptions.SubscriptionArn"),
    "aws:sqs/queue:Queue": ("sqs", "list_queues", "QueueUrls"),
}


def listed(cloud: Cloud, type_: str) -> set[str]:
    """The ids of the resources of a type that the cloud has."""
    service, operation, path = LISTED[type_]
    client = cloud.client(service)
    items_key, _, name_key = path.partition(".")
    if client.can_paginate(operation):
        pages = list(client.get_paginator(operation).paginate())
    else:
        # Firehose lists ten where it is not asked for more, and Athena 50.
        pages = [getattr(client, operation)(**({"Limit": 1000} if service == "firehose" else {}))]
    items = [item for page in pages for item in page.get(items_key, [])]
    return {item[name_key] if name_key else item for item in items}


def kept_id(type_: str, physical_id: str) -> str:
    """A resource's id in a deployment as the cloud lists it."""
    if type_.startswith("aws:glue/"):
        return physical_id.rpartition(":")[2]
    return physical_id.rpartition("/")[2] if type_.startswith("aws:kinesis/") else physical_id
