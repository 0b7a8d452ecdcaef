"""Firehose, the Glue catalog and Athena."""

from typing import Any

from pm_sandbox.provider.changes import TagArguments, changed, tags_of, update_tags
from pm_sandbox.provider.inputs import Inputs, camel, pascal, tag_list, told
from pm_sandbox.provider.registry import ON_DELETION, Context, Made, deletes, handles, reads, updates

_FIREHOSE_NAMES = {"roleArn": "RoleARN", "bucketArn": "BucketARN", "catalogId": "CatalogId"}
_EXTENDED_S3 = {
    "bucketArn": "BucketARN",
    "compressionFormat": "CompressionFormat",
    "customTimeZone": "CustomTimeZone",
    "errorOutputPrefix": "ErrorOutputPrefix",
    "fileExtension": "FileExtension",
    "prefix": "Prefix",
    "roleArn": "RoleARN",
    "s3BackupMode": "S3BackupMode",
}
_BUFFERING = {"bufferingSize": "SizeInMBs", "bufferingInterval": "IntervalInSeconds"}
_DATABASE = {"description": "Description", "locationUri": "LocationUri", "name": "Name", "parameters": "Parameters"}
_TABLE = {
    "description": "Description",
    "name": "Name",
    "owner": "Owner",
    "parameters": "Parameters",
    "retention": "Retention",
    "tableType": "TableType",
}
_STORAGE = {"serDeInfo": "SerdeInfo"}
_WORKGROUP = {
    "enforceWorkgroupConfiguration": "EnforceWorkGroupConfiguration",
    "publishCloudwatchMetricsEnabled": "PublishCloudWatchMetricsEnabled",
    "kmsKeyArn": "KmsKey",
}
_NAMED_QUERY = {
    "name": "Name",
    "database": "Database",
    "query": "QueryString",
    "description": "Description",
    "workgroup": "WorkGroup",
}


@handles("aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream")
def delivery_stream(inputs: Inputs, context: Context) -> Made:
    """A delivery stream to S3; other destinations are refused."""
    name = inputs.need("name")
    arguments: dict[str, Any] = {}
    if inputs.need("destination") == "extended_s3" and (s3 := inputs.block("extendedS3Configuration")):
        arguments["ExtendedS3DestinationConfiguration"] = _extended_s3(s3)
    if encryption := _encryption(inputs):
        arguments["DeliveryStreamEncryptionConfigurationInput"] = encryption
    if tags := tag_list(inputs):
        arguments["Tags"] = tags
    made = context.client("firehose").create_delivery_stream(
        DeliveryStreamName=name, DeliveryStreamType="DirectPut", **arguments
    )
    return made["DeliveryStreamARN"], {"arn": made["DeliveryStreamARN"]}


def _encryption(inputs: Inputs) -> dict[str, str]:
    """The encryption of a stream; empty if there is none."""
    block = inputs.block("serverSideEncryption")
    if block is None:
        return {}
    key: dict[str, str] = block.renamed(keyType="KeyType", keyArn="KeyARN")
    return {"KeyType": "AWS_OWNED_CMK", **key} if block.need("enabled") else {}


@reads("aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream")
def read_delivery_stream(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any]:
    """A delivery stream with its destination and tags."""
    client, name = context.client("firehose"), id_.rpartition("/")[2]
    found = client.describe_delivery_stream(DeliveryStreamName=name)["DeliveryStreamDescription"]
    encryption = found.get("DeliveryStreamEncryptionConfiguration", {})
    tags = client.list_tags_for_delivery_stream(DeliveryStreamName=name)["Tags"]
    return {
        "name": name,
        "destination": "extended_s3",
        "extendedS3Configuration": _told_s3(found["Destinations"][0]["ExtendedS3DestinationDescription"]),
        "serverSideEncryption": {
            "enabled": encryption.get("Status") in ("ENABLED", "ENABLING"),
            **{key: value for key, value in told(encryption, keyType="KeyType", keyArn="KeyARN").items() if value},
        },
        "tags": tags_of(tags),
    }


def _told_s3(found: dict[str, Any]) -> dict[str, Any]:
    """The reverse of `_extended_s3`."""
    encryption = found.get("EncryptionConfiguration", {}).get("KMSEncryptionConfig", {})
    partitioning = found.get("DynamicPartitioningConfiguration", {})
    answer = {
        **told(found, **_EXTENDED_S3),
        **told(found.get("BufferingHints", {}), **_BUFFERING),
        "cloudwatchLoggingOptions": camel(found.get("CloudWatchLoggingOptions")),
        "kmsKeyArn": encryption.get("AWSKMSKeyARN"),
        "dataFormatConversionConfiguration": camel(found.get("DataFormatConversionConfiguration"), **_FIREHOSE_NAMES),
        "processingConfiguration": camel(found.get("ProcessingConfiguration")),
        "dynamicPartitioningConfiguration": {
            "enabled": partitioning.get("Enabled", False),
            "retryDuration": partitioning.get("RetryOptions", {}).get("DurationInSeconds"),
        },
    }
    return {key: value for key, value in answer.items() if value is not None}


@updates("aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream")
def update_delivery_stream(id_: str, olds: dict[str, Any], news: Inputs, context: Context) -> dict[str, Any]:
    """A stream's destination, in the version that it has now, its encryption and its tags."""
    client, name = context.client("firehose"), news.need("name")
    if changed(olds, news, "extendedS3Configuration") and (s3 := news.block("extendedS3Configuration")):
        found = client.describe_delivery_stream(DeliveryStreamName=name)["DeliveryStreamDescription"]
        client.update_destination(
            DeliveryStreamName=name,
            CurrentDeliveryStreamVersionId=found["VersionId"],
            DestinationId=found["Destinations"][0]["DestinationId"],
            ExtendedS3DestinationUpdate=_extended_s3(s3),
        )
    if changed(olds, news, "serverSideEncryption"):
        if encryption := _encryption(news):
            client.start_delivery_stream_encryption(
                DeliveryStreamName=name, DeliveryStreamEncryptionConfigurationInput=encryption
            )
        else:
            client.stop_delivery_stream_encryption(DeliveryStreamName=name)
    update_tags(olds, news, client.untag_delivery_stream, client.tag_delivery_stream, DeliveryStreamName=name)
    return {}


@deletes("aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream")
def delete_delivery_stream(id_: str, state: dict[str, Any], context: Context) -> None:
    """A delivery stream, with what it has not delivered."""
    context.client("firehose").delete_delivery_stream(DeliveryStreamName=id_.rpartition("/")[2])


def _extended_s3(inputs: Inputs) -> dict[str, Any]:
    configuration: dict[str, Any] = inputs.renamed(**_EXTENDED_S3)
    if hints := inputs.renamed(**_BUFFERING):
        configuration["BufferingHints"] = hints
    if logging := inputs.get("cloudwatchLoggingOptions"):
        configuration["CloudWatchLoggingOptions"] = pascal(logging)
    if key := inputs.get("kmsKeyArn"):
        configuration["EncryptionConfiguration"] = {"KMSEncryptionConfig": {"AWSKMSKeyARN": key}}
    if conversion := inputs.get("dataFormatConversionConfiguration"):
        configuration["DataFormatConversionConfiguration"] = {"Enabled": True, **pascal(conversion, **_FIREHOSE_NAMES)}
    if processing := inputs.get("processingConfiguration"):
        configuration["ProcessingConfiguration"] = pascal(processing)
    if partitioning := inputs.block("dynamicPartitioningConfiguration"):
        configuration["DynamicPartitioningConfiguration"] = {"Enabled": partitioning.get("enabled", False)}
        if "retryDuration" in partitioning:
            retry = {"DurationInSeconds": partitioning.get("retryDuration")}
            configuration["DynamicPartitioningConfiguration"]["RetryOptions"] = retry
    return configuration


@handles("aws:glue/catalogDatabase:CatalogDatabase")
def catalog_database(inputs: Inputs, context: Context) -> Made:
    """A database of the catalog."""
    name = inputs.need("name")
    database = inputs.renamed(**_DATABASE)
    context.client("glue").create_database(DatabaseInput=database, Tags=inputs.get("tags", {}))
    return f"{context.account_id}:{name}", {
        "arn": context.arn("glue", f"database/{name}"),
        "catalogId": context.account_id,
    }


@reads("aws:glue/catalogDatabase:CatalogDatabase")
def read_catalog_database(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any]:
    """A database with its tags."""
    client, name = context.client("glue"), id_.partition(":")[2]
    found = client.get_database(Name=name)["Database"]
    tags = client.get_tags(ResourceArn=context.arn("glue", f"database/{name}"))["Tags"]
    return {**told(found, **_DATABASE), "tags": tags}


@updates("aws:glue/catalogDatabase:CatalogDatabase")
def update_catalog_database(id_: str, olds: dict[str, Any], news: Inputs, context: Context) -> dict[str, Any]:
    """Update a database's settings, all at once, and its tags."""
    client, name = context.client("glue"), id_.partition(":")[2]
    if changed(olds, news, *_DATABASE):
        client.update_database(Name=name, DatabaseInput=news.renamed(**_DATABASE))
    update_tags(
        olds,
        news,
        client.untag_resource,
        client.tag_resource,
        TagArguments("TagsToRemove", "TagsToAdd", dict),
        ResourceArn=olds["arn"],
    )
    return {}


@deletes("aws:glue/catalogDatabase:CatalogDatabase")
def delete_catalog_database(id_: str, state: dict[str, Any], context: Context) -> None:
    """A database, with the tables in it; what they describe stays."""
    context.client("glue").delete_database(Name=id_.partition(":")[2])


@handles("aws:glue/catalogTable:CatalogTable")
def catalog_table(inputs: Inputs, context: Context) -> Made:
    """A table of the catalog; its partition projection is for Athena to honour."""
    database, name = inputs.need("databaseName"), inputs.need("name")
    context.client("glue").create_table(DatabaseName=database, TableInput=_table(inputs))
    return f"{context.account_id}:{database}:{name}", {
        "arn": context.arn("glue", f"table/{database}/{name}"),
        "catalogId": context.account_id,
    }


def _table(inputs: Inputs) -> dict[str, Any]:
    table: dict[str, Any] = inputs.renamed(**_TABLE)
    if "partitionKeys" in inputs:
        table["PartitionKeys"] = pascal(inputs.get("partitionKeys"))
    if "storageDescriptor" in inputs:
        table["StorageDescriptor"] = pascal(inputs.get("storageDescriptor"), **_STORAGE)
    return table


@reads("aws:glue/catalogTable:CatalogTable")
def read_catalog_table(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any]:
    """A table of the catalog."""
    _, database, name = id_.split(":")
    found = context.client("glue").get_table(DatabaseName=database, Name=name)["Table"]
    return {
        "databaseName": database,
        **told(found, **_TABLE),
        "partitionKeys": camel(found.get("PartitionKeys")),
        "storageDescriptor": camel(found.get("StorageDescriptor"), **_STORAGE),
    }


@updates("aws:glue/catalogTable:CatalogTable")
def update_catalog_table(id_: str, olds: dict[str, Any], news: Inputs, context: Context) -> dict[str, Any]:
    """A table, all at once."""
    context.client("glue").update_table(DatabaseName=news.need("databaseName"), TableInput=_table(news))
    return {}


@deletes("aws:glue/catalogTable:CatalogTable")
def delete_catalog_table(id_: str, state: dict[str, Any], context: Context) -> None:
    """A table; what it describes stays."""
    _, database, name = id_.split(":")
    context.client("glue").delete_table(DatabaseName=database, Name=name)


@handles("aws:athena/workgroup:Workgroup", forceDestroy=ON_DELETION)
def workgroup(inputs: Inputs, context: Context) -> Made:
    """A workgroup and what it allows its queries."""
    client, name = context.client("athena"), inputs.need("name")
    configuration = pascal(inputs.get("configuration", {}), **_WORKGROUP)
    client.create_work_group(
        Name=name, Configuration=configuration, Tags=tag_list(inputs), **inputs.renamed(description="Description")
    )
    if "state" in inputs:
        client.update_work_group(WorkGroup=name, State=inputs.get("state"))
    return name, {"arn": context.arn("athena", f"workgroup/{name}")}


@reads("aws:athena/workgroup:Workgroup")
def read_workgroup(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any]:
    """A workgroup with its tags."""
    client = context.client("athena")
    found = client.get_work_group(WorkGroup=id_)["WorkGroup"]
    arn = context.arn("athena", f"workgroup/{id_}")
    return {
        **told(found, name="Name", description="Description", state="State"),
        "configuration": camel(found["Configuration"], **_WORKGROUP),
        "tags": tags_of(client.list_tags_for_resource(ResourceARN=arn)["Tags"]),
    }


@updates("aws:athena/workgroup:Workgroup")
def update_workgroup(id_: str, olds: dict[str, Any], news: Inputs, context: Context) -> dict[str, Any]:
    """A workgroup's settings, and its tags."""
    client = context.client("athena")
    if changed(olds, news, "configuration", "description", "state"):
        configuration = pascal(news.get("configuration", {}), **_WORKGROUP)
        if "ResultConfiguration" in configuration:
            configuration["ResultConfigurationUpdates"] = configuration.pop("ResultConfiguration")
        if "bytesScannedCutoffPerQuery" in olds.get("configuration", {}):
            configuration.setdefault(
                "RemoveBytesScannedCutoffPerQuery", "BytesScannedCutoffPerQuery" not in configuration
            )
        client.update_work_group(
            WorkGroup=id_,
            ConfigurationUpdates=configuration,
            Description=news.get("description", ""),
            State=news.get("state", "ENABLED"),
        )
    update_tags(olds, news, client.untag_resource, client.tag_resource, ResourceARN=olds["arn"])
    return {}


@deletes("aws:athena/workgroup:Workgroup")
def delete_workgroup(id_: str, state: dict[str, Any], context: Context) -> None:
    """A workgroup, which must hold no queries unless the program has it emptied."""
    context.client("athena").delete_work_group(WorkGroup=id_, RecursiveDeleteOption=bool(state.get("forceDestroy")))


@handles("aws:athena/namedQuery:NamedQuery")
def named_query(inputs: Inputs, context: Context) -> Made:
    """A query that is kept under a name."""
    for key in ("name", "database", "query"):
        inputs.need(key)
    made = context.client("athena").create_named_query(**inputs.renamed(**_NAMED_QUERY))
    return made["NamedQueryId"], {}


@reads("aws:athena/namedQuery:NamedQuery")
def read_named_query(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any]:
    """A query that is kept under a name."""
    return told(context.client("athena").get_named_query(NamedQueryId=id_)["NamedQuery"], **_NAMED_QUERY)


@deletes("aws:athena/namedQuery:NamedQuery")
def delete_named_query(id_: str, state: dict[str, Any], context: Context) -> None:
    """A query that is kept under a name."""
    context.client("athena").delete_named_query(NamedQueryId=id_)
