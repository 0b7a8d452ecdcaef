"""Prints, as JSON, what the program of a folder registers under `pulumi.runtime.set_mocks`.

A program of its own, since it runs by the interpreter whose library is tried.
"""

import asyncio
import base64
import hashlib
import json
import runpy
import sys
from pathlib import Path
from typing import Any

import pulumi
from pulumi.runtime.stack import run_pulumi_func

#: In the form of an RSA key of 3,072 bits; nobody has its private half.
PUBLIC_KEY = (
    "-----BEGIN PUBLIC KEY-----\n"
    + base64.b64encode(
        bytes.fromhex("308201a2300d06092a864886f70d01010105000382018f00") + b"k" * 393 + bytes.fromhex("0203010001")
    ).decode()
    + "\n-----END PUBLIC KEY-----\n"
)
ANSWERS = {
    "aws:index/getCallerIdentity:getCallerIdentity": {"accountId": "123456789012"},
    "aws:index/getRegion:getRegion": {"region": "eu-central-1"},
    "aws:index/getPartition:getPartition": {"partition": "aws"},
    "aws:kms/getPublicKey:getPublicKey": {"publicKeyPem": PUBLIC_KEY},
    "aws:iot/getEndpoint:getEndpoint": {"endpointAddress": "abc-ats.iot.eu-central-1.amazonaws.com"},
}
registered: list[list[Any]] = []


class Cloud(pulumi.runtime.Mocks):
    """Answers with what AWS would make up."""

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        registered.append([args.typ, args.name, plain(args.inputs)])
        made_up = {"arn": f"arn:of:{args.name}", "url": f"https://{args.name}", "keyId": args.name, "deploymentId": "d"}
        if args.typ == "aws-native:greengrassv2:ComponentVersion":
            made_up["componentVersion"] = json.loads(args.inputs["inlineRecipe"])["ComponentVersion"]
        return f"{args.name}-id", {**made_up, **args.inputs}

    def call(self, args: pulumi.runtime.MockCallArgs) -> dict[str, Any]:
        return ANSWERS[args.token]


def plain(value: Any) -> Any:
    """`value` with files by the hash of their content."""
    match value:
        case pulumi.FileAsset():
            return hashlib.sha256(Path(value.path).read_bytes()).hexdigest()
        case pulumi.AssetArchive():
            return plain(value.assets)
        case dict():
            return {key: plain(inner) for key, inner in value.items()}
        case list():
            return [plain(inner) for inner in value]
    return value


loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
pulumi.runtime.set_mocks(Cloud(), project="factory", stack="dev", preview=False)
loop.run_until_complete(run_pulumi_func(lambda: runpy.run_path(sys.argv[1])))
json.dump(sorted(registered, key=lambda one: one[:2]), sys.stdout)
