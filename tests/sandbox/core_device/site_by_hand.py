"""A site in the emulated cloud, made without the program: for the tests of a core device."""

import io
import json
import zipfile
from typing import Any

from pm_sandbox.cloud import Cloud

SITE = "gera"
THING = "gera-core"
CANARY = "gera-core-2"
BUCKET = "gera-artifacts"


class Site:
    """A site in the cloud, made by hand, and what a test asks of it."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        iot, iam = cloud.client("iot"), cloud.client("iam")
        things = f"arn:aws:iot:{cloud.region}:{cloud.account_id}"
        self.groups = {}
        for group in (SITE, f"{SITE}-model", f"{SITE}-canary"):
            self.groups[group] = iot.create_thing_group(thingGroupName=group)["thingGroupArn"]
        for thing in (THING, CANARY):
            iot.create_thing(thingName=thing)
            iot.add_thing_to_thing_group(thingName=thing, thingGroupName=SITE)
        iot.add_thing_to_thing_group(thingName=THING, thingGroupName=f"{SITE}-model")
        iot.add_thing_to_thing_group(thingName=CANARY, thingGroupName=f"{SITE}-canary")
        own = "$aws/things/${iot:Connection.Thing.ThingName}/jobs"
        statements = [
            ("iot:Connect", [f"{things}:client/${{iot:Connection.Thing.ThingName}}"]),
            ("iot:Publish", [f"{things}:topic/{own}/*"]),
            ("iot:Receive", [f"{things}:topic/{own}/*"]),
            ("iot:Subscribe", [f"{things}:topicfilter/{own}/*"]),
        ]
        document = [{"Effect": "Allow", "Action": action, "Resource": resources} for action, resources in statements]
        policy = json.dumps({"Version": "2012-10-17", "Statement": document})
        iot.create_policy(policyName=f"{SITE}-device", policyDocument=policy)
        trust = {
            "Effect": "Allow",
            "Principal": {"Service": "credentials.iot.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
        role = iam.create_role(
            RoleName=f"{SITE}-exchange",
            AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
        )["Role"]["Arn"]
        allowed = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{BUCKET}/components/*"}
        iam.put_role_policy(
            RoleName=f"{SITE}-exchange",
            PolicyName="artifacts",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allowed]}),
        )
        cloud.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": cloud.region})
        self.output = {"device_policy": f"{SITE}-device", "token_exchange_role_arn": role}

    def component(
        self,
        name: str,
        version: str,
        lifecycle: dict[str, Any],
        files: dict[str, str] | None = None,
        configuration: dict[str, Any] | None = None,
        folder: str = "components",
    ) -> None:
        """Publish a component version, with an artifact `payload.zip` where it has files."""
        manifest: dict[str, Any] = {"Platform": {"os": "linux", "runtime": "*"}, "Lifecycle": lifecycle}
        if files is not None:
            buffer = io.BytesIO()
            with zipfile.ZipFile(buffer, "w") as archive:
                for path, content in files.items():
                    archive.writestr(path, content)
            key = f"{folder}/{name}/{version}/payload.zip"
            self.cloud.client("s3").put_object(Bucket=BUCKET, Key=key, Body=buffer.getvalue())
            manifest["Artifacts"] = [{"Uri": f"s3://{BUCKET}/{key}", "Unarchive": "ZIP"}]
        recipe = {
            "RecipeFormatVersion": "2020-01-25",
            "ComponentName": name,
            "ComponentVersion": version,
            "ComponentConfiguration": {"DefaultConfiguration": configuration or {}},
            "Manifests": [manifest],
        }
        self.cloud.client("greengrassv2").create_component_version(inlineRecipe=json.dumps(recipe).encode())

    def deploy(self, components: dict[str, dict[str, Any]], group: str = SITE, on_failure: str = "ROLLBACK") -> str:
        """Deploy to a thing group; returns the deployment's id."""
        answer = self.cloud.client("greengrassv2").create_deployment(
            targetArn=self.groups[group],
            deploymentName=f"to {group}",
            components=components,
            deploymentPolicies={"failureHandlingPolicy": on_failure},
        )
        deployment_id: str = answer["deploymentId"]
        return deployment_id

    def effective(self, deployment_id: str) -> dict[str, Any]:
        """The cloud's view of a deployment on the device."""
        found = self.cloud.client("greengrassv2").list_effective_deployments(coreDeviceThingName=THING)
        each: dict[str, Any] = next(e for e in found["effectiveDeployments"] if e["deploymentId"] == deployment_id)
        return each
