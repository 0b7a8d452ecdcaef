"""Greengrass V2's deployments: the operations on them, and the AWS IoT jobs that carry them to core devices."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

from pm_components.aws.recipe_format import VERSION_PATTERN
from pm_sandbox.cloud.emulator_calls import call_iot
from pm_sandbox.cloud.greengrass_components import Components
from pm_sandbox.cloud.greengrass_records import Deployment, not_found
from pm_sandbox.cloud.idempotency import Answers
from pm_sandbox.cloud.modelled_service import ApiError, Request, new_id, now, page

#: Components that AWS publishes, whose recipes the sandbox does not have: accepted in a deployment, never inlined.
PUBLIC_PREFIX = "aws.greengrass."
#: Bytes left to the recipes in a job document; AWS IoT allows 32,768 characters in all
#: (https://docs.aws.amazon.com/general/latest/gr/iot-core.html, "Job document length").
_INLINE_LIMIT = 30_000
_DEFAULT_POLICIES = {
    "failureHandlingPolicy": "ROLLBACK",
    "componentUpdatePolicy": {"timeoutInSeconds": 60, "action": "NOTIFY_COMPONENTS"},
    "configurationValidationPolicy": {"timeoutInSeconds": 60},
}


@dataclass
class Deployments:
    """The operations on deployments of registered components."""

    components: Components
    deployments: dict[str, Deployment] = field(default_factory=dict)
    _answers: Answers = field(default_factory=Answers)
    _one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def create_deployment(self, request: Request) -> dict[str, Any]:
        """Deploy components to a thing or a thing group, in place of the target's earlier deployment."""
        async with self._one_at_a_time:
            return self._answers.earlier(request) or self._answers.keep(request, await self._deploy(request))

    async def _deploy(self, request: Request) -> dict[str, Any]:
        given = request.input
        target = given["targetArn"]
        await _require_target(request, target)
        components = self._checked_components(given.get("components", {}))
        earlier = [d for d in self.deployments.values() if d.target_arn == target]
        deployment_id, job_id = new_id(), new_id()
        deployment = Deployment(
            id=deployment_id,
            name=given.get("deploymentName", f"Deployment for {target.rpartition('/')[2]}"),
            arn=f"{request.arn_prefix('greengrass')}:deployments:{deployment_id}",
            target_arn=target,
            revision=1 + max((d.revision for d in earlier), default=0),
            components=components,
            policies={**_DEFAULT_POLICIES, **given.get("deploymentPolicies", {})},
            job_configuration=given.get("iotJobConfiguration", {}),
            job_id=job_id,
            job_arn=f"{request.arn_prefix('iot')}:job/{job_id}",
            created=now(),
            tags=given.get("tags", {}),
        )
        document = self._job_document(deployment)
        if not deployment.for_group:
            # One core device is told by its shadow AWSManagedGreengrassV2Deployment (the nucleus's class
            # ShadowDeploymentListener), a group by a job alone. The Service Authorization Reference has these actions
            # among the dependent ones of CreateDeployment without saying when; that a group needs none is inferred.
            for action in ("GetThingShadow", "UpdateThingShadow", "DeleteThingShadow"):
                request.authorize(f"iot:{action}", target)
        request.authorize("iot:CreateJob", deployment.job_arn)
        request.authorize("iot:CreateJob", target)
        replaced = [other for other in earlier if not other.superseded]
        for other in replaced:
            request.authorize("iot:CancelJob", other.job_arn)
        job = {
            "targets": [target],
            "targetSelection": "CONTINUOUS" if deployment.for_group else "SNAPSHOT",
            "description": f"Greengrass deployment {deployment.name}",
            "document": document,
            **deployment.job_configuration,
        }
        await call_iot("PUT", f"/jobs/{job_id}", job)
        self.deployments[deployment_id] = deployment
        for other in replaced:
            other.superseded = True
            if not other.canceled:
                await _cancel_job(other.job_id, f"Superseded by deployment {deployment_id}")
        return {"deploymentId": deployment_id, "iotJobId": job_id, "iotJobArn": deployment.job_arn}

    async def get_deployment(self, request: Request) -> dict[str, Any]:
        """A deployment, with its status."""
        deployment = self._deployment(request.input["deploymentId"])
        return {
            **await self._deployment_summary(deployment),
            "iotJobId": deployment.job_id,
            "iotJobArn": deployment.job_arn,
            "components": deployment.components,
            "deploymentPolicies": deployment.policies,
            "iotJobConfiguration": deployment.job_configuration,
            "tags": deployment.tags,
        }

    async def list_deployments(self, request: Request) -> dict[str, Any]:
        """Deployments of one target or of all, latest first: each target's latest unless `historyFilter` is `ALL`."""
        given = request.input
        found = [
            deployment
            for deployment in self.deployments.values()
            if given.get("targetArn") in (None, deployment.target_arn)
            and (given.get("historyFilter", "LATEST_ONLY") == "ALL" or not deployment.superseded)
        ]
        some, token = page(sorted(found, key=lambda d: d.created, reverse=True), given)
        return {"deployments": [await self._deployment_summary(d) for d in some], "nextToken": token}

    async def cancel_deployment(self, request: Request) -> dict[str, Any]:
        """Cancel a deployment for the devices that have not yet begun it."""
        deployment = self._deployment(request.input["deploymentId"])
        status = await self._status(deployment)
        if status != "ACTIVE":
            raise _conflict(deployment, f"Deployment {deployment.id} is {status}; only an ACTIVE one can be canceled")
        request.authorize("iot:CancelJob", deployment.job_arn)
        await _cancel_job(deployment.job_id, "Canceled by the user")
        deployment.canceled = True
        return {"message": f"Deployment {deployment.id} is canceled"}

    async def delete_deployment(self, request: Request) -> dict[str, Any]:
        """Forget a deployment; an active one must be canceled first. Devices keep what it installed."""
        deployment = self._deployment(request.input["deploymentId"])
        if await self._status(deployment) == "ACTIVE":
            raise _conflict(deployment, f"Deployment {deployment.id} is ACTIVE: cancel it before deleting it")
        del self.deployments[deployment.id]
        return {}

    def _job_document(self, deployment: Deployment) -> str:
        document: dict[str, Any] = {
            "deploymentId": deployment.id,
            "deploymentName": deployment.name,
            "targetArn": deployment.target_arn,
            "components": deployment.components,
            "deploymentPolicies": deployment.policies,
        }
        recipes = {
            name: self.components.versions[name, component["componentVersion"]].recipe
            for name, component in deployment.components.items()
            if (name, component["componentVersion"]) in self.components.versions
        }
        whole = json.dumps({**document, "recipes": recipes})
        if len(whole) <= _INLINE_LIMIT:
            return whole
        without = json.dumps(document)
        if len(without) > _INLINE_LIMIT:
            raise ApiError(
                "ValidationException",
                f"the deployment has {len(without):,} characters; the sandbox's job documents have {_INLINE_LIMIT:,}",
            )
        return without

    def _checked_components(self, components: dict[str, Any]) -> dict[str, Any]:
        for name, component in components.items():
            version = component.get("componentVersion")
            if not version or not VERSION_PATTERN.fullmatch(version):
                raise ApiError(
                    "ValidationException",
                    f"components.{name}.componentVersion must be an exact version, not {version!r}",
                )
            if (name, version) not in self.components.versions and not name.startswith(PUBLIC_PREFIX):
                known = ", ".join(v.version for v in self.components.versions_of(name)) or "none"
                raise ApiError(
                    "ResourceNotFoundException",
                    f"component {name} has no version {version}; registered are: {known}",
                    resourceId=name,
                    resourceType="ComponentVersion",
                )
            merge = component.get("configurationUpdate", {}).get("merge")
            if merge is not None:
                _check_merge(name, merge)
        return components

    def _deployment(self, deployment_id: str) -> Deployment:
        if deployment_id not in self.deployments:
            raise not_found("Deployment", deployment_id)
        return self.deployments[deployment_id]

    async def _deployment_summary(self, deployment: Deployment) -> dict[str, Any]:
        return {
            "targetArn": deployment.target_arn,
            "revisionId": str(deployment.revision),
            "deploymentId": deployment.id,
            "deploymentName": deployment.name,
            "creationTimestamp": deployment.created,
            "deploymentStatus": await self._status(deployment),
            "isLatestForTarget": not deployment.superseded,
        }

    async def _status(self, deployment: Deployment) -> str:
        """A thing group's deployment stays ACTIVE, for devices that may yet join; a thing's ends with its execution."""
        if deployment.superseded:
            return "INACTIVE"
        job = (await call_iot("GET", f"/jobs/{deployment.job_id}"))["job"]
        if deployment.canceled or job["status"] == "CANCELED":
            return "CANCELED"
        if deployment.for_group or job["status"] != "COMPLETED":
            return "ACTIVE"
        return "COMPLETED" if job["jobProcessDetails"]["numberOfSucceededThings"] else "FAILED"


def _conflict(deployment: Deployment, message: str) -> ApiError:
    return ApiError("ConflictException", message, resourceId=deployment.id, resourceType="Deployment")


def _check_merge(component: str, merge: str) -> None:
    try:
        found = json.loads(merge)
    except ValueError as error:
        raise ApiError(
            "ValidationException", f"components.{component}.configurationUpdate.merge is not JSON: {error}"
        ) from error
    if not isinstance(found, dict):
        raise ApiError("ValidationException", f"components.{component}.configurationUpdate.merge must be a JSON object")


async def _require_target(request: Request, arn: str) -> None:
    kind, _, name = arn.partition(":thing")[2].partition("/")
    action, path = ("iot:DescribeThingGroup", "thing-groups") if kind == "group" else ("iot:DescribeThing", "things")
    request.authorize(action, arn)
    await call_iot("GET", f"/{path}/{name}")


async def _cancel_job(job_id: str, comment: str) -> None:
    job = (await call_iot("GET", f"/jobs/{job_id}"))["job"]
    if job["status"] == "IN_PROGRESS":
        await call_iot("PUT", f"/jobs/{job_id}/cancel", {"comment": comment})
