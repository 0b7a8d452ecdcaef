"""States that call a function or ask Athena, in Amazon States Language; pure."""

from typing import Any

# "Handling transient Lambda service exceptions", AWS Step Functions developer guide.
TRANSIENT = {
    "ErrorEquals": [
        "Lambda.ServiceException",
        "Lambda.AWSLambdaException",
        "Lambda.SdkClientException",
        "Lambda.TooManyRequestsException",
    ],
    "IntervalSeconds": 2,
    "MaxAttempts": 5,
    "BackoffRate": 2.0,
}

BUSY = {
    "ErrorEquals": ["Athena.TooManyRequestsException", "Athena.AmazonAthenaException"],
    "IntervalSeconds": 5,
    "MaxAttempts": 5,
    "BackoffRate": 2.0,
}
"""Retry rules of a query: too many at once, and whatever the API does not model, as throttling."""
QUERY = "arn:aws:states:::athena:startQueryExecution.sync"
"""The resource of a state that waits for a query."""
INVOKE = "arn:aws:states:::lambda:invoke"
"""The resource of a state that calls a function."""


def function_call(function_arn: str, payload: Any = None, **more: Any) -> dict[str, Any]:
    """A task that calls a function with the state's input, or with `payload`."""
    given = {"Payload.$": "$"} if payload is None else {"Payload": payload}
    return {
        "Type": "Task",
        "Resource": INVOKE,
        "Parameters": {"FunctionName": function_arn, **given},
        "Retry": [TRANSIENT],
        **more,
    }
