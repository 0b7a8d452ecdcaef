"""An operator's actions on the cloud: send a site a command, query the lake, start the training."""

import datetime as dt
import json
import time
from collections.abc import Callable
from typing import Any

from pm_contracts import topics
from pm_contracts.messages import Command, encode
from pm_sandbox.cloud import Cloud

#: Seconds between two looks at a query or an execution; each look costs about a millisecond.
_LOOK_EVERY = 0.05

_CASTS: dict[str, Callable[[str], Any]] = {
    "bigint": int,
    "integer": int,
    "double": float,
    "float": float,
    "boolean": lambda text: text == "true",
}


class OperationFailed(RuntimeError):
    """The cloud refused or failed what was asked; the text carries its reason."""


class Operator:
    """Acts on a deployed environment with the operator's credentials.

    Attributes:
        cloud: The cloud that it runs in.
        outputs: The outputs of the stack.
    """

    def __init__(self, cloud: Cloud, outputs: dict[str, Any]) -> None:
        """Act on the environment with these stack outputs."""
        self.cloud = cloud
        self.outputs = outputs

    def command(self, site: str, name: str, parameters: dict[str, Any]) -> Command:
        """Ask a site to do `name`; the message goes through IoT Core to the site's core device.

        Returns:
            The command as it was sent.
        """
        command = Command(site=site, name=name, issued_at=dt.datetime.now(dt.UTC), parameters=parameters)
        self.cloud.client("iot-data").publish(topic=topics.command_topic(site, name), qos=1, payload=encode(command))
        return command

    def query(self, statement: str) -> list[dict[str, Any]]:
        """The rows that an Athena statement gives over the lake, typed.

        Raises:
            OperationFailed: if the query fails, with Athena's reason.
        """
        athena = self.cloud.client("athena")
        execution = athena.start_query_execution(
            QueryString=statement,
            WorkGroup=self.outputs["workgroup"],
            QueryExecutionContext={"Database": self.outputs["database"]},
        )["QueryExecutionId"]
        while True:
            status = athena.get_query_execution(QueryExecutionId=execution)["QueryExecution"]["Status"]
            if status["State"] in ("SUCCEEDED", "FAILED", "CANCELLED"):
                break
            time.sleep(_LOOK_EVERY)
        if status["State"] != "SUCCEEDED":
            raise OperationFailed(f"query {status['State'].lower()}: {status.get('StateChangeReason')}: {statement}")
        pages = list(athena.get_paginator("get_query_results").paginate(QueryExecutionId=execution))
        columns = pages[0]["ResultSet"]["ResultSetMetadata"]["ColumnInfo"]
        _header, *rows = [row["Data"] for page in pages for row in page["ResultSet"]["Rows"]]
        return [
            {column["Name"]: _cast(column["Type"], cell) for column, cell in zip(columns, row, strict=True)}
            for row in rows
        ]

    def count(self, table: str, where: str = "true") -> tuple[int, int]:
        """The number of a table's rows that fulfil a condition, and of different messages among them."""
        [row] = self.query(
            f"SELECT count(*) AS stored, count(DISTINCT message_id) AS messages FROM {table} WHERE {where}"
        )
        return row["stored"], row["messages"]

    def replay_dead_letters(self, table: str = "") -> dict[str, Any]:
        """Give the lake's streams their dead letters again.

        Args:
            table: whose letters; all where it is empty.

        Returns:
            `replayed`: messages by table; `refused`: what stays, by reason; `complete`: false where there are more.

        Raises:
            OperationFailed: if the function fails, with its error.
        """
        answer = self.cloud.client("lambda").invoke(
            FunctionName=self.outputs["replay_function"], Payload=json.dumps({"table": table})
        )
        result: dict[str, Any] = json.loads(answer["Payload"].read())
        if "FunctionError" in answer:
            raise OperationFailed(f"replay failed: {result.get('errorMessage', result)}")
        return result

    def start_training(self) -> str:
        """Start the training state machine.

        Returns:
            The ARN of the execution.
        """
        arn = self.cloud.client("stepfunctions").start_execution(
            stateMachineArn=self.outputs["state_machine_arn"], input="{}"
        )["executionArn"]
        return str(arn)

    def training_states(self, execution: str) -> tuple[str, list[str]]:
        """The status of an execution and the names of the states that it has entered, in order."""
        client = self.cloud.client("stepfunctions")
        status = client.describe_execution(executionArn=execution)["status"]
        history = client.get_execution_history(executionArn=execution, maxResults=1000)["events"]
        entered = [e["stateEnteredEventDetails"]["name"] for e in history if "stateEnteredEventDetails" in e]
        return status, entered

    def training_output(self, execution: str) -> dict[str, Any]:
        """The output of an execution that has succeeded.

        Raises:
            OperationFailed: if it has not, with the cause.
        """
        described = self.cloud.client("stepfunctions").describe_execution(executionArn=execution)
        if described["status"] != "SUCCEEDED":
            reason = f"{described.get('error', '')}: {described.get('cause', '')}"
            raise OperationFailed(f"training {described['status'].lower()}: {reason}")
        return json.loads(described["output"])


def _cast(athena_type: str, cell: dict[str, str]) -> Any:
    text = cell.get("VarCharValue")
    return None if text is None else _CASTS.get(athena_type, str)(text)
