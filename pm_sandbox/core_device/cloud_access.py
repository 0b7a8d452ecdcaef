"""A nucleus's requests to the cloud over HTTPS: credentials for its role, recipes, versions and artifacts.

All of it goes through the device's uplink, so that it fails as on a plant floor when that is cut.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pm_sandbox.core_device.deployments import DeploymentError
from pm_sandbox.surroundings import aws_client

_Result = TypeVar("_Result")


class Offline(RuntimeError):
    """The cloud cannot be reached now; another try later may succeed."""


@dataclass(frozen=True)
class CloudAccess:
    """The way to the cloud.

    Attributes:
        endpoint: URL of the AWS APIs, through the uplink.
        operator: Environment variables of the AWS SDK that read recipes and assume the role. A real nucleus shows its
            certificate for both, to the Greengrass data plane and to the credentials provider that knows role aliases;
            the emulated cloud has neither.
        account_id: The AWS account.
        thing_name: The core device.
        role_arn: The device's token-exchange role.
    """

    endpoint: str
    operator: Mapping[str, str]
    account_id: str
    thing_name: str
    role_arn: str

    def s3(self) -> Any:
        """A boto3 client of S3 with fresh credentials of the device's role.

        Raises:
            Offline: if the cloud cannot be reached.
            DeploymentError: if it refuses them.
        """
        sts = self._operator_client("sts")
        answer = self._reaching(lambda: sts.assume_role(RoleArn=self.role_arn, RoleSessionName=self.thing_name))
        credentials = answer["Credentials"]
        return self._client(
            "s3", credentials["AccessKeyId"], credentials["SecretAccessKey"], credentials["SessionToken"]
        )

    def recipe(self, name: str, version: str) -> dict[str, Any]:
        """The recipe of a component version.

        Raises:
            Offline: if the cloud cannot be reached.
            DeploymentError: if there is no such version.
        """
        arn = f"{self._component_arn(name)}:versions:{version}"
        answer = self._greengrass(lambda client: client.get_component(arn=arn, recipeOutputFormat="JSON"))
        recipe: dict[str, Any] = json.loads(answer["recipe"])
        return recipe

    def versions(self, name: str) -> list[str]:
        """The versions of a component that there are.

        Raises:
            Offline: if the cloud cannot be reached.
            DeploymentError: if there is no such component.
        """
        arn = self._component_arn(name)

        def ask(client: Any) -> list[str]:
            pages = client.get_paginator("list_component_versions").paginate(arn=arn)
            return [each["componentVersion"] for page in pages for each in page["componentVersions"]]

        return self._greengrass(ask)

    def download(self, fetch: Callable[[Any], None]) -> None:
        """Call `fetch` with `s3()`; a lost connection within becomes `Offline`."""
        self._reaching(lambda: fetch(self.s3()))

    def _component_arn(self, name: str) -> str:
        return f"arn:aws:greengrass:{self.operator['AWS_REGION']}:{self.account_id}:components:{name}"

    def _greengrass(self, ask: Callable[[Any], _Result]) -> _Result:
        client = self._operator_client("greengrassv2")
        return self._reaching(lambda: ask(client))

    def _operator_client(self, service: str) -> Any:
        return self._client(service, self.operator["AWS_ACCESS_KEY_ID"], self.operator["AWS_SECRET_ACCESS_KEY"], None)

    def _client(self, service: str, key: str, secret: str, token: str | None) -> Any:
        return aws_client(
            service,
            endpoint=self.endpoint,
            region=self.operator["AWS_REGION"],
            key=key,
            secret=secret,
            token=token,
            retries={"total_max_attempts": 2},
            connect_timeout=5,
        )

    @staticmethod
    def _reaching(ask: Callable[[], _Result]) -> _Result:
        from botocore.exceptions import ClientError, ConnectionError, HTTPClientError, IncompleteReadError

        try:
            return ask()
        except (ConnectionError, HTTPClientError, IncompleteReadError) as error:
            raise Offline(str(error)) from error
        except ClientError as error:
            raise DeploymentError(str(error)) from error
