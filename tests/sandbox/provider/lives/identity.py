"""IAM."""

from tests.sandbox.provider.lives.lab import OTHER_TAGS, TAGS, Lab, Life, allow, life


@life("aws:iam/role:Role")
def _role(lab: Lab) -> Life:
    def trust(service: str) -> str:
        return allow("sts:AssumeRole", Principal={"Service": f"{service}.amazonaws.com"})

    def inline(action: str) -> list[dict[str, str]]:
        return [{"name": action.replace(":", "-"), "policy": allow(action, Resource="*")}]

    one, other = (
        lab.make("aws:iam/policy:Policy", name=lab.name(), policy=allow("s3:GetObject", Resource="*")).id
        for _ in range(2)
    )
    return Life(
        {
            "name": lab.name(),
            "assumeRolePolicy": trust("lambda"),
            "description": "a",
            "maxSessionDuration": 3600,
            "permissionsBoundary": one,
            "inlinePolicies": inline("s3:GetObject"),
            "managedPolicyArns": [one],
            "forceDetachPolicies": False,
            "tags": TAGS,
        },
        {
            "assumeRolePolicy": trust("states"),
            "description": "b",
            "maxSessionDuration": 7200,
            "permissionsBoundary": None,
            "inlinePolicies": inline("s3:PutObject"),
            "managedPolicyArns": [other],
            "forceDetachPolicies": True,
            "tags": OTHER_TAGS,
        },
        frozenset({"forceDetachPolicies"}),
    )


@life("aws:iam/rolePolicy:RolePolicy")
def _role_policy(lab: Lab) -> Life:
    role = lab.role.rsplit("/", 1)[-1]
    return Life(
        {"role": role, "name": lab.name(), "policy": allow("s3:GetObject", Resource="*")},
        {"policy": allow("s3:PutObject", Resource="*")},
    )


@life("aws:iam/policy:Policy")
def _policy(lab: Lab) -> Life:
    return Life(
        {"name": lab.name(), "description": "a", "policy": allow("s3:GetObject", Resource="*"), "tags": TAGS},
        {"policy": allow("s3:PutObject", Resource="*"), "tags": OTHER_TAGS},
    )


@life("aws:iam/rolePolicyAttachment:RolePolicyAttachment")
def _attachment(lab: Lab) -> Life:
    policy = lab.make("aws:iam/policy:Policy", name=lab.name(), policy=allow("s3:GetObject", Resource="*")).id
    return Life({"role": lab.role.rsplit("/", 1)[-1], "policyArn": policy})


@life("aws:iam/instanceProfile:InstanceProfile")
def _profile(lab: Lab) -> Life:
    trust = allow("sts:AssumeRole", Principal={"Service": "ec2.amazonaws.com"})
    one, other = (lab.make("aws:iam/role:Role", name=lab.name(), assumeRolePolicy=trust).id for _ in range(2))
    return Life({"name": lab.name(), "role": one, "tags": TAGS}, {"role": other, "tags": OTHER_TAGS})
