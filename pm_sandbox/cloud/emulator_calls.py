"""Calls from one emulated service to another in the emulator's process, for the account and region of the request."""

import json
from typing import Any

from pm_sandbox.cloud.modelled_service import ApiError


async def call_iot(
    method: str, path: str, document: dict[str, Any] | None = None, query: dict[str, str] | None = None
) -> dict[str, Any]:
    """Call AWS IoT's control plane, unauthenticated: whether the caller may is checked before.

    Args:
        method: the HTTP method of the operation.
        path: its path, such as `/jobs/1`.
        document: its body.
        query: its query.

    Returns:
        The answer.

    Raises:
        ApiError: AWS IoT refused; its code, message and status are kept.
    """
    from ministack.services import iot

    body = json.dumps(document).encode() if document is not None else b""
    status, headers, answer = await iot.handle_request(method, path, {}, body, query or {})
    content = json.loads(answer) if answer else {}
    if status >= 300:
        code = content.get("__type") or headers.get("x-amzn-errortype", "ValidationException")
        raise ApiError(
            code.partition(":")[0], content.get("message") or f"AWS IoT answered {status} to {method} {path}", status
        )
    return content


async def read_object(bucket: str, key: str) -> bytes:
    """Read an object of S3, unauthenticated: whether the caller may is checked before.

    Raises:
        ApiError: there is no such object.
    """
    from ministack.services import s3

    status, _, body = await s3.handle_request("GET", f"/{bucket}/{key}", {}, b"", {}, internal=True)
    if status != 200:
        raise ApiError("ValidationException", f"s3://{bucket}/{key}: S3 answered {status}")
    content: bytes = body
    return content
