"""SageMaker."""

from tests.sandbox.provider.lives.lab import OTHER_TAGS, TAGS, Lab, Life, allow, life

_LIFE_CYCLE = "aws:sagemaker/notebookInstanceLifecycleConfiguration:NotebookInstanceLifecycleConfiguration"


@life("aws:sagemaker/modelPackageGroup:ModelPackageGroup")
def _model_group(lab: Lab) -> Life:
    return Life(
        {"modelPackageGroupName": lab.name(), "modelPackageGroupDescription": "a", "tags": TAGS}, {"tags": OTHER_TAGS}
    )


@life(_LIFE_CYCLE)
def _notebook_life_cycle(lab: Lab) -> Life:
    return Life({"name": lab.name(), "onStart": "YQ==", "tags": TAGS}, {"onStart": "Yg==", "tags": OTHER_TAGS})


@life("aws:sagemaker/notebookInstance:NotebookInstance")
def _notebook(lab: Lab) -> Life:
    one, other = (lab.make(_LIFE_CYCLE, name=lab.name(), onStart="YQ==").id for _ in range(2))
    trust = allow("sts:AssumeRole", Principal={"Service": "sagemaker.amazonaws.com"})
    roles = [lab.make("aws:iam/role:Role", name=lab.name(), assumeRolePolicy=trust).outputs["arn"] for _ in range(2)]
    return Life(
        {
            "name": lab.name(),
            "roleArn": roles[0],
            "instanceType": "ml.t3.medium",
            "volumeSize": 5,
            "kmsKeyId": lab.key,
            "platformIdentifier": "notebook-al2023-v1",
            "lifecycleConfigName": one,
            "rootAccess": "Disabled",
            "directInternetAccess": "Disabled",
            "subnetId": "subnet-1",
            "securityGroups": ["sg-1"],
            "instanceMetadataServiceConfiguration": {"minimumInstanceMetadataServiceVersion": "1"},
            "tags": TAGS,
        },
        {
            "roleArn": roles[1],
            "instanceType": "ml.t3.large",
            "volumeSize": 6,
            "lifecycleConfigName": other,
            "rootAccess": "Enabled",
            "instanceMetadataServiceConfiguration": {"minimumInstanceMetadataServiceVersion": "2"},
            "tags": OTHER_TAGS,
        },
    )
