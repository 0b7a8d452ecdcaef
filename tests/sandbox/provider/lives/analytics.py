"""Glue, Athena and Firehose."""

from typing import Any

from tests.sandbox.provider.lives.lab import OTHER_TAGS, TAGS, Lab, Life, life


@life("aws:glue/catalogDatabase:CatalogDatabase")
def _database(lab: Lab) -> Life:
    return Life(
        {"name": lab.name().replace("-", "_"), "description": "a", "tags": TAGS},
        {"description": "b", "tags": OTHER_TAGS},
    )


def _catalog_table(lab: Lab, database: str, name: str) -> dict[str, Any]:
    serialization = {"serializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"}
    return {
        "databaseName": database,
        "name": name,
        "tableType": "EXTERNAL_TABLE",
        "description": "a",
        "parameters": {"classification": "parquet", "projection.enabled": "true"},
        "partitionKeys": [{"name": "site", "type": "string"}, {"name": "ingest_day", "type": "string"}],
        "storageDescriptor": {
            "columns": [{"name": "message_id", "type": "string", "comment": "c"}],
            "location": "s3://bucket/reading/",
            "inputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
            "outputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
            "serDeInfo": serialization,
        },
    }


@life("aws:glue/catalogTable:CatalogTable")
def _glue_table(lab: Lab) -> Life:
    database = lab.name().replace("-", "_")
    lab.make("aws:glue/catalogDatabase:CatalogDatabase", name=database)
    inputs = _catalog_table(lab, database, "reading")
    columns = [*inputs["storageDescriptor"]["columns"], {"name": "value", "type": "double"}]
    return Life(
        inputs,
        {
            "description": "b",
            "parameters": {"classification": "parquet", "projection.enabled": "false"},
            "partitionKeys": inputs["partitionKeys"][:1],
            "storageDescriptor": {**inputs["storageDescriptor"], "columns": columns},
            "tableType": "VIRTUAL_VIEW",
        },
    )


@life("aws:athena/workgroup:Workgroup")
def _workgroup(lab: Lab) -> Life:
    def configuration(limit: int, place: str) -> dict[str, Any]:
        return {
            "bytesScannedCutoffPerQuery": limit,
            "enforceWorkgroupConfiguration": True,
            "publishCloudwatchMetricsEnabled": limit == 10_485_760,
            "engineVersion": {"selectedEngineVersion": "Athena engine version 3"},
            "resultConfiguration": {
                "outputLocation": f"s3://bucket/{place}/",
                "encryptionConfiguration": {"encryptionOption": "SSE_S3"},
            },
        }

    return Life(
        {
            "name": lab.name(),
            "description": "a",
            "forceDestroy": False,
            "configuration": configuration(10_485_760, "a"),
            "tags": TAGS,
        },
        {
            "description": "b",
            "forceDestroy": True,
            "configuration": configuration(20_000_000, "b"),
            "state": "DISABLED",
            "tags": OTHER_TAGS,
        },
        frozenset({"forceDestroy"}),
    )


@life("aws:athena/namedQuery:NamedQuery")
def _named_query(lab: Lab) -> Life:
    group = lab.make("aws:athena/workgroup:Workgroup", name=lab.name()).id
    return Life({"name": "a", "database": "d", "query": "SELECT 1", "description": "b", "workgroup": group})


@life("aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream")
def _stream(lab: Lab) -> Life:
    database = lab.name().replace("-", "_")
    lab.make("aws:glue/catalogDatabase:CatalogDatabase", name=database)
    lab.make("aws:glue/catalogTable:CatalogTable", **_catalog_table(lab, database, "reading"))
    query = [
        {"parameterName": "JsonParsingEngine", "parameterValue": "JQ-1.6"},
        {"parameterName": "MetadataExtractionQuery", "parameterValue": "{site:.site}"},
    ]

    def destination(prefix: str, seconds: int) -> dict[str, Any]:
        return {
            "bucketArn": bucket,
            "roleArn": lab.role,
            "prefix": f"{prefix}/site=!{{partitionKeyFromQuery:site}}/ingest_day=!{{timestamp:yyyy-MM-dd}}/",
            "errorOutputPrefix": "errors/!{firehose:error-output-type}/!{timestamp:yyyy-MM-dd}/",
            "bufferingSize": 64,
            "bufferingInterval": seconds,
            "cloudwatchLoggingOptions": {"enabled": True, "logGroupName": group, "logStreamName": "s"},
            "dynamicPartitioningConfiguration": {"enabled": True},
            "processingConfiguration": {
                "enabled": True,
                "processors": [{"type": "MetadataExtraction", "parameters": query}],
            },
            "dataFormatConversionConfiguration": {
                "enabled": True,
                "inputFormatConfiguration": {"deserializer": {"openXJsonSerDe": {}}},
                "outputFormatConfiguration": {"serializer": {"parquetSerDe": {"compression": "SNAPPY"}}},
                "schemaConfiguration": {"roleArn": lab.role, "databaseName": database, "tableName": "reading"},
            },
        }

    bucket = f"arn:aws:s3:::{lab.bucket()}"
    group = lab.make("aws:cloudwatch/logGroup:LogGroup", name=lab.name()).id
    lab.make("aws:cloudwatch/logStream:LogStream", logGroupName=group, name="s")
    return Life(
        {
            "name": lab.name(),
            "destination": "extended_s3",
            "extendedS3Configuration": destination("a", 60),
            "serverSideEncryption": {"enabled": True, "keyType": "AWS_OWNED_CMK"},
            "tags": TAGS,
        },
        {
            "extendedS3Configuration": destination("b", 90),
            "serverSideEncryption": {"enabled": False},
            "tags": OTHER_TAGS,
        },
    )
