"""Greengrass V2: component versions and deployments, which core devices receive as AWS IoT jobs.

A deployment becomes one IoT job for its target, a thing or a thing group; a later deployment to the same target cancels
that job. The job's document is the deployment itself, with the recipes of its components where they fit:

    {"deploymentId", "deploymentName", "targetArn", "deploymentPolicies",
     "components": {name: {"componentVersion", "runWith"?,
                           "configurationUpdate"?: {"merge"?: JSON text, "reset"?: [JSON pointers]}}},
     "recipes"?: {name: recipe}}

A core device reports through the status of its job execution, with a sentence for a person in `statusDetails.detail`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ministack import app

from pm_sandbox.cloud import seams
from pm_sandbox.cloud.client_devices import ClientDevices
from pm_sandbox.cloud.greengrass_components import Components
from pm_sandbox.cloud.greengrass_deployments import Deployments
from pm_sandbox.cloud.greengrass_devices import CoreDevices
from pm_sandbox.cloud.greengrass_records import ComponentVersion, Deployment, not_found
from pm_sandbox.cloud.modelled_service import ModelledService, Operation, Request


@dataclass(frozen=True)
class Tags:
    """The operations on the tags of component versions and deployments."""

    components: Components
    deployments: Deployments

    def tag_resource(self, request: Request) -> dict[str, Any]:
        """Add tags to a component version or a deployment."""
        self._tags(request.input["resourceArn"]).update(request.input["tags"])
        return {}

    def untag_resource(self, request: Request) -> dict[str, Any]:
        """Remove tags from a component version or a deployment."""
        tags = self._tags(request.input["resourceArn"])
        for key in request.input["tagKeys"]:
            tags.pop(key, None)
        return {}

    def list_tags_for_resource(self, request: Request) -> dict[str, Any]:
        """The tags of a component version or a deployment."""
        return {"tags": self._tags(request.input["resourceArn"])}

    def _tags(self, arn: str) -> dict[str, str]:
        resources: list[ComponentVersion | Deployment] = [
            *self.components.versions.values(),
            *self.deployments.deployments.values(),
        ]
        for resource in resources:
            if resource.arn == arn:
                return resource.tags
        raise not_found("Resource", arn)


#: The service's knowledge of client devices; the devices' own endpoint answers from it too.
client_devices = ClientDevices()


def operations(components: Components, deployments: Deployments) -> dict[str, Operation]:
    """The operations of the service by name, each with what its caller must be allowed to act on."""

    def named(member: str) -> Callable[[Request], list[str]]:
        return lambda request: [request.input[member]]

    def deployment(request: Request) -> list[str]:
        return [f"{request.arn_prefix('greengrass')}:deployments:{request.input['deploymentId']}"]

    def device(request: Request) -> list[str]:
        return [f"{request.arn_prefix('greengrass')}:coreDevices:{request.input['coreDeviceThingName']}"]

    def core_device_thing(request: Request) -> list[str]:
        return [f"{request.arn_prefix('iot')}:thing/{request.input['thingName']}"]

    devices = CoreDevices(components.versions, deployments.deployments)
    tags = Tags(components, deployments)
    return {
        # Its resource is in the recipe, so that the handler asks.
        "CreateComponentVersion": Operation(components.create_component_version, lambda _: [], ("lambdaFunction",)),
        "GetComponent": Operation(components.get_component, named("arn")),
        "DescribeComponent": Operation(components.describe_component, named("arn")),
        "ListComponents": Operation(components.list_components),
        "ListComponentVersions": Operation(components.list_component_versions, named("arn")),
        "DeleteComponent": Operation(components.delete_component, named("arn")),
        "CreateDeployment": Operation(deployments.create_deployment, refused=("parentTargetArn",)),
        "GetDeployment": Operation(deployments.get_deployment, deployment),
        "ListDeployments": Operation(deployments.list_deployments, refused=("parentTargetArn",)),
        "CancelDeployment": Operation(deployments.cancel_deployment, deployment),
        "DeleteDeployment": Operation(deployments.delete_deployment, deployment),
        "ListEffectiveDeployments": Operation(devices.list_effective_deployments, device),
        "ListCoreDevices": Operation(devices.list_core_devices, refused=("runtime",)),
        "GetCoreDevice": Operation(devices.get_core_device, device),
        "DeleteCoreDevice": Operation(devices.delete_core_device, device),
        "ListInstalledComponents": Operation(devices.list_installed_components, device, ("topologyFilter",)),
        "BatchAssociateClientDeviceWithCoreDevice": Operation(client_devices.associate, device),
        "BatchDisassociateClientDeviceFromCoreDevice": Operation(client_devices.disassociate, device),
        "ListClientDevicesAssociatedWithCoreDevice": Operation(client_devices.list_associated, device),
        "GetConnectivityInfo": Operation(client_devices.get_connectivity, core_device_thing),
        "UpdateConnectivityInfo": Operation(client_devices.update_connectivity, core_device_thing),
        "TagResource": Operation(tags.tag_resource, named("resourceArn")),
        "UntagResource": Operation(tags.untag_resource, named("resourceArn")),
        "ListTagsForResource": Operation(tags.list_tags_for_resource, named("resourceArn")),
    }


def install() -> None:
    """Serve Greengrass V2 behind the emulator's endpoint."""
    components = Components()
    service = ModelledService("greengrassv2", "greengrass", operations(components, Deployments(components)))
    seams.require_value(app, "SERVICE_HANDLERS", dict)["greengrass"] = service.handle
