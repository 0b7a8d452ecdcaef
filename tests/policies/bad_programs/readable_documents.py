"""A role with a policy that has a comma too many."""

import pulumi_aws as aws

statement = '{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::pm-dev-lake/*"},'
aws.iam.RolePolicy(
    "reads", name="reads", role="delivery", policy=f'{{"Version": "2012-10-17", "Statement": [{statement}]}}'
)
