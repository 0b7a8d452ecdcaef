"""Firehose that gathers records and delivers them as batches.

The emulator writes one object a record, and the record into memory for good. Here a stream's records wait until there
are enough of them or the oldest has waited long enough; then each partition gets one object. What cannot be converted
goes to the error prefix with its reason, alone. `GET /_pm/firehose` counts what was accepted, delivered and refused.
"""

import asyncio
import base64
import contextlib
import gzip
import json
import logging
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from ministack import app
from ministack.core import responses
from ministack.services import firehose, glue, s3

from pm_sandbox.cloud import delivery_destination, parquet_conversion, role_permissions, seams

#: Seconds that the oldest record waits. AWS waits for the stream's buffering hints, a minute and more.
INTERVAL_SECONDS = 0.5
#: Records that are delivered without waiting.
BATCH_RECORDS = 5_000
#: Seconds until a delivery that failed as a whole is tried again.
RETRY_SECONDS = 2.0
#: "The maximum size of a record sent to Amazon Data Firehose, before base64-encoding, is 1,000 KiB": its quota page.
_MAXIMUM_RECORD_BYTES = 1_000 * 1024

_PRINCIPAL = "firehose.amazonaws.com"
_log = logging.getLogger("pm.firehose")
_converters = ThreadPoolExecutor(1, thread_name_prefix="firehose-conversion")


class DeliveryFailed(RuntimeError):
    """A whole batch could not be delivered, or a record not be taken; the text says why."""


@dataclass
class _Object:
    """One S3 object to write, and the records that it carries."""

    key: str
    body: bytes
    records: list[bytes]
    refused: bool = False


@dataclass
class _Stream:
    """The records of one delivery stream that wait, and the count of the others. Touched on the event loop only."""

    account: str
    region: str
    name: str
    waiting: list[bytes] = field(default_factory=list)
    oldest: float = 0.0
    accepted: int = 0
    delivered: int = 0
    refused: int = 0
    delivery: asyncio.Task[None] | None = None
    full: asyncio.Event = field(default_factory=asyncio.Event)

    def accept(self, record: bytes) -> None:
        if not self.waiting:
            self.oldest = time.time()
        self.waiting.append(record)
        self.accepted += 1
        if self.delivery is None:
            self.delivery = asyncio.get_running_loop().create_task(self._deliver_until_empty())
        if len(self.waiting) >= BATCH_RECORDS:
            self.full.set()

    async def _deliver_until_empty(self) -> None:
        failing = False
        while self.waiting:
            if failing:
                await asyncio.sleep(RETRY_SECONDS)
            else:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.full.wait(), INTERVAL_SECONDS)
            self.full.clear()
            batch, arrived, self.waiting = self.waiting, self.oldest, []
            try:
                with responses.request_scope(self.account, self.region):
                    left, problem = await self._deliver(batch, arrived)
            except Exception as error:
                left, problem = batch, str(error)
            # AWS tries a day long; nothing is given up here while the process lives.
            if left and not failing:
                _log.warning("stream %s: %s; trying again every %.0f s", self.name, problem, RETRY_SECONDS)
            failing = bool(left)
            if left:
                self.waiting, self.oldest = left + self.waiting, arrived
        self.delivery = None

    async def _deliver(self, batch: list[bytes], arrived: float) -> tuple[list[bytes], str]:
        """Write the objects of a batch; answers the records of those that could not be, and why."""
        stream = firehose._streams.get(self.name)
        if stream is None:
            _log.warning("stream %s was deleted with %d records in it; they are gone, as on AWS", self.name, len(batch))
            self.refused += len(batch)
            return [], ""
        (destination,) = stream["destinations"]
        config = destination["config"]
        bucket = firehose._s3_bucket_from_arn(config["BucketARN"])
        schema = _schema(config)
        version = stream.get("version", 1)
        loop = asyncio.get_running_loop()
        objects = await loop.run_in_executor(
            _converters, _prepare, config, schema, f"{self.name}-{version}", batch, arrived
        )
        left: list[bytes] = []
        problem = ""
        for item in objects:
            try:
                self._write(config, bucket, item)
            except Exception as error:  # of one object: the others must not wait for it
                left += item.records
                problem = str(error)
            else:
                if item.refused:
                    self.refused += len(item.records)
                else:
                    self.delivered += len(item.records)
        return left, problem

    def _write(self, config: dict[str, Any], bucket: str, item: _Object) -> None:
        resource = f"{config['BucketARN']}/{item.key.rpartition('/')[0]}/*"
        role_permissions.require_permission(config["RoleARN"], _PRINCIPAL, "s3:PutObject", resource)
        headers = {"content-type": "application/octet-stream", "content-length": str(len(item.body))}
        status, _, answer = s3._put_object(bucket, item.key, item.body, headers)
        if status >= 300:
            raise DeliveryFailed(f"s3://{bucket}/{item.key} answered {status}: {answer.decode(errors='replace')}")


_streams: dict[tuple[str, str, str], _Stream] = {}


def accept(account: str, region: str, name: str, record: bytes) -> None:
    """Take one record into a stream. Call on the event loop.

    Raises:
        DeliveryFailed: if there is no such stream, or the record is too large.
    """
    if firehose._streams.get_scoped(account, region, name) is None:
        raise DeliveryFailed(f"Firehose {name} under account {account} not found.")
    if len(record) > _MAXIMUM_RECORD_BYTES:
        raise DeliveryFailed(f"a record of {len(record)} bytes, and at most {_MAXIMUM_RECORD_BYTES} are allowed")
    key = (account, region, name)
    stream = _streams.get(key)
    if stream is None:
        stream = _streams[key] = _Stream(account, region, name)
    stream.accept(record)


async def _counts(_query: dict[str, list[str]]) -> dict[str, dict[str, int]]:
    return {
        stream.name: {"accepted": stream.accepted, "delivered": stream.delivered, "refused": stream.refused}
        for stream in _streams.values()
    }


def _schema(config: dict[str, Any]) -> pa.Schema | None:
    """The Arrow schema of the Glue table that records are converted to; None if they are not converted."""
    conversion = config.get("DataFormatConversionConfiguration") or {}
    if not conversion.get("Enabled", bool(conversion)):
        return None
    where = conversion["SchemaConfiguration"]
    database, table = where["DatabaseName"], where["TableName"]
    arn = f"arn:aws:glue:{responses.get_region()}:{responses.get_account_id()}:table/{database}/{table}"
    role_permissions.require_permission(where["RoleARN"], _PRINCIPAL, "glue:GetTableVersions", arn)
    found = glue._tables.get(f"{database}/{table}")
    if found is None:
        raise DeliveryFailed(f"the Glue table {database}.{table} that records are converted to does not exist")
    columns = found["StorageDescriptor"]["Columns"]
    return pa.schema([pa.field(c["Name"], parquet_conversion.arrow_type(c["Type"])) for c in columns])


def _prepare(
    config: dict[str, Any], schema: pa.Schema | None, name: str, batch: list[bytes], arrived: float
) -> list[_Object]:
    """The objects that a batch becomes: one a partition, and one a reason of refusal. Runs off the event loop."""
    at = time.gmtime(arrived)
    objects: list[_Object] = []
    partitions: dict[str, list[bytes]] = {}
    refused: dict[str, list[tuple[bytes, str]]] = {}
    steps = delivery_destination.partition_keys(config)
    for record in batch:
        try:
            keys = delivery_destination.evaluate_keys(steps, record)
            partitions.setdefault(firehose._evaluate_prefix(config.get("Prefix", ""), at, keys), []).append(record)
        except (ValueError, RecursionError, firehose._DeliveryError) as error:
            refused.setdefault("processing-failed", []).append((record, str(error)))
    for prefix, records in partitions.items():
        body, extension, bad = _body(config, schema, records)
        for index, reason in bad:
            refused.setdefault("format-conversion-failed", []).append((records[index], reason))
        if len(bad) < len(records):
            key = f"{prefix}{_object_name(name, at)}{config.get('FileExtension') or extension}"
            unfit = {index for index, _ in bad}
            objects.append(_Object(key, body, [one for index, one in enumerate(records) if index not in unfit]))
    for kind, entries in refused.items():
        template = config.get("ErrorOutputPrefix") or f"{kind}/"
        prefix = firehose._evaluate_prefix(template, at, error_type=kind)
        lines = b"".join(_error_line(record, reason, arrived) for record, reason in entries)
        objects.append(_Object(prefix + _object_name(name, at), lines, [record for record, _ in entries], refused=True))
    return objects


def _body(
    config: dict[str, Any], schema: pa.Schema | None, records: list[bytes]
) -> tuple[bytes, str, list[tuple[int, str]]]:
    if schema is not None:
        body, bad = parquet_conversion.convert(records, schema)
        return body, ".parquet", bad
    if config.get("CompressionFormat") == "GZIP":
        return gzip.compress(b"".join(records), mtime=0), ".gz", []
    return b"".join(records), "", []


def _object_name(name: str, at: time.struct_time) -> str:
    return f"{name}-{time.strftime('%Y-%m-%d-%H-%M-%S', at)}-{uuid.uuid4()}"


def _error_line(record: bytes, reason: str, arrived: float) -> bytes:
    """The document that Firehose writes of a record it could not deliver."""
    now = int(time.time() * 1000)
    document = {
        "attemptsMade": 1,
        "arrivalTimestamp": int(arrived * 1000),
        "attemptEndingTimestamp": now,
        "errorMessage": reason,
        "rawData": base64.b64encode(record).decode(),
    }
    return json.dumps(document).encode() + b"\n"


def _put_record(data: dict[str, Any]) -> Any:
    """PutRecord, on a thread of the emulator's."""
    try:
        record_id = _put(data.get("DeliveryStreamName", ""), data.get("Record", {}).get("Data", ""))
    except DeliveryFailed as error:
        kind = "ResourceNotFoundException" if "not found" in str(error) else "InvalidArgumentException"
        return responses.error_response_json(kind, str(error), 400)
    return responses.json_response({"RecordId": record_id, "Encrypted": False})


def _put_record_batch(data: dict[str, Any]) -> Any:
    """PutRecordBatch, on a thread of the emulator's."""
    records = data.get("Records", [])
    # "Each PutRecordBatch request supports up to 500 records": Amazon Data Firehose API reference.
    if not 1 <= len(records) <= 500:
        return responses.error_response_json("InvalidArgumentException", "1 to 500 records are allowed.", 400)
    answers = []
    for record in records:
        try:
            answers.append({"RecordId": _put(data.get("DeliveryStreamName", ""), record.get("Data", ""))})
        except DeliveryFailed as error:
            if "not found" in str(error):
                return responses.error_response_json("ResourceNotFoundException", str(error), 400)
            answers.append({"ErrorCode": "InvalidArgumentException", "ErrorMessage": str(error)})
    failed = sum("ErrorCode" in answer for answer in answers)
    return responses.json_response({"FailedPutCount": failed, "Encrypted": False, "RequestResponses": answers})


def _put(name: str, data: str) -> str:
    record = base64.b64decode(data)
    account, region = responses.get_account_id(), responses.get_region()

    async def on_loop() -> None:
        accept(account, region, name, record)

    asyncio.run_coroutine_threadsafe(on_loop(), app._MAIN_LOOP).result()
    return str(uuid.uuid4())


def _checked_create(create: Any) -> Any:
    def create_delivery_stream(data: dict[str, Any]) -> Any:
        config = data.get("ExtendedS3DestinationConfiguration")
        if config is None or data.get("DeliveryStreamType", "DirectPut") != "DirectPut":
            error = "only DirectPut streams with an ExtendedS3DestinationConfiguration are honoured here"
        elif missing := [key for key in ("BucketARN", "RoleARN") if not config.get(key)]:
            error = f"{' and '.join(missing)} of the destination is required"
        elif not (error := delivery_destination.destination_error(config)):
            role = config["RoleARN"]
            if not role_permissions.may_assume(role, _PRINCIPAL):
                error = f"Firehose is unable to assume role {role}. Please check the role provided."
        if error:
            return responses.error_response_json("InvalidArgumentException", error, 400)
        return create(data)

    return create_delivery_stream


def _checked_update(update: Any) -> Any:
    def update_destination(data: dict[str, Any]) -> Any:
        stream = firehose._streams.get(data.get("DeliveryStreamName", ""))
        change = data.get("ExtendedS3DestinationUpdate")
        if stream is None:
            return update(data)
        (destination,) = stream["destinations"]
        before = destination["config"]
        config = {**before, **(change or {})}
        if change is None:
            error = "only an ExtendedS3DestinationUpdate is honoured here"
        elif _is_partitioned(config) != _is_partitioned(before):
            error = "Dynamic partitioning is set when a stream is created, and neither enabled nor disabled later"
        elif not (error := delivery_destination.destination_error(config)):
            role = config["RoleARN"]
            if not role_permissions.may_assume(role, _PRINCIPAL):
                error = f"Firehose is unable to assume role {role}. Please check the role provided."
        if error:
            return responses.error_response_json("InvalidArgumentException", error, 400)
        return update(data)

    return update_destination


def _is_partitioned(config: dict[str, Any]) -> bool:
    return bool((config.get("DynamicPartitioningConfiguration") or {}).get("Enabled"))


def install() -> None:
    """Replace how records are taken and delivered, and refuse streams that would not behave as on AWS."""
    role_permissions.check_seams()
    handlers = seams.require_value(firehose, "_HANDLERS", dict)
    seams.require_value(firehose, "_streams", responses.AccountRegionScopedDict)
    seams.require_value(glue, "_tables", responses.AccountRegionScopedDict)
    seams.require(firehose, "_evaluate_prefix", "template", "t", "query_keys", "lambda_keys", "error_type")
    seams.require(firehose, "_jq_parse", "expression")
    seams.require(firehose, "_jq_value", "document", "steps", "functions")
    seams.require(firehose, "_s3_bucket_from_arn", "bucket_arn")
    seams.require(s3, "_put_object", "bucket_name", "key", "body", "headers")
    handlers["CreateDeliveryStream"] = _checked_create(seams.require(firehose, "_create_delivery_stream", "data"))
    handlers["UpdateDestination"] = _checked_update(seams.require(firehose, "_update_destination", "data"))
    handlers["PutRecord"] = _put_record
    handlers["PutRecordBatch"] = _put_record_batch
    seams.routes["/_pm/firehose"] = _counts
