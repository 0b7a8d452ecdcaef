"""Greengrass core devices as the cloud sees them: derived from the job executions of their deployments.

A real core device also publishes its health; here the last execution of each deployment speaks for it. A device is
HEALTHY when the latest finished deployment of each of its targets succeeded, and has what the successful ones list.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pm_sandbox.cloud.emulator_calls import call_iot
from pm_sandbox.cloud.greengrass_records import ComponentVersion, Deployment
from pm_sandbox.cloud.modelled_service import ApiError, Request, page

#: Execution statuses that say nothing of the device: it was never told, or not yet.
_UNSEEN = ("QUEUED", "REMOVED", "CANCELED")


@dataclass(frozen=True)
class Execution:
    """One device's execution of one deployment."""

    deployment: Deployment
    thing: str
    status: str
    updated: dt.datetime
    details: Mapping[str, str]


@dataclass(frozen=True)
class CoreDevices:
    """The operations on core devices, over the records of the service."""

    versions: Mapping[tuple[str, str], ComponentVersion]
    deployments: Mapping[str, Deployment]
    forgotten: dict[str, dt.datetime] = field(default_factory=dict)
    """Time at which a device was deleted; what it did before does not count."""

    async def delete_core_device(self, request: Request) -> dict[str, Any]:
        """Forget a device, until it takes up a deployment again. Its thing stays, as does what runs on it."""
        thing = request.input["coreDeviceThingName"]
        await self._seen_of(thing)
        self.forgotten[thing] = dt.datetime.now(dt.UTC)
        return {}

    async def list_effective_deployments(self, request: Request) -> dict[str, Any]:
        """The latest deployment of each target that a device belongs to, with how far the device is."""
        executions = await self._executions_of(request.input["coreDeviceThingName"])
        some, token = page([e for e in executions if not e.deployment.superseded], request.input)
        return {"effectiveDeployments": [_effective(execution) for execution in some], "nextToken": token}

    async def list_core_devices(self, request: Request) -> dict[str, Any]:
        """The devices that have taken up a deployment, by name."""
        wanted = await _members(request.input["thingGroupArn"]) if "thingGroupArn" in request.input else None
        by_thing: dict[str, list[Execution]] = {}
        for execution in await self._executions():
            if wanted is None or execution.thing in wanted:
                by_thing.setdefault(execution.thing, []).append(execution)
        devices = [_device(thing, seen) for thing, found in sorted(by_thing.items()) if (seen := _seen(found))]
        status = request.input.get("status")
        some, token = page([device for device in devices if status in (None, device["status"])], request.input)
        return {"coreDevices": some, "nextToken": token}

    async def get_core_device(self, request: Request) -> dict[str, Any]:
        """One device that has taken up a deployment."""
        thing = request.input["coreDeviceThingName"]
        return _device(thing, await self._seen_of(thing))

    async def list_installed_components(self, request: Request) -> dict[str, Any]:
        """The components of a device's latest successful deployments."""
        executions = await self._seen_of(request.input["coreDeviceThingName"])
        installed: dict[str, dict[str, Any]] = {}
        for execution in _latest_by_target([e for e in executions if e.status == "SUCCEEDED"]):
            for name, component in execution.deployment.components.items():
                installed[name] = self._installed(name, component["componentVersion"], execution)
        some, token = page([installed[name] for name in sorted(installed)], request.input)
        return {"installedComponents": some, "nextToken": token}

    def _installed(self, name: str, version: str, execution: Execution) -> dict[str, Any]:
        known = self.versions.get((name, version))
        return {
            "componentName": name,
            "componentVersion": version,
            "lifecycleState": "RUNNING" if known and _stays_running(known.recipe) else "FINISHED",
            "isRoot": True,
            "lastStatusChangeTimestamp": execution.updated,
            "lastReportedTimestamp": execution.updated,
            "lastInstallationSource": execution.deployment.id,
        }

    async def _seen_of(self, thing: str) -> list[Execution]:
        seen = _seen(await self._executions_of(thing))
        if not seen:
            raise ApiError(
                "ResourceNotFoundException",
                f"core device {thing} has not taken up any deployment",
                resourceId=thing,
                resourceType="CoreDevice",
            )
        return seen

    async def _executions_of(self, thing: str) -> list[Execution]:
        return [execution for execution in await self._executions() if execution.thing == thing]

    async def _executions(self) -> list[Execution]:
        """All executions of all deployments, latest deployment first."""
        found = []
        for deployment in sorted(self.deployments.values(), key=lambda d: d.created, reverse=True):
            for thing in await _things_of_job(deployment.job_id):
                execution = (await call_iot("GET", f"/things/{thing}/jobs/{deployment.job_id}"))["execution"]
                updated = dt.datetime.fromtimestamp(execution["lastUpdatedAt"], dt.UTC)
                if thing in self.forgotten and updated <= self.forgotten[thing]:
                    continue
                details = execution["statusDetails"].get("detailsMap") or {}
                found.append(Execution(deployment, thing, execution["status"], updated, details))
        return found


def _seen(executions: list[Execution]) -> list[Execution]:
    return [execution for execution in executions if execution.status not in _UNSEEN]


def _latest_by_target(executions: list[Execution]) -> list[Execution]:
    latest: dict[str, Execution] = {}
    for execution in executions:
        latest.setdefault(execution.deployment.target_arn, execution)
    return list(latest.values())


def _device(thing: str, executions: list[Execution]) -> dict[str, Any]:
    finished = _latest_by_target([execution for execution in executions if execution.status != "IN_PROGRESS"])
    return {
        "coreDeviceThingName": thing,
        "status": "HEALTHY" if all(execution.status == "SUCCEEDED" for execution in finished) else "UNHEALTHY",
        "lastStatusUpdateTimestamp": max(execution.updated for execution in executions),
    }


def _effective(execution: Execution) -> dict[str, Any]:
    deployment = execution.deployment
    failed = execution.status in ("FAILED", "REJECTED")
    status = execution.status
    if status == "SUCCEEDED" and not deployment.for_group:
        status = "COMPLETED"
    return {
        "deploymentId": deployment.id,
        "deploymentName": deployment.name,
        "iotJobId": deployment.job_id,
        "iotJobArn": deployment.job_arn,
        "targetArn": deployment.target_arn,
        "coreDeviceExecutionStatus": "CANCELED" if status == "REMOVED" else status,
        "reason": execution.details.get("detail"),
        "statusDetails": {"errorStack": ["DEPLOYMENT_FAILURE"], "errorTypes": ["COMPONENT_ERROR"]} if failed else None,
        "creationTimestamp": deployment.created,
        "modifiedTimestamp": execution.updated,
    }


async def _members(group_arn: str) -> list[str]:
    name = group_arn.partition(":thinggroup/")[2]
    things: list[str] = (await call_iot("GET", f"/thing-groups/{name}/things"))["things"]
    return things


async def _things_of_job(job_id: str) -> list[str]:
    things: list[str] = []
    query: dict[str, str] = {"maxResults": "250"}
    while True:
        answer = await call_iot("GET", f"/jobs/{job_id}/things", query=query)
        things += [summary["thingArn"].partition(":thing/")[2] for summary in answer["executionSummaries"]]
        if "nextToken" not in answer:
            return list(dict.fromkeys(things))
        query["nextToken"] = answer["nextToken"]


def _stays_running(recipe: dict[str, Any]) -> bool:
    """True if the component has a step that keeps running; False if it only installs."""
    lifecycles = [recipe.get("Lifecycle", {}), *(manifest.get("Lifecycle", {}) for manifest in recipe["Manifests"])]
    return any(key in lifecycle for lifecycle in lifecycles for key in ("run", "startup"))
