"""The providers' functions that a program may call, each with its answer."""

import base64
import functools
import textwrap
from collections.abc import Callable
from typing import Any

from pm_sandbox.provider.inputs import InputError
from pm_sandbox.provider.registry import Context

#: Of a line in PEM: RFC 7468, 2.
_PEM_CHARACTERS = 64


@functools.cache
def _caller_identity(context: Context) -> dict[str, Any]:
    """Asked for once: each component of a program wants it for the names of its resources."""
    identity = context.client("sts").get_caller_identity()
    account = identity["Account"]
    return {"accountId": account, "arn": identity["Arn"], "userId": identity["UserId"], "id": account}


def _region(context: Context) -> dict[str, Any]:
    region = context.region
    return {"id": region, "name": region, "region": region, "description": "the sandbox"}


def _partition(context: Context) -> dict[str, Any]:  # noqa: ARG001 - all functions take the context
    return {"id": "aws", "partition": "aws", "dnsSuffix": "amazonaws.com", "reverseDnsPrefix": "com.amazonaws"}


def _iot_endpoint(context: Context) -> dict[str, Any]:
    return {"id": context.cloud.mqtt_host, "endpointAddress": context.cloud.mqtt_host, "endpointType": "iot:Data-ATS"}


def _parameter(context: Context, arguments: dict[str, Any]) -> dict[str, Any]:
    """A parameter of Systems Manager, as the public ones that name the images of an operating system."""
    found = context.client("ssm").get_parameter(Name=arguments["name"])["Parameter"]
    return {"id": found["Name"], "name": found["Name"], "type": found["Type"], "value": found["Value"]}


def _public_key(context: Context, arguments: dict[str, Any]) -> dict[str, Any]:
    """The public key of an asymmetric key of KMS."""
    found = context.client("kms").get_public_key(KeyId=arguments["keyId"])
    text = base64.b64encode(found["PublicKey"]).decode()
    lines = "\n".join(textwrap.wrap(text, _PEM_CHARACTERS))
    return {
        "id": found["KeyId"],
        "arn": found["KeyId"],
        "keyId": arguments["keyId"],
        "keyUsage": found["KeyUsage"],
        "customerMasterKeySpec": found["KeySpec"],
        "signingAlgorithms": found["SigningAlgorithms"],
        "publicKey": text,
        "publicKeyPem": f"-----BEGIN PUBLIC KEY-----\n{lines}\n-----END PUBLIC KEY-----\n",
    }


#: Functions that look up what their arguments say; the only arguments allowed.
LOOKUPS: dict[str, tuple[set[str], Callable[[Context, dict[str, Any]], dict[str, Any]]]] = {
    "aws:kms/getPublicKey:getPublicKey": ({"keyId"}, _public_key),
    "aws:ssm/getParameter:getParameter": ({"name"}, _parameter),
}
FUNCTIONS: dict[str, Callable[[Context], dict[str, Any]]] = {
    "aws:index/getCallerIdentity:getCallerIdentity": _caller_identity,
    "aws:index/getPartition:getPartition": _partition,
    "aws:index/getRegion:getRegion": _region,
    "aws:iot/getEndpoint:getEndpoint": _iot_endpoint,
}
#: Arguments that are understood by all of them and change nothing here: there is one region and one kind of endpoint.
_ALLOWED_ARGUMENTS = {"aws:iot/getEndpoint:getEndpoint": {"endpointType": "iot:Data-ATS"}}


def call(token: str, arguments: dict[str, Any], context: Context) -> dict[str, Any]:
    """A function's answer.

    Raises:
        InputError: for a function that has no answer here, or an argument that it cannot honour.
    """
    if token in LOOKUPS:
        known, look_up = LOOKUPS[token]
        if set(arguments) != known:
            raise InputError(
                f"the sandbox cannot honour the argument(s) {sorted(arguments)}; allowed are {sorted(known)}"
            )
        return look_up(context, arguments)
    if token not in FUNCTIONS:
        known = {*FUNCTIONS, *LOOKUPS}
        raise InputError(f"the sandbox has no answer to this function; it knows {', '.join(sorted(known))}")
    allowed = _ALLOWED_ARGUMENTS.get(token, {})
    refused = {key: value for key, value in arguments.items() if allowed.get(key) != value}
    if refused:
        raise InputError(f"the sandbox cannot honour the argument(s) {refused}; allowed are {allowed or 'none'}")
    return FUNCTIONS[token](context)
