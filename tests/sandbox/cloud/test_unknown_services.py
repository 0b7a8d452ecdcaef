"""A call to a service that nobody serves says so. Not proved: that the answer comes quickly."""

import pytest
from botocore.exceptions import ClientError

from pm_sandbox.cloud import Cloud


def test_a_service_that_nobody_serves_is_not_taken_for_a_bucket(cloud: Cloud) -> None:
    with pytest.raises(ClientError) as refused:
        cloud.client("glacier").list_vaults()
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert "NoSuchBucket" not in str(refused.value)


def test_a_service_of_an_extension_is_served(cloud: Cloud) -> None:
    assert "components" in cloud.client("greengrassv2").list_components()
