"""The monitor of the recorder: keeps what a program registers, and answers with what AWS would make up."""

import json
import re
import threading
from dataclasses import replace
from typing import Any

from pulumi.runtime import rpc

from sandbox.deployer.masking import masked
from sandbox.deployer.monitor import CloudMonitor
from sandbox.deployer.records import DeploymentError
from sandbox.provider.registry import Context
from sandbox.recorder import Registered
from sandbox.recorder.arns import arn

ACCOUNT = "123456789012"
ENDPOINT = "a1b2c3d4e5f6g7-ats.iot.eu-central-1.amazonaws.com"


class _NoCloud:
    """The answers to the deployer's monitor without a cloud."""

    account_id = ACCOUNT
    mqtt_host = ENDPOINT

    def __init__(self, region: str) -> None:
        self.region = region

    def client(self, service: str) -> Any:
        raise DeploymentError(f"the recorder has no cloud, and {service} was asked for")


class RecordingMonitor(CloudMonitor):
    """Records resources as a program registers them. Its methods are called from several threads.

    As in the deployer, an output that has no value here is unknown to the program, and using it is an error. In a
    preview all outputs of all resources are unknown, which is more than Pulumi's engine leaves open: it knows those
    that are inputs too.

    Attributes:
        registered: What was registered, by URN.
    """

    def __init__(self, project: str, stack: str, region: str, *, preview: bool = False) -> None:
        """Record for a stack in a region."""
        super().__init__(Context(_NoCloud(region)), lambda _: None, preview=preview)
        self.registered: dict[str, Registered] = {}
        self._project = project
        self._stack = stack
        self._region = region
        self._recording = threading.Lock()

    def make_urn(self, parent: str, type_: str, name: str) -> str:
        """The URN as Pulumi's engine makes it."""
        parent_type = parent.split("::")[2] if parent else ""
        qualified = type_ if parent_type in ("", "pulumi:pulumi:Stack") else f"{parent_type}${type_}"
        return f"urn:pulumi:{self._stack}::{self._project}::{qualified}::{name}"

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - the protocol's name
        """Record a resource or a component."""
        response = super().RegisterResource(request)
        if response.urn in self.records:
            made = self.records[response.urn]
            with self._recording:
                self.registered[response.urn] = Registered(
                    type=made.type,
                    name=made.name,
                    urn=made.urn,
                    parent=made.parent,
                    custom=request.custom,
                    protect=request.protect,
                    deleted_first=request.deleteBeforeReplace,
                    inputs=masked(request.object, made.inputs),
                    outputs={
                        key: value for key, value in made.outputs.items() if self.preview or key not in made.inputs
                    },
                    dependencies=sorted(request.dependencies),
                    input_dependencies={
                        key: sorted(needed.urns) for key, needed in sorted(request.propertyDependencies.items())
                    },
                    registered_outputs=None,
                )
        return response

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: N802 - the protocol's name
        """Keep the outputs of a component, once, or of the stack."""
        response = super().RegisterResourceOutputs(request)
        before = self.registered.get(request.urn)
        if before is not None:
            if before.registered_outputs is not None:
                raise DeploymentError(f"{before.name} registers its outputs twice")
            outputs, _ = self.plain(request.outputs)
            with self._recording:
                self.registered[request.urn] = replace(before, registered_outputs=outputs)
        return response

    def made(self, token: str, name: str, values: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """The values that AWS would give a resource: ids, ARNs, URLs; in a preview none."""
        if self.preview:
            # The SDK takes an output that is not there for unknown too.
            return "", dict.fromkeys([*values, "arn"], rpc.UNKNOWN)
        service = re.split(r"[:/]", token)[1] if token.startswith("aws:") else token.split(":")[1]
        outputs: dict[str, Any] = {
            "url": f"https://sqs.{self._region}.amazonaws.com/{ACCOUNT}/{name}",
            "keyId": f"key-of-{name}",
            "hasPolicy": True,
            "deploymentId": f"deployment-of-{name}",
            "availabilityZone": f"{self._region}a",
            "latestVersion": 1,
            "id": f"{name}-id",
        }
        if token == "aws-native:greengrassv2:ComponentVersion":  # noqa: S105 - a type's token
            recipe = json.loads(values["inlineRecipe"])
            outputs["componentName"], outputs["componentVersion"] = recipe["ComponentName"], recipe["ComponentVersion"]
        made_up = f"arn:aws:{service}:{self._region}:{ACCOUNT}:{name}"
        own = arn(token, outputs["id"], {**values, **outputs}, self._region, ACCOUNT) or made_up
        return outputs["id"], {**outputs, "arn": own, "invokeArn": own}

    def answer(self, token: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """The answer of a provider's function."""
        if token == "aws:index/getCallerIdentity:getCallerIdentity":  # noqa: S105 - a function's token
            return {"accountId": ACCOUNT, "arn": f"arn:aws:iam::{ACCOUNT}:root", "userId": ACCOUNT, "id": ACCOUNT}
        if token == "aws:ssm/getParameter:getParameter":  # noqa: S105 - a function's token
            name = arguments["name"]
            return {"id": name, "name": name, "type": "String", "value": f"value-of-{name.rsplit('/', 1)[-1]}"}
        return super().answer(token, arguments)
