"""The HTTPS endpoint of devices, with client certificates: Greengrass discovery and data plane, and shadows.

On AWS these are two endpoints, `greengrass-ats.iot.REGION.amazonaws.com` and the account's own for IoT data; here they
are one port of loopback, which `GET /_pm/device-endpoint` tells. It speaks HTTP/1.1, one request a connection.
"""

import asyncio
import contextlib
import http
import json
import logging
import ssl
from typing import Any

from ministack.services import iot, iot_data

from pm_sandbox.cloud import seams
from pm_sandbox.cloud.device_requests import DeviceRequests
from pm_sandbox.cloud.extensions import greengrass

_MAXIMUM_BYTES = 256 * 1024
_SECONDS = 30.0
#: The protocol that AWS's own clients ask for where the port is shared with MQTT.
_APPLICATION_PROTOCOL = "x-amzn-http-ca"

log = logging.getLogger("pm.cloud")


def install() -> None:
    """Serve the endpoint, from the start of the cloud on."""
    seams.require(iot, "_mtls_resolve_identity", "der")
    seams.require(iot, "_mtls_refusal_reason", "cert_id")
    seams.require(iot_data, "handle_request", "method", "path", "headers", "body", "query_params")
    build_context = seams.require(iot, "_mtls_build_ssl_context")
    requests = DeviceRequests(greengrass.client_devices)
    opened: list[asyncio.Server] = []

    async def start() -> None:
        context: ssl.SSLContext = build_context()
        context.set_alpn_protocols([_APPLICATION_PROTOCOL])

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await _serve(requests, reader, writer)

        opened.append(await asyncio.start_server(serve, seams.LOOPBACK, 0, ssl=context, limit=_MAXIMUM_BYTES))

    async def where(_: dict[str, list[str]]) -> Any:
        return {"host": seams.LOOPBACK, "port": opened[0].sockets[0].getsockname()[1]}

    seams.on_start.append(start)
    seams.routes["/_pm/device-endpoint"] = where


async def _serve(requests: DeviceRequests, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    certificate = writer.get_extra_info("ssl_object").getpeercert(binary_form=True) or b""
    try:
        async with asyncio.timeout(_SECONDS):
            method, path, body = await _request(reader)
        status, answer = await requests.answer(certificate, method, path, body)
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError, ValueError) as error:
        status, answer = 400, {"message": f"no HTTP request: {error}"}
    except Exception:
        log.exception("a device's request failed")
        status, answer = 500, {"message": "internal error"}
    content = json.dumps(answer).encode()
    head = (
        f"HTTP/1.1 {status} {http.HTTPStatus(status).phrase}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(content)}\r\nConnection: close\r\n\r\n"
    )
    with contextlib.suppress(ConnectionError):
        writer.write(head.encode() + content)
        await writer.drain()
        writer.close()


async def _request(reader: asyncio.StreamReader) -> tuple[str, str, bytes]:
    """Method, path and body of a request.

    Raises:
        ValueError: if it is invalid.
    """
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, _ = head[0].split(" ")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
    length = int(headers.get("content-length", "0"))
    if not 0 <= length <= _MAXIMUM_BYTES:
        raise ValueError(f"a body of {length} bytes; at most {_MAXIMUM_BYTES} are allowed")
    return method, target.partition("?")[0], await reader.readexactly(length)
