"""Prints, as JSON, all that the project's program registers for the stack `dev`, in the form that the engine receives.

A program of its own, since a process has one Pulumi program, and its hash seed is set before it starts.
"""

import asyncio
import hashlib
import json
import runpy
import sys
from pathlib import Path
from typing import Any

import pulumi
import yaml
from google.protobuf.json_format import MessageToDict
from pulumi.runtime import mocks, stack

ROOT = Path(__file__).parents[2]
ANSWERS = {
    "aws:index/getCallerIdentity:getCallerIdentity": {"accountId": "123456789012"},
    "aws:index/getRegion:getRegion": {"region": "eu-central-1"},
    "aws:index/getPartition:getPartition": {"partition": "aws"},
    "aws:iot/getEndpoint:getEndpoint": {"endpointAddress": "abc-ats.iot.eu-central-1.amazonaws.com"},
}
registered: dict[str, Any] = {}


class Cloud(mocks.Mocks):
    """Answers with what AWS would make up."""

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        made_up = {"arn": f"arn:of:{args.name}", "url": f"https://{args.name}", "keyId": args.name, "deploymentId": "d"}
        if args.typ == "aws-native:greengrassv2:ComponentVersion":
            made_up["componentVersion"] = json.loads(args.inputs["inlineRecipe"])["ComponentVersion"]
        return f"{args.name}-id", {**made_up, **args.inputs}

    def call(self, args: mocks.MockCallArgs) -> dict[str, Any]:
        return ANSWERS[args.token]


class Monitor(mocks.MockMonitor):
    """Keeps every request as it came."""

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - gRPC's name
        registered[f"{request.type} {request.name}"] = {
            "inputs": with_contents(MessageToDict(request.object)),
            "dependencies": sorted(request.dependencies),
            "parent": request.parent,
        }
        return super().RegisterResource(request)


def with_contents(value: Any) -> Any:
    """`value` with the hash of its content beside the path of each file."""
    if isinstance(value, dict):
        if isinstance(value.get("path"), str) and Path(value["path"]).is_file():
            return {**value, "sha256": hashlib.sha256(Path(value["path"]).read_bytes()).hexdigest()}
        return {key: with_contents(inner) for key, inner in value.items()}
    return [with_contents(inner) for inner in value] if isinstance(value, list) else value


def main() -> None:
    """Run the program and print."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    cloud = Cloud()
    mocks.set_mocks(cloud, project="pm", stack="dev", preview=False, monitor=Monitor(cloud))
    values = yaml.safe_load((ROOT / "Pulumi.dev.yaml").read_text())["config"]
    pulumi.runtime.set_all_config(
        {key: value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}
    )
    loop.run_until_complete(stack.run_pulumi_func(lambda: runpy.run_path(str(ROOT / "__main__.py"))))
    outputs: dict[str, Any] = {}

    async def resolve() -> None:
        for name, value in pulumi.runtime.get_root_resource().outputs.items():
            outputs[name] = await pulumi.Output.from_input(value).future()

    loop.run_until_complete(resolve())
    json.dump({"resources": registered, "outputs": outputs}, sys.stdout, sort_keys=True)


main()
