"""DynamoDB tables."""

from typing import Any

from pm_sandbox.provider.changes import changed, tags_of, update_tags
from pm_sandbox.provider.inputs import Inputs, tag_list, told
from pm_sandbox.provider.registry import Context, Made, deletes, handles, reads, updates

_WAIT = {"Delay": 0.1, "MaxAttempts": 100}
_SETTINGS = {
    "billingMode": "BillingMode",
    "deletionProtectionEnabled": "DeletionProtectionEnabled",
    "tableClass": "TableClass",
}


@handles("aws:dynamodb/table:Table")
def table(inputs: Inputs, context: Context) -> Made:
    """A table without secondary indexes, with its time to live and recovery."""
    client, name = context.client("dynamodb"), inputs.need("name")
    keys = [("hashKey", "HASH"), ("rangeKey", "RANGE")]
    arguments: dict[str, Any] = {**inputs.renamed(**_SETTINGS), **_encryption(inputs)}
    made = client.create_table(
        TableName=name,
        AttributeDefinitions=_attributes(inputs),
        KeySchema=[{"AttributeName": inputs.get(key), "KeyType": kind} for key, kind in keys if key in inputs],
        Tags=tag_list(inputs),
        **arguments,
    )["TableDescription"]
    client.get_waiter("table_exists").wait(TableName=name, WaiterConfig=_WAIT)
    _set_time_to_live(client, name, inputs)
    _set_recovery(client, name, inputs)
    return name, {"arn": made["TableArn"]}


@reads("aws:dynamodb/table:Table")
def read_table(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any]:
    """A table with its time to live, recovery and tags."""
    client = context.client("dynamodb")
    found = client.describe_table(TableName=id_)["Table"]
    keys = {key["KeyType"]: key["AttributeName"] for key in found["KeySchema"]}
    ttl = client.describe_time_to_live(TableName=id_)["TimeToLiveDescription"]
    backups = client.describe_continuous_backups(TableName=id_)["ContinuousBackupsDescription"]
    recovery = backups["PointInTimeRecoveryDescription"]
    encryption = found.get("SSEDescription", {})
    return {
        "name": id_,
        "hashKey": keys["HASH"],
        "rangeKey": keys.get("RANGE"),
        "attributes": [
            {"name": attribute["AttributeName"], "type": attribute["AttributeType"]}
            for attribute in found["AttributeDefinitions"]
        ],
        "billingMode": found.get("BillingModeSummary", {}).get("BillingMode", "PROVISIONED"),
        "deletionProtectionEnabled": found.get("DeletionProtectionEnabled", False),
        "tableClass": found.get("TableClassSummary", {}).get("TableClass", "STANDARD"),
        "serverSideEncryption": {
            "enabled": encryption.get("Status") == "ENABLED",
            **_given(told(encryption, kmsKeyArn="KMSMasterKeyArn")),
        },
        "ttl": {
            "enabled": ttl["TimeToLiveStatus"] in ("ENABLED", "ENABLING"),
            **_given(told(ttl, attributeName="AttributeName")),
        },
        "pointInTimeRecovery": {
            "enabled": recovery["PointInTimeRecoveryStatus"] == "ENABLED",
            **_given(told(recovery, recoveryPeriodInDays="RecoveryPeriodInDays")),
        },
        "tags": tags_of(client.list_tags_of_resource(ResourceArn=found["TableArn"])["Tags"]),
    }


@updates("aws:dynamodb/table:Table")
def update_table(id_: str, olds: dict[str, Any], news: Inputs, context: Context) -> dict[str, Any]:
    """A table's settings, each by a call of its own, as the real provider sets them."""
    client = context.client("dynamodb")
    for key in changed(olds, news, *_SETTINGS):
        client.update_table(TableName=id_, **news.renamed(**{key: _SETTINGS[key]}))
    if changed(olds, news, "serverSideEncryption"):
        client.update_table(TableName=id_, **(_encryption(news) or {"SSESpecification": {"Enabled": False}}))
    if changed(olds, news, "attributes"):
        client.update_table(TableName=id_, AttributeDefinitions=_attributes(news))
    if changed(olds, news, "ttl"):
        if (old := olds.get("ttl")) and "ttl" not in news:
            off = {"AttributeName": old["attributeName"], "Enabled": False}
            client.update_time_to_live(TableName=id_, TimeToLiveSpecification=off)
        _set_time_to_live(client, id_, news)
    if changed(olds, news, "pointInTimeRecovery"):
        if "pointInTimeRecovery" not in news:
            none = {"PointInTimeRecoveryEnabled": False}
            client.update_continuous_backups(TableName=id_, PointInTimeRecoverySpecification=none)
        _set_recovery(client, id_, news)
    update_tags(olds, news, client.untag_resource, client.tag_resource, ResourceArn=olds["arn"])
    return {}


@deletes("aws:dynamodb/table:Table")
def delete_table(id_: str, state: dict[str, Any], context: Context) -> None:
    """A table, unless it is protected."""
    client = context.client("dynamodb")
    client.delete_table(TableName=id_)
    client.get_waiter("table_not_exists").wait(TableName=id_, WaiterConfig=_WAIT)


def _attributes(inputs: Inputs) -> list[dict[str, str]]:
    return [
        {"AttributeName": attribute.need("name"), "AttributeType": attribute.need("type")}
        for attribute in inputs.blocks("attributes")
    ]


def _encryption(inputs: Inputs) -> dict[str, Any]:
    """The argument that encrypts a table with a key of the account; empty if the program says nothing of it."""
    block = inputs.block("serverSideEncryption")
    if block is None:
        return {}
    return {"SSESpecification": block.renamed(enabled="Enabled", kmsKeyArn="KMSMasterKeyId")}


def _set_time_to_live(client: Any, name: str, inputs: Inputs) -> None:
    if ttl := inputs.block("ttl"):
        specification = {"AttributeName": ttl.need("attributeName"), "Enabled": ttl.get("enabled", False)}
        client.update_time_to_live(TableName=name, TimeToLiveSpecification=specification)


def _set_recovery(client: Any, name: str, inputs: Inputs) -> None:
    if recovery := inputs.block("pointInTimeRecovery"):
        specification = recovery.renamed(
            enabled="PointInTimeRecoveryEnabled", recoveryPeriodInDays="RecoveryPeriodInDays"
        )
        client.update_continuous_backups(TableName=name, PointInTimeRecoverySpecification=specification)


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}
