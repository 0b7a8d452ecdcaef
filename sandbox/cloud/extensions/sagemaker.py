"""SageMaker: training jobs that run the real script, and the model registry."""

from dataclasses import dataclass
from typing import Any

from ministack import app

from sandbox.cloud import seams
from sandbox.cloud.extensions import tagging
from sandbox.cloud.model_registry import ModelRegistry, group_arn
from sandbox.cloud.modelled_service import ModelledService, Operation, Request, page
from sandbox.cloud.training_jobs import TrainingJobs, job_arn

#: Inputs of CreateTrainingJob that would change the run on AWS and cannot be honoured here.
_REFUSED_TRAINING_INPUTS = (
    "VpcConfig",
    "DebugHookConfig",
    "DebugRuleConfigurations",
    "TensorBoardOutputConfig",
    "ExperimentConfig",
    "ProfilerConfig",
    "ProfilerRuleConfigurations",
    "RemoteDebugConfig",
    "InfraCheckConfig",
    "SessionChainingConfig",
    "ServerlessJobConfig",
    "MlflowConfig",
    "ModelPackageConfig",
    "AlgorithmSpecification.AlgorithmName",
    "AlgorithmSpecification.ContainerEntrypoint",
    "AlgorithmSpecification.ContainerArguments",
    "ResourceConfig.InstanceGroups",
)
_REFUSED_LIST_INPUTS = ("CreationTimeAfter", "CreationTimeBefore")


@dataclass
class Tags:
    """The operations on tags of any resource.

    Args:
        by_arn: the tags of each resource.
    """

    by_arn: dict[str, list[dict[str, str]]]

    def add_tags(self, request: Request) -> dict[str, Any]:
        """Add tags, replacing those of the same keys."""
        arn, added = request.input["ResourceArn"], request.input["Tags"]
        keys = {tag["Key"] for tag in added}
        self.by_arn[arn] = [tag for tag in self.by_arn.get(arn, []) if tag["Key"] not in keys] + added
        return {"Tags": self.by_arn[arn]}

    def list_tags(self, request: Request) -> dict[str, Any]:
        """The tags of a resource."""
        some, token = page(self.by_arn.get(request.input["ResourceArn"], []), request.input, "MaxResults", "NextToken")
        return {"Tags": some, "NextToken": token}

    def delete_tags(self, request: Request) -> dict[str, Any]:
        """Remove tags by key."""
        arn, keys = request.input["ResourceArn"], request.input["TagKeys"]
        self.by_arn[arn] = [tag for tag in self.by_arn.get(arn, []) if tag["Key"] not in keys]
        return {}


def operations(jobs: TrainingJobs, registry: ModelRegistry, tags: Tags) -> dict[str, Operation]:
    """The operations of the service by name, each with what its caller must be allowed to act on."""

    def job(request: Request) -> list[str]:
        return [job_arn(request, request.input["TrainingJobName"])]

    def group(request: Request) -> list[str]:
        return [group_arn(request, request.input["ModelPackageGroupName"])]

    def named(member: str) -> Any:
        return lambda request: [request.input[member]]

    return {
        "CreateTrainingJob": Operation(jobs.create_training_job, job, _REFUSED_TRAINING_INPUTS),
        "DescribeTrainingJob": Operation(jobs.describe_training_job, job),
        "StopTrainingJob": Operation(jobs.stop_training_job, job),
        "ListTrainingJobs": Operation(
            jobs.list_training_jobs,
            refused=(*_REFUSED_LIST_INPUTS, "LastModifiedTimeAfter", "LastModifiedTimeBefore", "WarmPoolStatusEquals"),
        ),
        "CreateModelPackageGroup": Operation(registry.create_model_package_group, group, ("ManagedConfiguration",)),
        "DescribeModelPackageGroup": Operation(registry.describe_model_package_group, group),
        "ListModelPackageGroups": Operation(registry.list_model_package_groups, refused=_REFUSED_LIST_INPUTS),
        "DeleteModelPackageGroup": Operation(registry.delete_model_package_group, group),
        "CreateModelPackage": Operation(
            registry.create_model_package,
            lambda request: [registry.next_package_arn(request)],
            ("ModelPackageName", "ValidationSpecification", "SourceAlgorithmSpecification", "CertifyForMarketplace"),
        ),
        "DescribeModelPackage": Operation(registry.describe_model_package, named("ModelPackageName")),
        "ListModelPackages": Operation(
            registry.list_model_packages, refused=(*_REFUSED_LIST_INPUTS, "NameContains", "ModelPackageType")
        ),
        "UpdateModelPackage": Operation(
            registry.update_model_package, named("ModelPackageArn"), ("AdditionalInferenceSpecificationsToAdd",)
        ),
        "DeleteModelPackage": Operation(registry.delete_model_package, named("ModelPackageName")),
        "AddTags": Operation(tags.add_tags, named("ResourceArn")),
        "ListTags": Operation(tags.list_tags, named("ResourceArn")),
        "DeleteTags": Operation(tags.delete_tags, named("ResourceArn")),
    }


def install() -> None:
    """Serve SageMaker behind the emulator's endpoint."""
    tags = Tags({})
    jobs = TrainingJobs(seams.directory() / "training", tags.by_arn)
    service = ModelledService("sagemaker", "sagemaker", operations(jobs, ModelRegistry(tags.by_arn), tags))
    seams.require_value(app, "SERVICE_HANDLERS", dict)["sagemaker"] = service.handle
    tagging.collect("sagemaker", tags.by_arn)
