"""The ARN that AWS gives to each type of resource, from its inputs."""

from collections.abc import Mapping
from typing import Any

#: The part after `arn:aws:`, with the inputs that it is made of; `id` is the resource's. Source: "Resource types
#: defined by ...", Service Authorization Reference.
_FORMS = {
    "aws:athena/workgroup:Workgroup": "athena:{region}:{account}:workgroup/{name}",
    "aws:autoscaling/group:Group": "autoscaling:{region}:{account}:autoScalingGroup:{id}:autoScalingGroupName/{name}",
    "aws:cloudwatch/dashboard:Dashboard": "cloudwatch::{account}:dashboard/{dashboardName}",
    "aws:cloudwatch/eventRule:EventRule": "events:{region}:{account}:rule/{name}",
    "aws:cloudwatch/logGroup:LogGroup": "logs:{region}:{account}:log-group:{name}",
    "aws:cloudwatch/logStream:LogStream": "logs:{region}:{account}:log-group:{logGroupName}:log-stream:{name}",
    "aws:cloudwatch/metricAlarm:MetricAlarm": "cloudwatch:{region}:{account}:alarm:{name}",
    "aws:dynamodb/table:Table": "dynamodb:{region}:{account}:table/{name}",
    "aws:ebs/volume:Volume": "ec2:{region}:{account}:volume/{id}",
    "aws:ec2/internetGateway:InternetGateway": "ec2:{region}:{account}:internet-gateway/{id}",
    "aws:ec2/launchTemplate:LaunchTemplate": "ec2:{region}:{account}:launch-template/{id}",
    "aws:ec2/routeTable:RouteTable": "ec2:{region}:{account}:route-table/{id}",
    "aws:ec2/securityGroup:SecurityGroup": "ec2:{region}:{account}:security-group/{id}",
    "aws:ec2/subnet:Subnet": "ec2:{region}:{account}:subnet/{id}",
    "aws:ec2/vpc:Vpc": "ec2:{region}:{account}:vpc/{id}",
    "aws:glue/catalogDatabase:CatalogDatabase": "glue:{region}:{account}:database/{name}",
    "aws:glue/catalogTable:CatalogTable": "glue:{region}:{account}:table/{databaseName}/{name}",
    "aws:iam/instanceProfile:InstanceProfile": "iam::{account}:instance-profile/{name}",
    "aws:iam/policy:Policy": "iam::{account}:policy/{name}",
    "aws:iam/role:Role": "iam::{account}:role/{name}",
    "aws:iot/policy:Policy": "iot:{region}:{account}:policy/{name}",
    "aws:iot/provisioningTemplate:ProvisioningTemplate": "iot:{region}:{account}:provisioningtemplate/{name}",
    "aws:iot/roleAlias:RoleAlias": "iot:{region}:{account}:rolealias/{alias}",
    "aws:iot/thing:Thing": "iot:{region}:{account}:thing/{name}",
    "aws:iot/thingGroup:ThingGroup": "iot:{region}:{account}:thinggroup/{name}",
    "aws:iot/thingType:ThingType": "iot:{region}:{account}:thingtype/{name}",
    "aws:iot/topicRule:TopicRule": "iot:{region}:{account}:rule/{name}",
    "aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream": "firehose:{region}:{account}:deliverystream/{name}",
    "aws:kms/alias:Alias": "kms:{region}:{account}:{name}",
    "aws:kms/key:Key": "kms:{region}:{account}:key/{id}",
    "aws:lambda/eventSourceMapping:EventSourceMapping": "lambda:{region}:{account}:event-source-mapping:{id}",
    "aws:lambda/function:Function": "lambda:{region}:{account}:function:{name}",
    "aws:lambda/layerVersion:LayerVersion": "lambda:{region}:{account}:layer:{layerName}:1",
    "aws:s3/bucket:Bucket": "s3:::{bucket}",
    "aws:s3/bucketObjectv2:BucketObjectv2": "s3:::{bucket}/{key}",
    "aws:sagemaker/modelPackageGroup:ModelPackageGroup": (
        "sagemaker:{region}:{account}:model-package-group/{modelPackageGroupName}"
    ),
    "aws:sagemaker/notebookInstance:NotebookInstance": "sagemaker:{region}:{account}:notebook-instance/{name}",
    "aws:sagemaker/notebookInstanceLifecycleConfiguration:NotebookInstanceLifecycleConfiguration": (
        "sagemaker:{region}:{account}:notebook-instance-lifecycle-config/{name}"
    ),
    "aws:scheduler/schedule:Schedule": "scheduler:{region}:{account}:schedule/default/{name}",
    "aws:scheduler/scheduleGroup:ScheduleGroup": "scheduler:{region}:{account}:schedule-group/{name}",
    "aws:sfn/stateMachine:StateMachine": "states:{region}:{account}:stateMachine:{name}",
    "aws:sns/topic:Topic": "sns:{region}:{account}:{name}",
    "aws:sqs/queue:Queue": "sqs:{region}:{account}:{name}",
    "aws-native:greengrassv2:ComponentVersion": (
        "greengrass:{region}:{account}:components:{componentName}:versions:{componentVersion}"
    ),
}


def arn(token: str, id_: str, inputs: Mapping[str, Any], region: str, account: str) -> str | None:
    """The ARN of a resource; None for a type that has none, or whose name is left to Pulumi.

    Args:
        token: the type.
        id_: the resource's id.
        inputs: its inputs; only texts become a part of an ARN.
        region: AWS's name of the region.
        account: the account's number.
    """
    texts = {key: value for key, value in inputs.items() if isinstance(value, str)}
    try:
        return f"arn:aws:{_FORMS[token]}".format_map({**texts, "id": id_, "region": region, "account": account})
    except KeyError:
        return None
