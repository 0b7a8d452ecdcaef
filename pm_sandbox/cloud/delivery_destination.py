"""The S3 destination of a Firehose stream: what of it is honoured, and how it partitions records.

What is not honoured is refused when the stream is created, by name, so that no stream behaves otherwise than it says.
"""

import json
import time
from typing import Any

import msgspec
from ministack.services import firehose

#: Smallest buffer that AWS allows with record format conversion or dynamic partitioning, MiB: its developer guide.
_MINIMUM_BUFFER_MEBIBYTES = 64

_HONOURED = {
    "BucketARN",
    "BufferingHints",
    "CloudWatchLoggingOptions",
    "CompressionFormat",
    "CustomTimeZone",
    "DataFormatConversionConfiguration",
    "DynamicPartitioningConfiguration",
    "EncryptionConfiguration",
    "ErrorOutputPrefix",
    "FileExtension",
    "Prefix",
    "ProcessingConfiguration",
    "RoleARN",
    "S3BackupMode",
}
_document = msgspec.json.Decoder(dict)


def destination_error(config: dict[str, Any]) -> str:
    """The reason that a stream with this S3 destination cannot be honoured; empty if it can."""
    if unknown := sorted(set(config) - _HONOURED):
        return (
            f"{', '.join(unknown)} of a destination is not honoured here; honoured are {', '.join(sorted(_HONOURED))}"
        )
    if config.get("S3BackupMode", "Disabled") != "Disabled":
        return "S3BackupMode is not honoured here; leave it Disabled"
    if config.get("CustomTimeZone", "UTC") != "UTC":
        return f"CustomTimeZone {config['CustomTimeZone']} is not honoured here; UTC is"
    if "KMSEncryptionConfig" in (config.get("EncryptionConfiguration") or {}):
        return "EncryptionConfiguration with a key is not honoured here; let the bucket encrypt"
    if config.get("CompressionFormat", "UNCOMPRESSED") not in ("UNCOMPRESSED", "GZIP"):
        return f"CompressionFormat {config['CompressionFormat']} is not honoured here; UNCOMPRESSED and GZIP are"
    partitioned = bool((config.get("DynamicPartitioningConfiguration") or {}).get("Enabled"))
    conversion = config.get("DataFormatConversionConfiguration") or {}
    converted = bool(conversion.get("Enabled", bool(conversion)))
    size = (config.get("BufferingHints") or {}).get("SizeInMBs", 128 if partitioned or converted else 5)
    if (partitioned or converted) and size < _MINIMUM_BUFFER_MEBIBYTES:
        return (
            f"BufferingHints.SizeInMBs must be at least {_MINIMUM_BUFFER_MEBIBYTES} with record format conversion or "
            f"dynamic partitioning, and is {size}"
        )
    return _processing_error(config, partitioned) or (_conversion_error(config, conversion) if converted else "")


def _processing_error(config: dict[str, Any], partitioned: bool) -> str:
    for processor in (config.get("ProcessingConfiguration") or {}).get("Processors") or []:
        if processor["Type"] != "MetadataExtraction":
            return f"processor {processor['Type']} is not honoured here; MetadataExtraction is"
    if not partitioned:
        return ""
    if not config.get("ErrorOutputPrefix"):
        return "ErrorOutputPrefix is required with dynamic partitioning"
    try:
        keys = {key: "x" for key, _, _ in firehose._jq_parse(_extraction_query(config))}
        firehose._evaluate_prefix(config.get("Prefix", ""), time.gmtime(), keys)
    except ValueError as error:
        return f"MetadataExtractionQuery: {error}"
    except firehose._DeliveryError as error:
        return f"Prefix: {error}"
    if unused := [key for key in keys if f"partitionKeyFromQuery:{key}}}" not in config.get("Prefix", "")]:
        return f"Prefix must name every partition key, and does not name {', '.join(unused)}"
    return ""


def _conversion_error(config: dict[str, Any], conversion: dict[str, Any]) -> str:
    serializer = (conversion.get("OutputFormatConfiguration") or {}).get("Serializer") or {}
    if set(serializer) != {"ParquetSerDe"} or serializer["ParquetSerDe"].get("Compression", "SNAPPY") != "SNAPPY":
        return "record format conversion writes Parquet with SNAPPY here, and nothing else"
    if "OpenXJsonSerDe" not in ((conversion.get("InputFormatConfiguration") or {}).get("Deserializer") or {}):
        return "record format conversion reads with OpenXJsonSerDe here, and nothing else"
    if config.get("CompressionFormat", "UNCOMPRESSED") != "UNCOMPRESSED":
        return "CompressionFormat must be UNCOMPRESSED with record format conversion"
    if "RoleARN" not in (conversion.get("SchemaConfiguration") or {}):
        return "SchemaConfiguration.RoleARN is required"
    return ""


def partition_keys(config: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    """The parsed metadata extraction query, empty if the stream is not partitioned dynamically."""
    if not (config.get("DynamicPartitioningConfiguration") or {}).get("Enabled"):
        return []
    return list(firehose._jq_parse(_extraction_query(config)))


def _extraction_query(config: dict[str, Any]) -> str:
    for processor in (config.get("ProcessingConfiguration") or {}).get("Processors") or []:
        if processor["Type"] == "MetadataExtraction":
            parameters = {p["ParameterName"]: p["ParameterValue"] for p in processor["Parameters"]}
            return str(parameters.get("MetadataExtractionQuery", ""))
    return ""


def evaluate_keys(steps: list[tuple[str, Any, Any]], record: bytes) -> dict[str, str]:
    """The partition keys of one record. Raises ValueError where it has none."""
    if not steps:
        return {}
    document = _document.decode(record)
    keys = {}
    for key, path, functions in steps:
        value = firehose._jq_value(document, path, functions)
        if value is None or isinstance(value, dict | list) or value == "":
            raise ValueError(f"partition key {key} has no scalar value")
        keys[key] = value if isinstance(value, str) else json.dumps(value)
    return keys
