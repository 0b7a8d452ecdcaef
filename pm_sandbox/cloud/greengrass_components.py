"""Greengrass V2's component versions: the operations on them."""

import base64
import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from pm_components.aws.recipe_format import parse_recipe, release
from pm_components.functions.component_recipes import RecipeError, artifacts, bucket_and_key
from pm_sandbox.cloud.emulator_calls import read_object
from pm_sandbox.cloud.greengrass_records import ComponentVersion, not_found
from pm_sandbox.cloud.idempotency import Answers
from pm_sandbox.cloud.modelled_service import ApiError, Request, now, page

_COMPONENT_ARN = re.compile(
    r"arn:[^:]+:greengrass:[^:]*:[^:]+:components:(?P<name>[^:]+)(:versions:(?P<version>[^:]+))?"
)
_DEPLOYABLE = {"componentState": "DEPLOYABLE", "message": "NONE", "errors": {}, "vendorGuidance": "ACTIVE"}


@dataclass
class Components:
    """The operations on component versions."""

    versions: dict[tuple[str, str], ComponentVersion] = field(default_factory=dict)
    _answers: Answers = field(default_factory=Answers)

    async def create_component_version(self, request: Request) -> dict[str, Any]:
        """Register a component version from its recipe, once each artifact was read and its digest noted."""
        if answer := self._answers.earlier(request):
            return answer
        if "inlineRecipe" not in request.input:
            raise ApiError("ValidationException", "inlineRecipe is required")
        try:
            recipe = parse_recipe(request.input["inlineRecipe"])
        except RecipeError as error:
            raise ApiError("ValidationException", f"Invalid Input: {error}") from error
        name, version = recipe["ComponentName"], recipe["ComponentVersion"]
        arn = f"{request.arn_prefix('greengrass')}:components:{name}:versions:{version}"
        request.authorize("greengrass:CreateComponentVersion", arn)
        await _digest_artifacts(request, recipe)
        if (name, version) in self.versions:
            raise ApiError(
                "ConflictException",
                f"Component [{name} : {version}] for account [{request.account_id}] already exists",
                resourceId=arn,
                resourceType="ComponentVersion",
            )
        component = ComponentVersion(arn, name, version, recipe, now(), request.input.get("tags", {}))
        self.versions[name, version] = component
        return self._answers.keep(
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
            "recipe": _to_bytes(component.recipe, output_format),
            "tags": component.tags,
        }

    def describe_component(self, request: Request) -> dict[str, Any]:
        """The description of a component version, without its recipe."""
        component = self._version(request.input["arn"])
        return {
            "arn": component.arn,
            "componentName": component.name,
            "componentVersion": component.version,
            "creationTimestamp": component.created,
            "publisher": component.recipe.get("ComponentPublisher", ""),
            "description": component.recipe.get("ComponentDescription", ""),
            "status": _DEPLOYABLE,
            "platforms": _platforms(component.recipe),
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
        found = self.versions_of(match["name"]) if match else []
        if not found:
            raise not_found("Component", request.input["arn"])
        some, token = page(found, request.input)
        listed = [{"componentName": v.name, "componentVersion": v.version, "arn": v.arn} for v in some]
        return {"componentVersions": listed, "nextToken": token}

    def delete_component(self, request: Request) -> dict[str, Any]:
        """Forget a component version; devices that have it keep it."""
        component = self._version(request.input["arn"])
        del self.versions[component.name, component.version]
        return {}

    def _component_summary(self, name: str) -> dict[str, Any]:
        latest = self.versions_of(name)[0]
        recipe = latest.recipe
        summary = {
            "arn": latest.arn,
            "componentVersion": latest.version,
            "creationTimestamp": latest.created,
            "description": recipe.get("ComponentDescription"),
            "publisher": recipe.get("ComponentPublisher"),
            "platforms": _platforms(recipe),
        }
        return {"arn": latest.arn.partition(":versions:")[0], "componentName": name, "latestVersion": summary}

    def versions_of(self, name: str) -> list[ComponentVersion]:
        """The versions of a component, latest first; empty if there is none."""
        found = [version for version in self.versions.values() if version.name == name]
        return sorted(found, key=lambda v: (release(v.version), v.created), reverse=True)

    def _version(self, arn: str) -> ComponentVersion:
        match = _COMPONENT_ARN.fullmatch(arn)
        found = self.versions.get((match["name"], match["version"])) if match else None
        if found is None or found.arn != arn:
            raise not_found("ComponentVersion", arn)
        return found


def _platforms(recipe: dict[str, Any]) -> list[dict[str, Any]]:
    """The platforms of the manifests, in the form of the API: name and attributes."""
    return [
        {
            "name": manifest.get("Name", "all"),
            "attributes": {key: str(value) for key, value in manifest.get("Platform", {}).items()},
        }
        for manifest in recipe["Manifests"]
    ]


def _to_bytes(recipe: dict[str, Any], output_format: str) -> bytes:
    if output_format == "YAML":
        return yaml.safe_dump(recipe, sort_keys=False).encode()
    return json.dumps(recipe).encode()


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
