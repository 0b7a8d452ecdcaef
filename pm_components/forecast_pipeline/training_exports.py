"""The states that export a table's readings from the lake as Parquet for the training jobs; pure."""

from collections.abc import Sequence
from typing import Any

from pm_components.forecast_pipeline.task_states import BUSY, QUERY
from pm_contracts.model_kinds import ModelKind

_EXPORTS = "exports"
#: The columns of every reading; any other is a label.
_COLUMNS = ("message_id", "site", "device", "sequence", "event_time", "measurements")


def export_statement(model: ModelKind, database: str, sites: Sequence[str], destination: str) -> str:
    """The Athena statement that writes the readings that a model is trained on as Parquet, each once.

    A message may be in the lake more than once, since every hop delivers at least once; its id tells.

    Args:
        model: the kind of model.
        database: the Glue database.
        sites: whose readings.
        destination: `s3://` prefix, which must be empty.
    """
    labels = [name for name in model.reading.__struct_fields__ if name not in _COLUMNS]
    columns = ", ".join([*_COLUMNS, *labels])
    names = ", ".join(f"'{site}'" for site in sorted(sites))
    return (
        f"UNLOAD (SELECT {columns} FROM (SELECT *, row_number() OVER (PARTITION BY message_id ORDER BY ingest_day) "
        f'AS copy FROM "{database}"."{model.table}" WHERE site IN ({names})) WHERE copy = 1) '
        f"TO '{destination}' WITH (format = 'PARQUET', compression = 'SNAPPY')"
    )


def export_states(
    model: ModelKind,
    sites: Sequence[str],
    *,
    database: str,
    workgroup: str,
    artifact_bucket: str,
    catch: list[dict[str, Any]],
    following: str,
) -> dict[str, Any]:
    """The states that name a prefix of the execution's own, `$.destination`, and unload the readings to it.

    Args:
        model: whose table is unloaded.
        sites: whose readings.
        database: the Glue database.
        workgroup: the Athena workgroup.
        artifact_bucket: the bucket of the prefix.
        catch: where a query goes that failed.
        following: the state after them.
    """
    export = f"s3://{artifact_bucket}/{_EXPORTS}/{{}}/{model.table}/"
    statement = export_statement(model, database, sites, "{}")
    return {
        f"Export for {model.name}": {
            "Type": "Pass",
            "Parameters": {"destination.$": f"States.Format('{export}', $$.Execution.Name)"},
            "Next": f"Unload for {model.name}",
        },
        f"Unload for {model.name}": {
            "Type": "Task",
            "Resource": QUERY,
            "Parameters": {
                "QueryString.$": f"States.Format('{_quoted(statement)}', $.destination)",
                "WorkGroup": workgroup,
                "QueryExecutionContext": {"Database": database},
            },
            "ResultPath": None,
            "Retry": [BUSY],
            "Catch": catch,
            "Next": following,
        },
    }


def _quoted(text: str) -> str:
    """`text` inside the quotes of an intrinsic function, where a quote takes a backslash before it."""
    return text.replace("\\", "\\\\").replace("'", "\\'")
