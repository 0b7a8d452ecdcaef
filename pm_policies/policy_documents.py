"""The places of policy documents in resources."""

#: Inputs with a policy of what its holder may do, by type. IoT policies are written as IAM's are.
POLICY_KEYS = {
    "aws:iam/rolePolicy:RolePolicy": ("policy",),
    "aws:iam/policy:Policy": ("policy",),
    "aws:iam/userPolicy:UserPolicy": ("policy",),
    "aws:iam/groupPolicy:GroupPolicy": ("policy",),
    "aws:iot/policy:Policy": ("policy",),
}

#: Inputs with a policy of who may do something with the resource, by type.
RESOURCE_POLICY_KEYS = {
    "aws:s3/bucketPolicy:BucketPolicy": ("policy",),
    "aws:sqs/queue:Queue": ("policy",),
    "aws:sqs/queuePolicy:QueuePolicy": ("policy",),
    "aws:sns/topic:Topic": ("policy",),
    "aws:sns/topicPolicy:TopicPolicy": ("policy",),
    "aws:kms/key:Key": ("policy",),
    "aws:iam/role:Role": ("assumeRolePolicy",),
    "aws:dynamodb/resourcePolicy:ResourcePolicy": ("policy",),
}
