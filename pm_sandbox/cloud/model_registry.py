"""SageMaker's model registry: model package groups and their versioned packages."""

import datetime as dt
from dataclasses import dataclass, field
from typing import Any

from pm_sandbox.cloud.emulator_calls import read_object
from pm_sandbox.cloud.modelled_service import ApiError, Request, now, page
from pm_sandbox.cloud.training import TrainingError, bucket_and_key


@dataclass
class ModelPackageGroup:
    """A group of versions of one model."""

    arn: str
    name: str
    description: str | None
    created: dt.datetime
    last_version: int = 0


@dataclass
class ModelPackage:
    """One version in a group; `given` is what was asked for, updates merged in."""

    arn: str
    group: str
    version: int
    given: dict[str, Any]
    created: dt.datetime
    changed: dt.datetime


@dataclass
class ModelRegistry:
    """The operations on groups and packages.

    Args:
        tags: the tags of all resources by ARN, shared with the rest of the service.
    """

    tags: dict[str, list[dict[str, str]]]
    groups: dict[str, ModelPackageGroup] = field(default_factory=dict)
    packages: dict[str, ModelPackage] = field(default_factory=dict)

    def create_model_package_group(self, request: Request) -> dict[str, Any]:
        """Make an empty group."""
        given = request.input
        name = given["ModelPackageGroupName"]
        arn = group_arn(request, name)
        if name in self.groups:
            raise ApiError("ValidationException", f"Model Package Group already exists: {arn}", 400)
        if given.get("Tags"):
            request.authorize("sagemaker:AddTags", arn)
        self.groups[name] = ModelPackageGroup(arn, name, given.get("ModelPackageGroupDescription"), now())
        self.tags[arn] = list(given.get("Tags", []))
        return {"ModelPackageGroupArn": arn}

    def describe_model_package_group(self, request: Request) -> dict[str, Any]:
        """One group, by name or ARN."""
        group = self._group(request.input["ModelPackageGroupName"])
        return {**_group_summary(group), "CreatedBy": {}}

    def list_model_package_groups(self, request: Request) -> dict[str, Any]:
        """All groups, latest first."""
        wanted = request.input.get("NameContains", "")
        found = [group for group in reversed(self.groups.values()) if wanted in group.name]
        some, token = page(found, request.input, "MaxResults", "NextToken")
        return {"ModelPackageGroupSummaryList": [_group_summary(group) for group in some], "NextToken": token}

    def delete_model_package_group(self, request: Request) -> dict[str, Any]:
        """Forget an empty group."""
        group = self._group(request.input["ModelPackageGroupName"])
        left = [package.arn for package in self.packages.values() if package.group == group.name]
        if left:
            raise ApiError("ConflictException", f"Model Package Group {group.arn} still has {len(left)} packages", 400)
        del self.groups[group.name]
        self.tags.pop(group.arn, None)
        return {}

    async def create_model_package(self, request: Request) -> dict[str, Any]:
        """Register the next version of a group; the archives of its containers must be there."""
        given = request.input
        if "ModelPackageGroupName" not in given:
            raise ApiError(
                "ValidationException", "the sandbox keeps versioned packages: name a ModelPackageGroupName", 400
            )
        group = self._group(given["ModelPackageGroupName"])
        for container in given.get("InferenceSpecification", {}).get("Containers", []):
            if "ModelDataUrl" in container:
                await _require_object(request, container["ModelDataUrl"])
        group.last_version += 1
        arn = package_arn(request, group.name, group.last_version)
        kept = {
            name: value for name, value in given.items() if name not in ("Tags", "ClientToken", "ModelPackageGroupName")
        }
        kept.setdefault("ModelApprovalStatus", "PendingManualApproval")
        self.packages[arn] = ModelPackage(arn, group.name, group.last_version, kept, now(), now())
        self.tags[arn] = list(given.get("Tags", []))
        return {"ModelPackageArn": arn}

    def describe_model_package(self, request: Request) -> dict[str, Any]:
        """One package, by ARN."""
        package = self._package(request.input["ModelPackageName"])
        return {
            **package.given,
            **_identity(package),
            "ModelPackageName": f"{package.group}/{package.version}",
            "ModelPackageStatusDetails": {"ValidationStatuses": [], "ImageScanStatuses": []},
            "LastModifiedTime": package.changed,
        }

    def list_model_packages(self, request: Request) -> dict[str, Any]:
        """Packages of a group or of all, latest version first unless asked otherwise."""
        given = request.input
        group = self._group(given["ModelPackageGroupName"]).name if "ModelPackageGroupName" in given else None
        status = given.get("ModelApprovalStatus")
        found = [
            package
            for package in self.packages.values()
            if group in (None, package.group) and status in (None, package.given["ModelApprovalStatus"])
        ]
        if given.get("SortOrder", "Descending") == "Descending":
            found.reverse()
        some, token = page(found, given, "MaxResults", "NextToken")
        return {"ModelPackageSummaryList": [_package_summary(package) for package in some], "NextToken": token}

    def update_model_package(self, request: Request) -> dict[str, Any]:
        """Approve or reject a package, or change its properties."""
        given = dict(request.input)
        package = self._package(given.pop("ModelPackageArn"))
        properties = package.given.setdefault("CustomerMetadataProperties", {})
        properties.update(given.pop("CustomerMetadataProperties", {}))
        for name in given.pop("CustomerMetadataPropertiesToRemove", []):
            properties.pop(name, None)
        package.given.update(given)
        package.changed = now()
        return {"ModelPackageArn": package.arn}

    def delete_model_package(self, request: Request) -> dict[str, Any]:
        """Forget a package; its version is not used again."""
        package = self._package(request.input["ModelPackageName"])
        del self.packages[package.arn]
        self.tags.pop(package.arn, None)
        return {}

    def next_package_arn(self, request: Request) -> str:
        """The ARN that the next package of the asked-for group will have."""
        name = request.input.get("ModelPackageGroupName", "").rpartition("/")[2]
        group = self.groups.get(name)
        return package_arn(request, name, group.last_version + 1 if group else 1)

    def _group(self, name_or_arn: str) -> ModelPackageGroup:
        name = name_or_arn.rpartition("/")[2]
        if name not in self.groups:
            raise ApiError("ValidationException", f"ModelPackageGroup {name_or_arn} does not exist.", 400)
        return self.groups[name]

    def _package(self, arn: str) -> ModelPackage:
        if arn not in self.packages:
            raise ApiError("ValidationException", f"ModelPackage {arn} does not exist.", 400)
        return self.packages[arn]


def group_arn(request: Request, name_or_arn: str) -> str:
    """The ARN of the group of this name."""
    name = name_or_arn.rpartition("/")[2]
    return f"{request.arn_prefix('sagemaker')}:model-package-group/{name}"


def package_arn(request: Request, group: str, version: int) -> str:
    """The ARN of a version of a group."""
    return f"{request.arn_prefix('sagemaker')}:model-package/{group}/{version}"


def _group_summary(group: ModelPackageGroup) -> dict[str, Any]:
    return {
        "ModelPackageGroupName": group.name,
        "ModelPackageGroupArn": group.arn,
        "ModelPackageGroupDescription": group.description,
        "CreationTime": group.created,
        "ModelPackageGroupStatus": "Completed",
    }


def _identity(package: ModelPackage) -> dict[str, Any]:
    return {
        "ModelPackageGroupName": package.group,
        "ModelPackageVersion": package.version,
        "ModelPackageArn": package.arn,
        "CreationTime": package.created,
        "ModelPackageStatus": "Completed",
        "ModelApprovalStatus": package.given["ModelApprovalStatus"],
    }


def _package_summary(package: ModelPackage) -> dict[str, Any]:
    return {**_identity(package), "ModelPackageDescription": package.given.get("ModelPackageDescription")}


async def _require_object(request: Request, uri: str) -> None:
    """Refuse a model archive that is not there, or that the caller may not read."""
    try:
        bucket, key = bucket_and_key(uri)
        request.authorize("s3:GetObject", f"arn:aws:s3:::{bucket}/{key}")
        await read_object(bucket, key)
    except (ApiError, TrainingError) as error:
        raise ApiError("ValidationException", f"Could not find model data at {uri}: {error}", 400) from error
