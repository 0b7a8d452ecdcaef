"""DynamoDB tables."""

from typing import Any

from sandbox.provider.inputs import Inputs, tag_list
from sandbox.provider.registry import Context, Made, handles

_WAIT = {"Delay": 0.1, "MaxAttempts": 100}


@handles("aws:dynamodb/table:Table")
def table(inputs: Inputs, context: Context) -> Made:
    """A table without secondary indexes, with its time to live and recovery."""
    client, name = context.client("dynamodb"), inputs.need("name")
    keys = [("hashKey", "HASH"), ("rangeKey", "RANGE")]
    arguments: dict[str, Any] = inputs.renamed(
        billingMode="BillingMode", deletionProtectionEnabled="DeletionProtectionEnabled", tableClass="TableClass"
    )
    if encryption := inputs.block("serverSideEncryption"):
        arguments["SSESpecification"] = encryption.renamed(enabled="Enabled", kmsKeyArn="KMSMasterKeyId")
    made = client.create_table(
        TableName=name,
        AttributeDefinitions=[
            {"AttributeName": attribute.need("name"), "AttributeType": attribute.need("type")}
            for attribute in inputs.blocks("attributes")
        ],
        KeySchema=[{"AttributeName": inputs.get(key), "KeyType": kind} for key, kind in keys if key in inputs],
        Tags=tag_list(inputs),
        **arguments,
    )["TableDescription"]
    client.get_waiter("table_exists").wait(TableName=name, WaiterConfig=_WAIT)
    if ttl := inputs.block("ttl"):
        specification = {"AttributeName": ttl.need("attributeName"), "Enabled": ttl.get("enabled", False)}
        client.update_time_to_live(TableName=name, TimeToLiveSpecification=specification)
    if recovery := inputs.block("pointInTimeRecovery"):
        specification = recovery.renamed(
            enabled="PointInTimeRecoveryEnabled", recoveryPeriodInDays="RecoveryPeriodInDays"
        )
        client.update_continuous_backups(TableName=name, PointInTimeRecoverySpecification=specification)
    return name, {"arn": made["TableArn"]}
