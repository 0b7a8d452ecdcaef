"""A deployment with the agent of SageMaker Edge Manager."""

from pulumi_aws_native import greengrassv2

greengrassv2.Deployment(
    "deployment",
    target_arn="arn:aws:iot:eu-central-1:123456789012:thinggroup/hall",
    components={"aws.greengrass.SageMakerEdgeManager": {"component_version": "1.3.6"}},
)
