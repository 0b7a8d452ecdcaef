"""Greengrass V2: component versions and deployments, which core devices receive as AWS IoT jobs.

A deployment becomes one IoT job for its target, a thing or a thing group; a later deployment to the same target cancels
that job. The job's document is the deployment itself, with the recipes of its components where they fit:

    {"deploymentId", "deploymentName", "targetArn", "deploymentPolicies",
     "components": {name: {"componentVersion", "runWith"?,
                           "configurationUpdate"?: {"merge"?: JSON text, "reset"?: [JSON pointers]}}},
     "recipes"?: {name: recipe}}

A core device reports through the status of its job execution, with a sentence for a person in `statusDetails.detail`.
"""

import base64
import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import Any

from ministack import app

from sandbox.cloud import seams
from sandbox.cloud.emulator_calls import call_iot, read_object
from sandbox.cloud.greengrass_devices import CoreDevices
from sandbox.cloud.greengrass_recipe import (
    VERSION_PATTERN,
    RecipeError,
    artifacts,
    bucket_and_key,
    parse_recipe,
    platforms,
    to_bytes,
)
from sandbox.cloud.greengrass_records import ComponentVersion, Deployment
from sandbox.cloud.modelled_service import ApiError, ModelledService, Operation, Request, new_id, now, page

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
_COMPONENT_ARN = re.compile(
    r"arn:[^:]+:greengrass:[^:]*:[^:]+:components:(?P<name>[^:]+)(:versions:(?P<version>[^:]+))?"
)


@dataclass
class Greengrass:
    """The service: its state and its operations."""

    versions: dict[tuple[str, str], ComponentVersion] = field(default_factory=dict)
    deployments: dict[str, Deployment] = field(default_factory=dict)
    _answers: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)

    async def create_component_version(self, request: Request) -> dict[str, Any]:
        """Register a component version from its recipe, once each artifact was read and its digest noted."""
        if answer := self._earlier_answer(request):
            return answer
        if "inlineRecipe" not in request.input:
            raise ApiError("ValidationException", "inlineRecipe is required")
        try:
            recipe = parse_recipe(request.input["inlineRecipe"])
        except RecipeError as error:
            raise ApiError("ValidationException", f"Invalid Input: {error}") from error
        name, version = recipe["ComponentName"], recipe["ComponentVersion"]
        arn = f"{_prefix(request)}:components:{name}:versions:{version}"
        if (name, version) in self.versions:
            raise ApiError(
                "ConflictException",
                f"Component [{name} : {version}] for account [{request.account_id}] already exists",
                resourceId=arn,
                resourceType="ComponentVersion",
            )
        await _digest_artifacts(request, recipe)
        component = ComponentVersion(arn, name, version, recipe, now(), request.input.get("tags", {}))
        self.versions[name, version] = component
        return self._answer(
            request,
            {
                "arn": arn,
                "componentName": name,
                "componentVersion": version,
                "creationTimestamp": component.created,
                "status": _DEPLOYABLE,
            },
        )

    def get_component(self, request: Request) -> dict[str, Any]:
        """The recipe of a component version."""
        component = self._version(request.input["arn"])
        output_format = request.input.get("recipeOutputFormat", "YAML")
        return {
            "recipeOutputFormat": output_format,
            "recipe": to_bytes(component.recipe, output_format),
            "tags": component.tags,
        }

    def describe_component(self, request: Request) -> dict[str, Any]:
        """What is known of a component version, but for its recipe."""
        component = self._version(request.input["arn"])
        return {
            "arn": component.arn,
            "componentName": component.name,
            "componentVersion": component.version,
            "creationTimestamp": component.created,
            "publisher": component.recipe.get("ComponentPublisher", ""),
            "description": component.recipe.get("ComponentDescription", ""),
            "status": _DEPLOYABLE,
            "platforms": platforms(component.recipe),
            "tags": component.tags,
        }

    def list_components(self, request: Request) -> dict[str, Any]:
        """The components with the latest version of each; those of AWS are none here."""
        names = (
            sorted({name for name, _ in self.versions}) if request.input.get("scope", "PRIVATE") == "PRIVATE" else []
        )
        some, token = page(names, request.input)
        return {"components": [self._component_summary(name) for name in some], "nextToken": token}

    def list_component_versions(self, request: Request) -> dict[str, Any]:
        """The versions of a component, latest first."""
        match = _COMPONENT_ARN.fullmatch(request.input["arn"])
        found = self._versions_of(match["name"]) if match else []
        if not found:
            raise _not_found("Component", request.input["arn"])
        some, token = page(found, request.input)
        listed = [{"componentName": v.name, "componentVersion": v.version, "arn": v.arn} for v in some]
        return {"componentVersions": listed, "nextToken": token}

    def delete_component(self, request: Request) -> dict[str, Any]:
        """Forget a component version; devices that have it keep it."""
        component = self._version(request.input["arn"])
        del self.versions[component.name, component.version]
        return {}

    async def create_deployment(self, request: Request) -> dict[str, Any]:
        """Deploy components to a thing or a thing group, in place of the target's earlier deployment."""
        if answer := self._earlier_answer(request):
            return answer
        given = request.input
        target = given["targetArn"]
        await _require_target(request, target)
        components = self._checked_components(given.get("components", {}))
        earlier = [d for d in self.deployments.values() if d.target_arn == target]
        deployment_id, job_id = new_id(), new_id()
        deployment = Deployment(
            id=deployment_id,
            name=given.get("deploymentName", f"Deployment for {target.rpartition('/')[2]}"),
            arn=f"{_prefix(request)}:deployments:{deployment_id}",
            target_arn=target,
            revision=1 + max((d.revision for d in earlier), default=0),
            components=components,
            policies={**_DEFAULT_POLICIES, **given.get("deploymentPolicies", {})},
            job_configuration=given.get("iotJobConfiguration", {}),
            job_id=job_id,
            job_arn=f"arn:aws:iot:{request.region}:{request.account_id}:job/{job_id}",
            created=now(),
            tags=given.get("tags", {}),
        )
        document = self._job_document(deployment)
        request.authorize("iot:CreateJob", deployment.job_arn)
        request.authorize("iot:CreateJob", target)
        for other in earlier:
            if not other.superseded:
                request.authorize("iot:CancelJob", other.job_arn)
                if not other.canceled:
                    await _cancel_job(other.job_id, f"Superseded by deployment {deployment_id}")
                other.superseded = True
        job = {
            "targets": [target],
            "targetSelection": "CONTINUOUS" if deployment.for_group else "SNAPSHOT",
            "description": f"Greengrass deployment {deployment.name}",
            "document": document,
            **deployment.job_configuration,
        }
        await call_iot("PUT", f"/jobs/{job_id}", job)
        self.deployments[deployment_id] = deployment
        return self._answer(
            request, {"deploymentId": deployment_id, "iotJobId": job_id, "iotJobArn": deployment.job_arn}
        )

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

    def _job_document(self, deployment: Deployment) -> str:
        document: dict[str, Any] = {
            "deploymentId": deployment.id,
            "deploymentName": deployment.name,
            "targetArn": deployment.target_arn,
            "components": deployment.components,
            "deploymentPolicies": deployment.policies,
        }
        recipes = {
            name: self.versions[name, component["componentVersion"]].recipe
            for name, component in deployment.components.items()
            if (name, component["componentVersion"]) in self.versions
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
            if (name, version) not in self.versions and not name.startswith(PUBLIC_PREFIX):
                known = ", ".join(v.version for v in self._versions_of(name)) or "none"
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

    def _component_summary(self, name: str) -> dict[str, Any]:
        latest = self._versions_of(name)[0]
        recipe = latest.recipe
        summary = {
            "arn": latest.arn,
            "componentVersion": latest.version,
            "creationTimestamp": latest.created,
            "description": recipe.get("ComponentDescription"),
            "publisher": recipe.get("ComponentPublisher"),
            "platforms": platforms(recipe),
        }
        return {"arn": latest.arn.partition(":versions:")[0], "componentName": name, "latestVersion": summary}

    def _versions_of(self, name: str) -> list[ComponentVersion]:
        found = [version for version in self.versions.values() if version.name == name]
        return sorted(found, key=lambda v: (_release(v.version), v.created), reverse=True)

    def _version(self, arn: str) -> ComponentVersion:
        match = _COMPONENT_ARN.fullmatch(arn)
        found = self.versions.get((match["name"], match["version"])) if match else None
        if found is None or found.arn != arn:
            raise _not_found("ComponentVersion", arn)
        return found

    def _deployment(self, deployment_id: str) -> Deployment:
        if deployment_id not in self.deployments:
            raise _not_found("Deployment", deployment_id)
        return self.deployments[deployment_id]

    def _tags(self, arn: str) -> dict[str, str]:
        resources: list[ComponentVersion | Deployment] = [*self.versions.values(), *self.deployments.values()]
        for resource in resources:
            if resource.arn == arn:
                return resource.tags
        raise _not_found("Resource", arn)

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

    def _earlier_answer(self, request: Request) -> dict[str, Any] | None:
        return self._answers.get((request.operation, request.input.get("clientToken", "")))

    def _answer(self, request: Request, answer: dict[str, Any]) -> dict[str, Any]:
        if token := request.input.get("clientToken"):
            self._answers[request.operation, token] = answer
        return answer


_DEPLOYABLE = {"componentState": "DEPLOYABLE", "message": "NONE", "errors": {}, "vendorGuidance": "ACTIVE"}


def _prefix(request: Request) -> str:
    return f"arn:aws:greengrass:{request.region}:{request.account_id}"


def _release(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.split(r"[-+]", version)[0].split("."))


def _not_found(kind: str, identifier: str) -> ApiError:
    return ApiError(
        "ResourceNotFoundException", f"{kind} {identifier} does not exist", resourceId=identifier, resourceType=kind
    )


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


async def _digest_artifacts(request: Request, recipe: dict[str, Any]) -> None:
    """Read each artifact as the caller, and note its SHA-256 in the recipe as AWS does."""
    problems = []
    for artifact in artifacts(recipe):
        bucket, key = bucket_and_key(artifact["Uri"])
        try:
            request.authorize("s3:GetObject", f"arn:aws:s3:::{bucket}/{key}")
            content = await read_object(bucket, key)
        except ApiError as error:
            problems.append(f"{artifact['Uri']} = Specified artifact resource cannot be accessed ({error.message})")
            continue
        artifact["Digest"] = base64.b64encode(hashlib.sha256(content).digest()).decode()
        artifact["Algorithm"] = "SHA-256"
    if problems:
        raise ApiError(
            "ValidationException",
            f"Invalid Input: Encountered following errors in Artifacts: {{{'; '.join(problems)}}}",
        )


async def _require_target(request: Request, arn: str) -> None:
    kind, _, name = arn.partition(":thing")[2].partition("/")
    action, path = ("iot:DescribeThingGroup", "thing-groups") if kind == "group" else ("iot:DescribeThing", "things")
    request.authorize(action, arn)
    await call_iot("GET", f"/{path}/{name}")


async def _cancel_job(job_id: str, comment: str) -> None:
    job = (await call_iot("GET", f"/jobs/{job_id}"))["job"]
    if job["status"] == "IN_PROGRESS":
        await call_iot("PUT", f"/jobs/{job_id}/cancel", {"comment": comment})


def operations(service: Greengrass) -> dict[str, Operation]:
    """The operations of the service by name, each with what its caller must be allowed to act on."""

    def deployments(request: Request) -> list[str]:
        return [f"{_prefix(request)}:deployments:{request.input['deploymentId']}"]

    def named(member: str) -> Any:
        return lambda request: [request.input[member]]

    def device(request: Request) -> list[str]:
        return [f"{_prefix(request)}:coreDevices:{request.input['coreDeviceThingName']}"]

    devices = CoreDevices(service.versions, service.deployments)
    return {
        "CreateComponentVersion": Operation(service.create_component_version, refused=("lambdaFunction",)),
        "GetComponent": Operation(service.get_component, named("arn")),
        "DescribeComponent": Operation(service.describe_component, named("arn")),
        "ListComponents": Operation(service.list_components),
        "ListComponentVersions": Operation(service.list_component_versions, named("arn")),
        "DeleteComponent": Operation(service.delete_component, named("arn")),
        "CreateDeployment": Operation(service.create_deployment, refused=("parentTargetArn",)),
        "GetDeployment": Operation(service.get_deployment, deployments),
        "ListDeployments": Operation(service.list_deployments, refused=("parentTargetArn",)),
        "CancelDeployment": Operation(service.cancel_deployment, deployments),
        "DeleteDeployment": Operation(service.delete_deployment, deployments),
        "ListEffectiveDeployments": Operation(devices.list_effective_deployments, device),
        "ListCoreDevices": Operation(devices.list_core_devices, refused=("runtime",)),
        "GetCoreDevice": Operation(devices.get_core_device, device),
        "ListInstalledComponents": Operation(devices.list_installed_components, device, refused=("topologyFilter",)),
        "TagResource": Operation(service.tag_resource, named("resourceArn")),
        "UntagResource": Operation(service.untag_resource, named("resourceArn")),
        "ListTagsForResource": Operation(service.list_tags_for_resource, named("resourceArn")),
    }


def install() -> None:
    """Serve Greengrass V2 behind the emulator's endpoint."""
    handlers = seams.require_value(app, "SERVICE_HANDLERS", dict)
    handlers["greengrass"] = ModelledService("greengrassv2", "greengrass", operations(Greengrass())).handle
