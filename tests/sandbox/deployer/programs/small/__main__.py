"""A small program: a bucket, a role, a function fed by a queue, a rule, a table, a stream, a thing, a group."""

import json
from pathlib import Path

import pulumi
import pulumi_aws as aws

#: Absolute: a provider that is attached to runs in another folder.
FUNCTION = str(Path(__file__).resolve().parent / "function")
config = pulumi.Config()
limits = config.require_object("limits")
account = aws.get_caller_identity_output().account_id
print("a program may print")


class Store(pulumi.ComponentResource):
    bucket_name: pulumi.Output[str]

    def __init__(self, name, opts=None):
        super().__init__("small:index:Store", name, {}, opts)
        bucket = aws.s3.Bucket(
            f"{name}-bucket",
            bucket=account.apply(lambda number: f"small-{number}"),
            tags={"a": "b"},
            opts=pulumi.ResourceOptions(parent=self),
        )
        aws.s3.BucketVersioning(
            f"{name}-versioning",
            bucket=bucket.bucket,
            versioning_configuration={"status": "Enabled"},
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.bucket_name = bucket.bucket
        self.bucket = bucket
        self.register_outputs({"bucketName": bucket.bucket})


def trust(service):
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": service}}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


store = Store("store")
dead = aws.sqs.Queue("dead", name="small-dead")
queue = aws.sqs.Queue(
    "queue",
    name="small-queue",
    visibility_timeout_seconds=limits["seconds"] * 6,
    redrive_policy=pulumi.Output.json_dumps({"deadLetterTargetArn": dead.arn, "maxReceiveCount": 3}),
)
role = aws.iam.Role("role", name="small-function", assume_role_policy=trust("lambda.amazonaws.com"))
may_read = {
    "Effect": "Allow",
    "Action": ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"],
    "Resource": queue.arn,
}
may_read_document = pulumi.Output.json_dumps({"Version": "2012-10-17", "Statement": [may_read]})
aws.iam.RolePolicy("may-read", name="may-read", role=role.name, policy=may_read_document)
function = aws.lambda_.Function(
    "function",
    name="small-function",
    role=role.arn,
    runtime="python3.11",
    handler="lib.handler.handle",
    code=pulumi.AssetArchive(
        {
            "lib": pulumi.FileArchive(FUNCTION),
            "lib/note.txt": pulumi.StringAsset("note"),
        }
    ),
    timeout=limits["seconds"],
    environment={"variables": {"GREETING": pulumi.Output.secret(config.require("greeting"))}},
)
aws.lambda_.EventSourceMapping(
    "mapping",
    event_source_arn=queue.arn,
    function_name=function.name,
    batch_size=5,
    function_response_types=["ReportBatchItemFailures"],
)
rule_role = aws.iam.Role("rule-role", name="small-rule", assume_role_policy=trust("iot.amazonaws.com"))
rule = aws.iot.TopicRule(
    "rule",
    name="small_rule",
    enabled=True,
    sql="SELECT * FROM 'small/+/reading'",
    sql_version="2016-03-23",
    sqs=[{"queue_url": queue.url, "role_arn": rule_role.arn, "use_base64": False}],
    error_action={"sqs": {"queue_url": dead.url, "role_arn": rule_role.arn, "use_base64": False}},
)
aws.dynamodb.Table(
    "table",
    name="small-table",
    billing_mode="PAY_PER_REQUEST",
    hash_key="id",
    attributes=[{"name": "id", "type": "S"}],
    ttl={"attribute_name": "expires", "enabled": True},
)
thing = aws.iot.Thing("thing", name="small-thing", attributes={"line": "one"})
group = aws.iot.ThingGroup("group", name="small-group", properties={"description": "all of them"})
aws.iot.ThingGroupMembership("member", thing_group_name=group.name, thing_name=thing.name)
alias = aws.iot.RoleAlias("alias", alias="small-alias", role_arn=role.arn)

# What the project's own program has no use for yet, and others of the kind may.
policy = aws.iam.Policy("policy", name="small-policy", policy=may_read_document)
aws.iam.RolePolicyAttachment("attachment", role=rule_role.name, policy_arn=policy.arn)
aws.s3.BucketOwnershipControls(
    "ownership", bucket=store.bucket.bucket, rule={"object_ownership": "BucketOwnerEnforced"}
)
aws.lambda_.Permission(
    "may-invoke",
    action="lambda:InvokeFunction",
    function=function.name,
    principal="events.amazonaws.com",
    source_account=account,
)
aws.lambda_.FunctionEventInvokeConfig("retries", function_name=function.name, maximum_retry_attempts=1)
aws.sqs.RedriveAllowPolicy(
    "only-from-queue",
    queue_url=dead.url,
    redrive_allow_policy=pulumi.Output.json_dumps({"redrivePermission": "byQueue", "sourceQueueArns": [queue.arn]}),
)
spare = aws.sqs.Queue("spare", name="small-spare")
aws.sqs.RedrivePolicy(
    "redrive",
    queue_url=spare.url,
    redrive_policy=pulumi.Output.json_dumps({"deadLetterTargetArn": dead.arn, "maxReceiveCount": 2}),
)
aws.scheduler.ScheduleGroup("schedules", name="small-schedules")
event_rule = aws.cloudwatch.EventRule(
    "event-rule", name="small-events", event_pattern=json.dumps({"source": ["small"]}), description="ours"
)
aws.cloudwatch.EventTarget("event-target", rule=event_rule.name, target_id="queue", arn=spare.arn)
aws.iot.ProvisioningTemplate(
    "template",
    name="small-template",
    enabled=True,
    provisioning_role_arn=rule_role.arn,
    template_body=json.dumps(
        {
            "Parameters": {"AWS::IoT::Certificate::Id": {"Type": "String"}},
            "Resources": {
                "certificate": {
                    "Type": "AWS::IoT::Certificate",
                    "Properties": {"CertificateId": {"Ref": "AWS::IoT::Certificate::Id"}, "Status": "Active"},
                }
            },
        }
    ),
)

pulumi.export("bucket", store.bucket_name)
pulumi.export("function", {"arn": function.arn, "names": limits["names"]})
pulumi.export("queue_url", queue.url)
pulumi.export("alias_arn", alias.arn)
pulumi.export("seconds", limits["seconds"])
