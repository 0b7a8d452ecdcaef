"""The rights of the parts of a `ForecastPipeline`: IAM statements, each by exact resources."""

from collections.abc import Iterable, Mapping

import pulumi

from pm_components.aws import naming
from pm_components.aws.permissions import Statement, allow
from pm_components.forecast_pipeline.training_jobs import CHECKPOINTS
from pm_components.functions.signed_releases import PREFIX as RELEASES
from pm_contracts.model_kinds import MODEL_KINDS

#: Prefix of what functions read of the sites.
SITES = "sites"


class Bucket:
    """The artifact bucket, as statements name it.

    Args:
        arn: the bucket's ARN.
    """

    def __init__(self, arn: pulumi.Output[str]) -> None:
        self.arn = arn

    def below(self, *prefixes: str) -> list[pulumi.Input[str]]:
        """The objects below each prefix."""
        return [pulumi.Output.concat(self.arn, f"/{prefix}/*") for prefix in prefixes]


def gate_statements(
    parent: pulumi.Resource, bucket: Bucket, group_names: Iterable[pulumi.Output[str]]
) -> list[Statement]:
    """The gate reads what training jobs left, and the champions in the registry."""
    return [
        allow(["s3:GetObject"], bucket.below("training")),
        allow(["sagemaker:DescribeModelPackage"], _model_packages(parent, group_names)),
        allow(["sagemaker:ListModelPackages"], ["*"]),
    ]


def register_statements(
    parent: pulumi.Resource, bucket: Bucket, group_names: Iterable[pulumi.Output[str]]
) -> list[Statement]:
    """The registration adds packages to the groups, and to no other."""
    names = list(group_names)
    resources = [
        *(naming.arn("sagemaker", pulumi.Output.concat("model-package-group/", name), parent) for name in names),
        *_model_packages(parent, names),
    ]
    return [
        allow(["sagemaker:CreateModelPackage"], resources),
        # SageMaker looks whether the model is there with the caller's rights.
        allow(["s3:GetObject"], bucket.below("training")),
    ]


def release_statements(
    parent: pulumi.Resource,
    bucket: Bucket,
    component_names: Iterable[str],
    thing_group_arns: Iterable[pulumi.Output[str]],
    site_group_arns: Iterable[pulumi.Output[str]],
    package_groups: Iterable[pulumi.Output[str]],
    sign: Statement,
) -> list[Statement]:
    """The release makes versions of the model components and deployments to the model groups.

    To go back it looks up the models in the registry.
    """
    return [
        *_shipping_statements(parent, bucket, component_names, thing_group_arns),
        *_lookup_statements(parent, site_group_arns),
        allow(["sagemaker:DescribeModelPackage"], _model_packages(parent, package_groups)),
        sign,
    ]


def trial_statements(
    parent: pulumi.Resource,
    bucket: Bucket,
    *,
    component_name: str,
    canary_group_arns: Iterable[pulumi.Output[str]],
    site_group_arns: Iterable[pulumi.Output[str]],
    package_groups: Iterable[pulumi.Output[str]],
    workgroup: pulumi.Input[str],
    lake_bucket: pulumi.Input[str],
    sign: Statement,
) -> list[Statement]:
    """A trial ships the challenger to the canary groups, reads what was measured, and settles the approval."""
    groups = list(canary_group_arns)
    results = pulumi.Output.concat("arn:", naming.partition(parent), ":s3:::", lake_bucket, "/athena-results/*")
    return [
        *_shipping_statements(parent, bucket, [component_name], groups),
        *watch_statements(parent, groups, site_group_arns),
        allow(
            ["athena:GetQueryResults"],
            [naming.arn("athena", pulumi.Output.concat("workgroup/", workgroup), parent)],
        ),
        allow(["s3:GetObject"], [results]),
        allow(["sagemaker:UpdateModelPackage"], _model_packages(parent, package_groups)),
        sign,
    ]


def _shipping_statements(
    parent: pulumi.Resource, bucket: Bucket, names: Iterable[str], thing_group_arns: Iterable[pulumi.Output[str]]
) -> list[Statement]:
    """A model becomes a version of a component and a deployment to the groups."""
    components = [naming.arn("greengrass", f"components:{name}", parent) for name in names]
    versions = [pulumi.Output.concat(component, ":versions:*") for component in components]
    return [
        # Of what a training job left, the version that was judged.
        allow(["s3:GetObjectVersion"], bucket.below("training")),
        allow(["s3:GetObject"], bucket.below("models", RELEASES, SITES)),
        allow(["s3:PutObject"], bucket.below("models", RELEASES)),
        # Without it S3 does not say of an object whether it is not there or not allowed (GetObject, S3 API reference).
        allow(["s3:ListBucket"], [bucket.arn]),
        allow(["greengrass:CreateComponentVersion"], [*components, *versions]),
        allow(["greengrass:DescribeComponent"], versions),
        allow(["greengrass:GetDeployment"], [naming.arn("greengrass", "deployments:*", parent)]),
        allow(["greengrass:CreateDeployment", "greengrass:ListDeployments"], ["*"]),
        # A deployment to a thing group is a job of AWS IoT, which Greengrass makes with the caller's rights. Of the
        # "Dependent actions" of CreateDeployment, Service Authorization Reference, iot:UpdateThingShadow and
        # iot:DeleteThingShadow are left out: they are for deployments to a single core device, which nobody makes here.
        allow(
            ["iot:CancelJob", "iot:CreateJob", "iot:UpdateJob"],
            [naming.arn("iot", "job/*", parent), *thing_group_arns],
        ),
    ]


def _lookup_statements(parent: pulumi.Resource, site_group_arns: Iterable[pulumi.Output[str]]) -> list[Statement]:
    """The rights that Greengrass uses of a caller that asks it about deployments.

    Source: "Dependent actions" of AWS IoT Greengrass V2, Service Authorization Reference. The deployments of a core
    device are those of all its groups.
    """
    jobs, things = naming.arn("iot", "job/*", parent), naming.arn("iot", "thing/*", parent)
    return [
        allow(["iot:DescribeJob"], [jobs]),
        allow(["iot:DescribeJobExecution"], [jobs, things]),
        allow(["iot:DescribeThing", "iot:GetThingShadow"], [things]),
        allow(["iot:DescribeThingGroup"], list(site_group_arns)),
    ]


def _model_packages(parent: pulumi.Resource, group_names: Iterable[pulumi.Output[str]]) -> list[pulumi.Output[str]]:
    """The ARNs of all versions in the groups."""
    return [naming.arn("sagemaker", pulumi.Output.concat("model-package/", name, "/*"), parent) for name in group_names]


def watch_statements(
    parent: pulumi.Resource,
    thing_group_arns: Iterable[pulumi.Output[str]],
    site_group_arns: Iterable[pulumi.Output[str]],
) -> list[Statement]:
    """The watch lists the members of the groups and the status of each core device."""
    return [
        allow(["iot:ListThingsInThingGroup"], list(thing_group_arns)),
        allow(["greengrass:ListEffectiveDeployments"], [naming.arn("greengrass", "coreDevices:*", parent)]),
        *_lookup_statements(parent, site_group_arns),
    ]


def training_statements(parent: pulumi.Resource, bucket: Bucket, image_uri: pulumi.Output[str]) -> list[Statement]:
    """A training job reads exports, code and checkpoints, writes output, log and metrics, and fetches its image."""
    return [
        allow(["s3:GetObject"], bucket.below("exports", "training-code", CHECKPOINTS)),
        allow(["s3:PutObject"], bucket.below("training")),
        allow(["s3:ListBucket"], [bucket.arn]),
        allow(
            ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
            [naming.arn("logs", "log-group:/aws/sagemaker/TrainingJobs*", parent)],
        ),
        allow(
            ["cloudwatch:PutMetricData"],
            ["*"],
            {"StringEquals": {"cloudwatch:namespace": "/aws/sagemaker/TrainingJobs"}},
        ),
        allow(["ecr:GetAuthorizationToken"], ["*"]),
        allow(
            ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
            [image_uri.apply(repository_arn)],
        ),
    ]


def export_statements(
    parent: pulumi.Resource,
    bucket: Bucket,
    *,
    lake_bucket: pulumi.Input[str],
    database: pulumi.Input[str],
    workgroup: pulumi.Input[str],
    with_trials: bool = False,
) -> list[Statement]:
    """The state machine's queries read the tables trained on and write the export and the workgroup's results.

    `with_trials` they read what trials are measured by, too.
    """
    lake = pulumi.Output.concat("arn:", naming.partition(parent), ":s3:::", lake_bucket)
    tables = [kind.table for kind in MODEL_KINDS.values()]
    if with_trials:
        trials = [kind.trial for kind in MODEL_KINDS.values() if kind.trial]
        tables += [message.kind for trial in trials for message in (trial.outcome, trial.trial_outcome)]
    glue = [f"table/{{0}}/{table}" for table in tables]
    return [
        allow(
            ["athena:GetQueryExecution", "athena:StartQueryExecution", "athena:StopQueryExecution"],
            [naming.arn("athena", pulumi.Output.concat("workgroup/", workgroup), parent)],
        ),
        # "IAM policies for calling Amazon Athena", AWS Step Functions developer guide. They have
        # lakeformation:GetDataAccess too, for what is registered with Lake Formation: the lake is not.
        allow(["athena:GetDataCatalog"], [naming.arn("athena", "datacatalog/AwsDataCatalog", parent)]),
        allow(
            ["glue:GetDatabase", "glue:GetPartitions", "glue:GetTable"],
            [
                naming.arn("glue", "catalog", parent),
                # "Access policy to the default database and catalog", Amazon Athena user guide.
                naming.arn("glue", "database/default", parent),
                *(naming.arn("glue", pulumi.Output.format(name, database), parent) for name in ("database/{0}", *glue)),
            ],
        ),
        allow(["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"], [lake, bucket.arn]),
        allow(["s3:GetObject"], [pulumi.Output.concat(lake, f"/{table}/*") for table in tables]),
        allow(
            ["s3:AbortMultipartUpload", "s3:GetObject", "s3:ListMultipartUploadParts", "s3:PutObject"],
            [pulumi.Output.concat(lake, "/athena-results/*"), *bucket.below("exports")],
        ),
    ]


def workbench_statements(
    parent: pulumi.Resource,
    bucket: Bucket,
    *,
    lake_bucket: pulumi.Input[str],
    database: pulumi.Input[str],
    workgroup: pulumi.Input[str],
) -> list[Statement]:
    """The rights of the workbench: query the lake, read the results of training, write exports and its log."""
    return [
        *export_statements(
            parent, bucket, lake_bucket=lake_bucket, database=database, workgroup=workgroup, with_trials=True
        ),
        allow(
            ["athena:GetQueryResults", "athena:GetWorkGroup"],
            [naming.arn("athena", pulumi.Output.concat("workgroup/", workgroup), parent)],
        ),
        allow(["s3:GetObject"], bucket.below("models", "training", "training-code")),
        allow(
            ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"],
            [naming.arn("logs", "log-group:/aws/sagemaker/NotebookInstances*", parent)],
        ),
    ]


def workflow_statements(
    parent: pulumi.Resource,
    job_prefix: str,
    training_role_arn: pulumi.Output[str],
    function_arns: Mapping[str, pulumi.Output[str]],
) -> list[Statement]:
    """The state machine calls its functions, runs training jobs and writes its log.

    Source: "IAM policies for integrated services" and "Logging", AWS Step Functions developer guide.
    """
    jobs = [naming.arn("sagemaker", f"training-job/{job_prefix}-{kind}-*", parent) for kind in MODEL_KINDS]
    return [
        allow(["lambda:InvokeFunction"], list(function_arns.values())),
        allow(["sagemaker:CreateTrainingJob", "sagemaker:DescribeTrainingJob", "sagemaker:StopTrainingJob"], jobs),
        # Step Functions tags each job as started by it.
        allow(["sagemaker:AddTags", "sagemaker:ListTags"], jobs),
        allow(
            ["iam:PassRole"],
            [training_role_arn],
            {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
        ),
        allow(
            ["events:DescribeRule", "events:PutRule", "events:PutTargets"],
            [naming.arn("events", "rule/StepFunctionsGetEventsForSageMakerTrainingJobsRule", parent)],
        ),
        allow(
            [
                "logs:CreateLogDelivery",
                "logs:DeleteLogDelivery",
                "logs:DescribeLogGroups",
                "logs:DescribeResourcePolicies",
                "logs:GetLogDelivery",
                "logs:ListLogDeliveries",
                "logs:PutResourcePolicy",
                "logs:UpdateLogDelivery",
            ],
            ["*"],
        ),
    ]


def repository_arn(image_uri: str) -> str:
    """The ARN of the repository that a container image lies in.

    Args:
        image_uri: `ACCOUNT.dkr.ecr.REGION.amazonaws.com/REPOSITORY:TAG`.

    Raises:
        ValueError: if it is no image of Amazon ECR.
    """
    registry, _, path = image_uri.partition("/")
    parts = registry.split(".")
    if len(parts) < 6 or parts[1:3] != ["dkr", "ecr"] or not path:
        raise ValueError(f"image_uri {image_uri!r}, allowed is ACCOUNT.dkr.ecr.REGION.amazonaws.com/REPOSITORY:TAG")
    partition = "aws-cn" if registry.endswith(".cn") else "aws"
    repository = path.split("@")[0].split(":")[0]
    return f"arn:{partition}:ecr:{parts[3]}:{parts[0]}:repository/{repository}"
