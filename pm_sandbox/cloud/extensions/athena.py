"""Athena queries and UNLOAD over the lake, with the permissions of whoever asks.

The emulator copies every object of a table for each query, has no UNLOAD, reads no structs, and asks no one's
permission. Here objects are copied once, `pm_sandbox.cloud.query_engine` runs the statement, and the caller needs what
Athena needs in its name: Glue for the tables, S3 for their objects and for the results.
"""

import asyncio
import contextvars
import csv
import io
import json
import logging
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

from ministack import app
from ministack.core import iam_actions, iam_evaluator, responses, router
from ministack.services import athena, glue, s3

from pm_sandbox.cloud import query_engine, seams
from pm_sandbox.cloud.query_engine import QueryRefused, Statement, Table

_log = logging.getLogger("pm.athena")
_access_key: contextvars.ContextVar[str] = contextvars.ContextVar("athena_access_key", default="")
#: Copies of the lake's objects by bucket and key, with the ETag that each was copied at.
_copies = Path(tempfile.gettempdir()) / "athena"
_copied: dict[Path, str] = {}


def _require_permission(action: str, resource: str, context: dict[str, Any] | None = None) -> None:
    """Refuse where the caller of StartQueryExecution may not do `action` on `resource`.

    `context` has the condition keys of the request.

    Raises:
        QueryRefused: naming the caller, the action and the resource.
    """
    service, region = action.split(":")[0], responses.get_region()
    denied = iam_evaluator.enforce(
        _access_key.get(), action, service, region, resource_arn=resource, service_context=context
    )
    if isinstance(denied, iam_evaluator.AuthError):
        raise QueryRefused(denied.message)
    if denied is not None:
        caller = getattr(denied, "principal_arn", "") or "the caller"
        raise QueryRefused(f"{caller} is not authorized to perform: {action} on resource: {resource}")


def _table(database: str, name: str) -> tuple[Table, list[tuple[Path, str, str, str]]]:
    """A table as the engine reads it, and the objects to copy first: (file, bucket, key, ETag)."""
    account, region = responses.get_account_id(), responses.get_region()
    for resource in ("catalog", f"database/{database}", f"table/{database}/{name}"):
        _require_permission("glue:GetTable", f"arn:aws:glue:{region}:{account}:{resource}")
    found = glue._tables.get(f"{database}/{name}")
    if found is None:
        raise QueryRefused(f"TABLE_NOT_FOUND: Table 'awsdatacatalog.{database}.{name}' does not exist")
    storage = found["StorageDescriptor"]
    if "parquet" not in (storage.get("SerdeInfo") or {}).get("SerializationLibrary", "").lower():
        raise QueryRefused(f"table {database}.{name} is not of Parquet, and nothing else is read here")
    columns = {column["Name"]: column["Type"] for column in storage["Columns"]}
    keys = {column["Name"]: column["Type"] for column in found.get("PartitionKeys") or []}
    bucket, _, prefix = storage["Location"].removeprefix("s3://").partition("/")
    _require_permission("s3:ListBucket", f"arn:aws:s3:::{bucket}")
    _require_permission("s3:GetObject", f"arn:aws:s3:::{bucket}/{prefix}*")
    copies = []
    for key, record in list((s3._buckets.get(bucket) or {"objects": {}})["objects"].items()):
        folders = key.removeprefix(prefix).split("/")[:-1]
        # What lies outside the partition folders is invisible to Athena too.
        if key.startswith(prefix) and [folder.partition("=")[0] for folder in folders] == list(keys):
            copies.append((_copies / bucket / key, bucket, key, str(record["etag"])))
    return Table(columns, keys, [copy[0] for copy in copies]), copies


def _copy(objects: list[tuple[Path, str, str, str]]) -> int:
    """Copy the objects that are not copied yet; how many bytes there are in all. Off the event loop."""
    size = 0
    for path, bucket, key, etag in objects:
        if _copied.get(path) != etag:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Under a name of its own first: another query may be reading.
            partial = path.with_name(f"{path.name}.{uuid.uuid4()}")
            partial.write_bytes(s3._get_object_data(bucket, key) or b"")
            partial.replace(path)
            _copied[path] = etag
        size += path.stat().st_size
    return size


def _put(bucket: str, key: str, body: bytes, encryption: dict[str, str] | None = None) -> None:
    """Write an object in the caller's name; `encryption` has the headers that ask for another one than the bucket's."""
    context = {f"s3:{name}": value for name, value in (encryption or {}).items()}
    _require_permission("s3:PutObject", f"arn:aws:s3:::{bucket}/{key}", context)
    headers = {
        "content-type": "application/octet-stream",
        "content-length": str(len(body)),
        **(encryption or {}),
    }
    status, _, answer = s3._put_object(bucket, key, body, headers)
    if status >= 300:
        raise QueryRefused(f"s3://{bucket}/{key} answered {status}: {answer.decode(errors='replace')}")


async def _execute_query(query_id: str, query: str, database: str, ddl: Any, _catalog: Any = None) -> None:
    """Run one execution to its end, which its record tells."""
    execution = athena._executions[query_id]
    status = execution["Status"]
    status["State"] = "RUNNING"
    started = time.monotonic()
    try:
        if ddl is not None:
            done = athena._run_ddl(ddl, database)
            result = query_engine.Result(done["columns"], done["column_types"], done["rows"], len(done["rows"]))
        else:
            result = await _run(execution, query_engine.translate(query, database))
        _save(execution, result)
        state, reason = "SUCCEEDED", ""
    except Exception as error:
        if not isinstance(error, QueryRefused):
            _log.exception("query %s", query_id)
        state, reason = "FAILED", str(error)[:2000]
    if status["State"] == "RUNNING":  # and not cancelled meanwhile
        status["State"], status["StateChangeReason"] = state, reason
        status["CompletionDateTime"] = int(time.time())
    elapsed = int((time.monotonic() - started) * 1000)
    execution["Statistics"]["EngineExecutionTimeInMillis"] = elapsed
    execution["Statistics"]["TotalExecutionTimeInMillis"] = elapsed


async def _run(execution: dict[str, Any], statement: Statement) -> query_engine.Result:
    tables, objects = {}, []
    for database, name in statement.tables:
        tables[database, name], copies = _table(database, name)
        objects.extend(copies)
    execution["Statistics"]["DataScannedInBytes"] = await asyncio.to_thread(_copy, objects)
    if statement.unload is None:
        return await asyncio.to_thread(query_engine.run, statement, tables)
    bucket, prefix = statement.unload
    if any(key.startswith(prefix) for key in (s3._buckets.get(bucket) or {"objects": {}})["objects"]):
        raise QueryRefused(f"HIVE_PATH_ALREADY_EXISTS: Target directory s3://{bucket}/{prefix} is not empty")
    execution["StatementType"] = "DML"
    output = _copies / f"{uuid.uuid4()}.unload"
    output.parent.mkdir(parents=True, exist_ok=True)
    try:
        result = await asyncio.to_thread(query_engine.run, statement, tables, output)
        keys = []
        if result.row_count:
            # Athena names what it unloads without an extension.
            keys = [f"{prefix}{time.strftime('%Y%m%d_%H%M%S', time.gmtime())}_00000_{uuid.uuid4()}"]
            _put(bucket, keys[0], output.read_bytes())
        location = execution["ResultConfiguration"]["OutputLocation"].removesuffix(".csv") + "-manifest.csv"
        execution["Statistics"]["DataManifestLocation"] = location
        manifest_bucket, _, manifest_key = location.removeprefix("s3://").partition("/")
        manifest = "".join(f"s3://{bucket}/{key}\n" for key in keys).encode()
        _put(manifest_bucket, manifest_key, manifest, _result_encryption(execution))
    finally:
        output.unlink(missing_ok=True)
    return result


def _save(execution: dict[str, Any], result: query_engine.Result) -> None:
    """Keep the rows for GetQueryResults, and write them where the execution says."""
    execution["_results"] = {"columns": result.columns, "rows": result.rows}
    execution["_column_types"] = result.types
    if execution["Statistics"]["DataManifestLocation"]:
        return
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow(result.columns)
    writer.writerows(result.rows)
    bucket, _, key = execution["ResultConfiguration"]["OutputLocation"].removeprefix("s3://").partition("/")
    _put(bucket, key, text.getvalue().encode(), _result_encryption(execution))


def _result_encryption(execution: dict[str, Any]) -> dict[str, str]:
    """The headers of S3 by which results are written, as the workgroup of an execution encrypts them."""
    workgroup = athena._workgroups.get(execution.get("WorkGroup", "primary")) or {}
    results = (workgroup.get("Configuration") or {}).get("ResultConfiguration") or {}
    encryption = results.get("EncryptionConfiguration") or {}
    if encryption.get("EncryptionOption") == "SSE_S3":
        return {"x-amz-server-side-encryption": "AES256"}
    if encryption.get("EncryptionOption") != "SSE_KMS":
        return {}
    return {
        "x-amz-server-side-encryption": "aws:kms",
        "x-amz-server-side-encryption-aws-kms-key-id": encryption["KmsKey"],
    }


def _checked_start(start: Any) -> Any:
    def start_query_execution(data: dict[str, Any]) -> Any:
        name = data.get("WorkGroup", "primary")
        workgroup = athena._workgroups.get(name)
        if workgroup is None:
            return responses.error_response_json("InvalidRequestException", f"WorkGroup {name} is not found.", 400)
        configuration = workgroup.get("Configuration") or {}
        location = (configuration.get("ResultConfiguration") or {}).get("OutputLocation")
        if location and configuration.get("EnforceWorkGroupConfiguration", True):
            data = data | {"ResultConfiguration": {"OutputLocation": location}}
        return start(data)

    return start_query_execution


def _know_workgroups() -> None:
    """A query execution is of its workgroup: what may be asked of it is asked of that, and not of everything."""
    names = ("service", "method", "path", "headers", "body", "query_params", "region", "account_id")
    extract = seams.require(iam_actions, "extract_resource_arn", *names)

    def resource_arn(service: str, method: str, path: str, headers: Any, body: bytes, *rest: Any) -> str:
        found = str(extract(service, method, path, headers, body, *rest))
        if service != "athena" or found != "*":
            return found
        try:
            execution = athena._executions.get(json.loads(body)["QueryExecutionId"])
        except (ValueError, KeyError, TypeError):
            return found
        region, account = rest[-2:]
        return f"arn:aws:athena:{region}:{account}:workgroup/{execution['WorkGroup']}" if execution else found

    iam_actions.extract_resource_arn = resource_arn


def install() -> None:
    """Replace how queries run."""
    _know_workgroups()
    for name in ("_executions", "_workgroups"):
        seams.require_value(athena, name, responses.AccountRegionScopedDict)
    seams.require(athena, "_run_ddl", "ddl", "database")
    seams.require(athena, "_execute_query", "query_id", "query", "database", "ddl", "catalog")
    seams.require(s3, "_put_object", "bucket_name", "key", "body", "headers")
    seams.require(s3, "_get_object_data", "bucket_name", "key", "version_id")
    seams.require_value(s3, "_buckets", responses.AccountScopedDict)
    athena._execute_query = _execute_query
    athena._start_query_execution = _checked_start(seams.require(athena, "_start_query_execution", "data"))
    handle = app.SERVICE_HANDLERS["athena"]

    async def handle_as_caller(method: str, path: str, headers: dict[str, str], body: bytes, query: Any) -> Any:
        _access_key.set(router.extract_access_key_id(headers, query))
        return await handle(method, path, headers, body, query)

    app.SERVICE_HANDLERS["athena"] = handle_as_caller
