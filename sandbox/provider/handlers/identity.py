"""IAM roles and policies."""

from sandbox.provider.inputs import Inputs, json_text, tag_list
from sandbox.provider.registry import ON_DELETION, Context, Made, handles


@handles("aws:iam/role:Role", forceDetachPolicies=ON_DELETION)
def role(inputs: Inputs, context: Context) -> Made:
    """A role with its trust, inline and managed policies."""
    client, name = context.client("iam"), inputs.need("name")
    made = client.create_role(
        RoleName=name,
        AssumeRolePolicyDocument=json_text(inputs.need("assumeRolePolicy")),
        Tags=tag_list(inputs),
        **inputs.renamed(
            description="Description",
            maxSessionDuration="MaxSessionDuration",
            path="Path",
            permissionsBoundary="PermissionsBoundary",
        ),
    )["Role"]
    for policy in inputs.blocks("inlinePolicies"):
        client.put_role_policy(
            RoleName=name, PolicyName=policy.need("name"), PolicyDocument=json_text(policy.need("policy"))
        )
    for arn in inputs.get("managedPolicyArns", []):
        client.attach_role_policy(RoleName=name, PolicyArn=arn)
    return name, {"arn": made["Arn"], "uniqueId": made["RoleId"]}


@handles("aws:iam/rolePolicy:RolePolicy")
def role_policy(inputs: Inputs, context: Context) -> Made:
    """An inline policy of a role."""
    role_name, name = inputs.need("role"), inputs.need("name")
    document = json_text(inputs.need("policy"))
    context.client("iam").put_role_policy(RoleName=role_name, PolicyName=name, PolicyDocument=document)
    return f"{role_name}:{name}", {}


@handles("aws:iam/policy:Policy")
def policy(inputs: Inputs, context: Context) -> Made:
    """A managed policy of the account."""
    made = context.client("iam").create_policy(
        PolicyName=inputs.need("name"),
        PolicyDocument=json_text(inputs.need("policy")),
        Tags=tag_list(inputs),
        **inputs.renamed(description="Description", path="Path"),
    )["Policy"]
    return made["Arn"], {"arn": made["Arn"], "policyId": made["PolicyId"]}


@handles("aws:iam/rolePolicyAttachment:RolePolicyAttachment")
def role_policy_attachment(inputs: Inputs, context: Context) -> Made:
    """A managed policy on a role."""
    role_name, arn = inputs.need("role"), inputs.need("policyArn")
    context.client("iam").attach_role_policy(RoleName=role_name, PolicyArn=arn)
    return f"{role_name}/{arn}", {}


@handles("aws:iam/instanceProfile:InstanceProfile")
def instance_profile(inputs: Inputs, context: Context) -> Made:
    """What gives a role to an instance."""
    client, name = context.client("iam"), inputs.need("name")
    made = client.create_instance_profile(InstanceProfileName=name, Tags=tag_list(inputs))["InstanceProfile"]
    client.add_role_to_instance_profile(InstanceProfileName=name, RoleName=inputs.need("role"))
    return name, {"arn": made["Arn"], "uniqueId": made["InstanceProfileId"]}
