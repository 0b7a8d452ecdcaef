"""SageMaker: training jobs that run the real script, the model registry, and notebook instances that are only kept."""

from dataclasses import dataclass
from typing import Any

from ministack import app

from pm_sandbox.cloud import seams
from pm_sandbox.cloud.extensions import tagging
from pm_sandbox.cloud.model_registry import ModelRegistry, group_arn
from pm_sandbox.cloud.modelled_service import ModelledService, Operation, Request, page
from pm_sandbox.cloud.notebooks import Notebooks, instance_arn, life_cycle_arn
from pm_sandbox.cloud.training_jobs import TrainingJobs, job_arn

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
_REFUSED_NOTEBOOK_LIST_INPUTS = (
    *_REFUSED_LIST_INPUTS,
    "LastModifiedTimeAfter",
    "LastModifiedTimeBefore",
    "SortBy",
    "SortOrder",
    "StatusEquals",
    "NotebookInstanceLifecycleConfigNameContains",
    "DefaultCodeRepositoryContains",
    "AdditionalCodeRepositoryEquals",
)


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


def operations(jobs: TrainingJobs, registry: ModelRegistry, notebooks: Notebooks, tags: Tags) -> dict[str, Operation]:
    """The operations of the service by name, each with what its caller must be allowed to act on."""

    def job(request: Request) -> list[str]:
        return [job_arn(request, request.input["TrainingJobName"])]

    def group(request: Request) -> list[str]:
        return [group_arn(request, request.input["ModelPackageGroupName"])]

    def instance(request: Request) -> list[str]:
        return [instance_arn(request)]

    def life_cycle(request: Request) -> list[str]:
        return [life_cycle_arn(request)]

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
        "CreateNotebookInstance": Operation(notebooks.create, instance),
        "DescribeNotebookInstance": Operation(notebooks.describe, instance),
        "ListNotebookInstances": Operation(notebooks.list, refused=_REFUSED_NOTEBOOK_LIST_INPUTS),
        "UpdateNotebookInstance": Operation(notebooks.update, instance),
        "StartNotebookInstance": Operation(notebooks.start, instance),
        "StopNotebookInstance": Operation(notebooks.stop, instance),
        "DeleteNotebookInstance": Operation(notebooks.delete, instance),
        "CreateNotebookInstanceLifecycleConfig": Operation(notebooks.create_life_cycle, life_cycle),
        "DescribeNotebookInstanceLifecycleConfig": Operation(notebooks.describe_life_cycle, life_cycle),
        "UpdateNotebookInstanceLifecycleConfig": Operation(notebooks.update_life_cycle, life_cycle),
        "DeleteNotebookInstanceLifecycleConfig": Operation(notebooks.delete_life_cycle, life_cycle),
        "AddTags": Operation(tags.add_tags, named("ResourceArn")),
        "ListTags": Operation(tags.list_tags, named("ResourceArn")),
        "DeleteTags": Operation(tags.delete_tags, named("ResourceArn")),
    }


def install() -> None:
    """Serve SageMaker behind the emulator's endpoint."""
    tags = Tags({})
    jobs = TrainingJobs(seams.directory() / "training", tags.by_arn)
    kept = operations(jobs, ModelRegistry(tags.by_arn), Notebooks(tags.by_arn), tags)
    service = ModelledService("sagemaker", "sagemaker", kept)
    seams.require_value(app, "SERVICE_HANDLERS", dict)["sagemaker"] = service.handle
    tagging.collect("sagemaker", tags.by_arn)
