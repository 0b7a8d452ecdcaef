"""A role with a policy of AWS that allows everything."""

import pulumi_aws as aws

aws.iam.RolePolicyAttachment("all", role="delivery", policy_arn="arn:aws:iam::aws:policy/AdministratorAccess")
