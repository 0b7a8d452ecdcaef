"""A development stack that trains on a machine with a GPU."""

import json

import pulumi_aws as aws

train = {
    "Type": "Task",
    "Resource": "arn:aws:states:::sagemaker:createTrainingJob.sync",
    "Parameters": {
        "ResourceConfig": {"InstanceType": "ml.p3.2xlarge", "InstanceCount": 1, "VolumeSizeInGB": 10},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
    },
    "End": True,
}
aws.sfn.StateMachine(
    "training",
    name="training",
    role_arn="arn:aws:iam::123456789012:role/training",
    definition=json.dumps({"StartAt": "Train", "States": {"Train": train}}),
)
