"""IAM roles and policies."""

from typing import Any

from pm_sandbox.provider.changes import changed, tags_of, update_tags
from pm_sandbox.provider.inputs import Inputs, json_text, tag_list, told
from pm_sandbox.provider.registry import ON_DELETION, Context, Made, deletes, handles, puts, reads, updates

#: Versions that IAM keeps of a managed policy: IAM and AWS STS quotas.
_POLICY_VERSIONS = 5
#: Seconds; the default of CreateRole, and of the real provider.
_SESSION_DURATION = 3600


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
    for policy_name, document in _inline(inputs).items():
        client.put_role_policy(RoleName=name, PolicyName=policy_name, PolicyDocument=document)
    for arn in inputs.get("managedPolicyArns", []):
        client.attach_role_policy(RoleName=name, PolicyArn=arn)
    return name, {"arn": made["Arn"], "uniqueId": made["RoleId"]}


@reads("aws:iam/role:Role")
def read_role(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any]:
    """A role; its policies as far as the program says them with the role."""
    client = context.client("iam")
    found = client.get_role(RoleName=id_)["Role"]
    answer = {
        "name": id_,
        **told(
            found,
            assumeRolePolicy="AssumeRolePolicyDocument",
            description="Description",
            maxSessionDuration="MaxSessionDuration",
            path="Path",
        ),
        "permissionsBoundary": found.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn"),
        "tags": tags_of(found.get("Tags")),
    }
    answer["assumeRolePolicy"] = json_text(answer["assumeRolePolicy"])
    if "inlinePolicies" in state:
        answer["inlinePolicies"] = [
            {"name": name, "policy": json_text(client.get_role_policy(RoleName=id_, PolicyName=name)["PolicyDocument"])}
            for name in client.list_role_policies(RoleName=id_)["PolicyNames"]
        ]
    if "managedPolicyArns" in state:
        answer["managedPolicyArns"] = _attached(client, id_)
    return answer


@updates("aws:iam/role:Role")
def update_role(id_: str, olds: dict[str, Any], news: Inputs, context: Context) -> dict[str, Any]:
    """Update a role's settings, each by a call of its own, and its policies."""
    client = context.client("iam")
    if changed(olds, news, "assumeRolePolicy"):
        document = json_text(news.need("assumeRolePolicy"))
        client.update_assume_role_policy(RoleName=id_, PolicyDocument=document)
    if changed(olds, news, "description", "maxSessionDuration"):
        client.update_role(
            RoleName=id_,
            Description=news.get("description", ""),
            MaxSessionDuration=news.get("maxSessionDuration", _SESSION_DURATION),
        )
    if changed(olds, news, "permissionsBoundary"):
        if boundary := news.get("permissionsBoundary"):
            client.put_role_permissions_boundary(RoleName=id_, PermissionsBoundary=boundary)
        else:
            client.delete_role_permissions_boundary(RoleName=id_)
    if changed(olds, news, "inlinePolicies"):
        old, new = _inline(Inputs(olds)), _inline(news)
        for name in sorted(old.keys() - new.keys()):
            client.delete_role_policy(RoleName=id_, PolicyName=name)
        for name, document in new.items():
            client.put_role_policy(RoleName=id_, PolicyName=name, PolicyDocument=document)
    if changed(olds, news, "managedPolicyArns"):
        had, has = set(olds.get("managedPolicyArns", [])), set(news.get("managedPolicyArns", []))
        for arn in sorted(had - has):
            client.detach_role_policy(RoleName=id_, PolicyArn=arn)
        for arn in sorted(has - had):
            client.attach_role_policy(RoleName=id_, PolicyArn=arn)
    update_tags(olds, news, client.untag_role, client.tag_role, RoleName=id_)
    return {}


@deletes("aws:iam/role:Role")
def delete_role(id_: str, state: dict[str, Any], context: Context) -> None:
    """A role, out of its instance profiles and with the policies that are its own; IAM refuses one that has others."""
    client = context.client("iam")
    for profile in client.list_instance_profiles_for_role(RoleName=id_)["InstanceProfiles"]:
        client.remove_role_from_instance_profile(InstanceProfileName=profile["InstanceProfileName"], RoleName=id_)
    if state.get("forceDetachPolicies") or "managedPolicyArns" in state:
        for arn in _attached(client, id_):
            client.detach_role_policy(RoleName=id_, PolicyArn=arn)
    if state.get("forceDetachPolicies") or "inlinePolicies" in state:
        for name in client.list_role_policies(RoleName=id_)["PolicyNames"]:
            client.delete_role_policy(RoleName=id_, PolicyName=name)
    client.delete_role(RoleName=id_)


def _inline(inputs: Inputs) -> dict[str, str]:
    return {block.need("name"): json_text(block.need("policy")) for block in inputs.blocks("inlinePolicies")}


def _attached(client: Any, name: str) -> list[str]:
    pages = client.get_paginator("list_attached_role_policies").paginate(RoleName=name)
    return [found["PolicyArn"] for page in pages for found in page["AttachedPolicies"]]


@puts("aws:iam/rolePolicy:RolePolicy")
def role_policy(inputs: Inputs, context: Context) -> Made:
    """An inline policy of a role."""
    role_name, name = inputs.need("role"), inputs.need("name")
    document = json_text(inputs.need("policy"))
    context.client("iam").put_role_policy(RoleName=role_name, PolicyName=name, PolicyDocument=document)
    return f"{role_name}:{name}", {}


@reads("aws:iam/rolePolicy:RolePolicy")
def read_role_policy(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any]:
    """An inline policy of a role."""
    role_name, _, name = id_.partition(":")
    found = context.client("iam").get_role_policy(RoleName=role_name, PolicyName=name)
    return {"role": role_name, "name": name, "policy": json_text(found["PolicyDocument"])}


@deletes("aws:iam/rolePolicy:RolePolicy")
def delete_role_policy(id_: str, state: dict[str, Any], context: Context) -> None:
    """An inline policy; its role stays."""
    role_name, _, name = id_.partition(":")
    context.client("iam").delete_role_policy(RoleName=role_name, PolicyName=name)


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


@reads("aws:iam/policy:Policy")
def read_policy(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any]:
    """A managed policy in its default version."""
    client = context.client("iam")
    found = client.get_policy(PolicyArn=id_)["Policy"]
    version = client.get_policy_version(PolicyArn=id_, VersionId=found["DefaultVersionId"])["PolicyVersion"]
    return {
        **told(found, name="PolicyName", description="Description", path="Path"),
        "policy": json_text(version["Document"]),
        "tags": tags_of(client.list_policy_tags(PolicyArn=id_)["Tags"]),
    }


@updates("aws:iam/policy:Policy")
def update_policy(id_: str, olds: dict[str, Any], news: Inputs, context: Context) -> dict[str, Any]:
    """A new version as the default one, for which the oldest goes where there are as many as may be; and tags."""
    client = context.client("iam")
    if changed(olds, news, "policy"):
        versions = client.list_policy_versions(PolicyArn=id_)["Versions"]
        if len(versions) >= _POLICY_VERSIONS:
            others = [version["VersionId"] for version in versions if not version["IsDefaultVersion"]]
            oldest = min(others, key=lambda version: int(version[1:]))
            client.delete_policy_version(PolicyArn=id_, VersionId=oldest)
        document = json_text(news.need("policy"))
        client.create_policy_version(PolicyArn=id_, PolicyDocument=document, SetAsDefault=True)
    update_tags(olds, news, client.untag_policy, client.tag_policy, PolicyArn=id_)
    return {}


@deletes("aws:iam/policy:Policy")
def delete_policy(id_: str, state: dict[str, Any], context: Context) -> None:
    """A managed policy with its versions, unless it is attached to something."""
    client = context.client("iam")
    for version in client.list_policy_versions(PolicyArn=id_)["Versions"]:
        if not version["IsDefaultVersion"]:
            client.delete_policy_version(PolicyArn=id_, VersionId=version["VersionId"])
    client.delete_policy(PolicyArn=id_)


@handles("aws:iam/rolePolicyAttachment:RolePolicyAttachment")
def role_policy_attachment(inputs: Inputs, context: Context) -> Made:
    """A managed policy on a role."""
    role_name, arn = inputs.need("role"), inputs.need("policyArn")
    context.client("iam").attach_role_policy(RoleName=role_name, PolicyArn=arn)
    return f"{role_name}/{arn}", {}


@reads("aws:iam/rolePolicyAttachment:RolePolicyAttachment")
def read_role_policy_attachment(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any] | None:
    """An attachment, if it is."""
    role_name, arn = state["role"], state["policyArn"]
    return {"role": role_name, "policyArn": arn} if arn in _attached(context.client("iam"), role_name) else None


@deletes("aws:iam/rolePolicyAttachment:RolePolicyAttachment")
def delete_role_policy_attachment(id_: str, state: dict[str, Any], context: Context) -> None:
    """An attachment; role and policy stay."""
    context.client("iam").detach_role_policy(RoleName=state["role"], PolicyArn=state["policyArn"])


@handles("aws:iam/instanceProfile:InstanceProfile")
def instance_profile(inputs: Inputs, context: Context) -> Made:
    """An instance profile, which gives a role to an instance."""
    client, name = context.client("iam"), inputs.need("name")
    made = client.create_instance_profile(InstanceProfileName=name, Tags=tag_list(inputs))["InstanceProfile"]
    client.add_role_to_instance_profile(InstanceProfileName=name, RoleName=inputs.need("role"))
    return name, {"arn": made["Arn"], "uniqueId": made["InstanceProfileId"]}


@reads("aws:iam/instanceProfile:InstanceProfile")
def read_instance_profile(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any]:
    """An instance profile and its role."""
    client = context.client("iam")
    found = client.get_instance_profile(InstanceProfileName=id_)["InstanceProfile"]
    roles = [one["RoleName"] for one in found["Roles"]]
    tags = tags_of(client.list_instance_profile_tags(InstanceProfileName=id_)["Tags"])
    return {"name": id_, "role": roles[0] if roles else None, "tags": tags}


@updates("aws:iam/instanceProfile:InstanceProfile")
def update_instance_profile(id_: str, olds: dict[str, Any], news: Inputs, context: Context) -> dict[str, Any]:
    """Another role in the place of the one before, of which a profile has one; and tags."""
    client = context.client("iam")
    if changed(olds, news, "role"):
        if olds.get("role"):
            client.remove_role_from_instance_profile(InstanceProfileName=id_, RoleName=olds["role"])
        client.add_role_to_instance_profile(InstanceProfileName=id_, RoleName=news.need("role"))
    update_tags(olds, news, client.untag_instance_profile, client.tag_instance_profile, InstanceProfileName=id_)
    return {}


@deletes("aws:iam/instanceProfile:InstanceProfile")
def delete_instance_profile(id_: str, state: dict[str, Any], context: Context) -> None:
    """An instance profile, once its role is out of it."""
    client = context.client("iam")
    for one in client.get_instance_profile(InstanceProfileName=id_)["InstanceProfile"]["Roles"]:
        client.remove_role_from_instance_profile(InstanceProfileName=id_, RoleName=one["RoleName"])
    client.delete_instance_profile(InstanceProfileName=id_)
