"""Firehose, the Glue catalog and Athena."""

from typing import Any

from sandbox.provider.inputs import Inputs, pascal, tag_list
from sandbox.provider.registry import ON_DELETION, Context, Made, handles

_FIREHOSE_NAMES = {"roleArn": "RoleARN", "bucketArn": "BucketARN", "catalogId": "CatalogId"}


@handles("aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream")
def delivery_stream(inputs: Inputs, context: Context) -> Made:
    """A delivery stream to S3; other destinations are refused."""
    name = inputs.need("name")
    arguments: dict[str, Any] = {}
    if inputs.need("destination") == "extended_s3" and (s3 := inputs.block("extendedS3Configuration")):
        arguments["ExtendedS3DestinationConfiguration"] = _extended_s3(s3)
    if encryption := inputs.block("serverSideEncryption"):
        key = encryption.renamed(keyType="KeyType", keyArn="KeyARN")
        if encryption.need("enabled"):
            arguments["DeliveryStreamEncryptionConfigurationInput"] = {"KeyType": "AWS_OWNED_CMK", **key}
    if tags := tag_list(inputs):
        arguments["Tags"] = tags
    made = context.client("firehose").create_delivery_stream(
        DeliveryStreamName=name, DeliveryStreamType="DirectPut", **arguments
    )
    return made["DeliveryStreamARN"], {"arn": made["DeliveryStreamARN"]}


def _extended_s3(inputs: Inputs) -> dict[str, Any]:
    configuration: dict[str, Any] = inputs.renamed(
        bucketArn="BucketARN",
        compressionFormat="CompressionFormat",
        customTimeZone="CustomTimeZone",
        errorOutputPrefix="ErrorOutputPrefix",
        fileExtension="FileExtension",
        prefix="Prefix",
        roleArn="RoleARN",
        s3BackupMode="S3BackupMode",
    )
    hints = inputs.renamed(bufferingSize="SizeInMBs", bufferingInterval="IntervalInSeconds")
    if hints:
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
    database = inputs.renamed(
        description="Description", locationUri="LocationUri", name="Name", parameters="Parameters"
    )
    context.client("glue").create_database(DatabaseInput=database, Tags=inputs.get("tags", {}))
    return f"{context.account_id}:{name}", {
        "arn": context.arn("glue", f"database/{name}"),
        "catalogId": context.account_id,
    }


@handles("aws:glue/catalogTable:CatalogTable")
def catalog_table(inputs: Inputs, context: Context) -> Made:
    """A table of the catalog; its partition projection is for Athena to honour."""
    database, name = inputs.need("databaseName"), inputs.need("name")
    table = inputs.renamed(
        description="Description",
        name="Name",
        owner="Owner",
        parameters="Parameters",
        retention="Retention",
        tableType="TableType",
    )
    if "partitionKeys" in inputs:
        table["PartitionKeys"] = pascal(inputs.get("partitionKeys"))
    if "storageDescriptor" in inputs:
        table["StorageDescriptor"] = pascal(inputs.get("storageDescriptor"), serDeInfo="SerdeInfo")
    context.client("glue").create_table(DatabaseName=database, TableInput=table)
    return f"{context.account_id}:{database}:{name}", {
        "arn": context.arn("glue", f"table/{database}/{name}"),
        "catalogId": context.account_id,
    }


@handles("aws:athena/workgroup:Workgroup", forceDestroy=ON_DELETION)
def workgroup(inputs: Inputs, context: Context) -> Made:
    """A workgroup and what it allows its queries."""
    client, name = context.client("athena"), inputs.need("name")
    configuration = pascal(
        inputs.get("configuration", {}),
        enforceWorkgroupConfiguration="EnforceWorkGroupConfiguration",
        publishCloudwatchMetricsEnabled="PublishCloudWatchMetricsEnabled",
        kmsKeyArn="KmsKey",
    )
    client.create_work_group(
        Name=name, Configuration=configuration, Tags=tag_list(inputs), **inputs.renamed(description="Description")
    )
    if "state" in inputs:
        client.update_work_group(WorkGroup=name, State=inputs.get("state"))
    return name, {"arn": context.arn("athena", f"workgroup/{name}")}


@handles("aws:athena/namedQuery:NamedQuery")
def named_query(inputs: Inputs, context: Context) -> Made:
    """A query that is kept under a name."""
    made = context.client("athena").create_named_query(
        Name=inputs.need("name"),
        Database=inputs.need("database"),
        QueryString=inputs.need("query"),
        **inputs.renamed(description="Description", workgroup="WorkGroup"),
    )
    return made["NamedQueryId"], {}
