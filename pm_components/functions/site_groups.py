"""The thing groups of the sites that functions serve, as the content of an object in the artifact bucket.

An object, since a function's environment (4 KB) has room for some forty sites, and since a site that comes or goes
changes no function then. It is read at each call, so that a trial ends without a site that has gone.
"""

from collections.abc import Mapping
from typing import Any

import msgspec


class SiteGroups(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Names of the thing groups of a site's core devices, by who owns their deployments."""

    code: str
    """Has the components; the site's own."""
    model: str
    """Takes models; the release's."""
    canary: str
    """Takes models on trial; the trial's."""


def content(sites: Mapping[str, SiteGroups]) -> bytes:
    """The object's content: the groups by site."""
    return msgspec.json.format(msgspec.json.encode(sites, order="sorted"), indent=1) + b"\n"


def read(s3: Any, bucket: str, key: str) -> dict[str, SiteGroups]:
    """The groups by site.

    Args:
        s3: a boto3 client of S3.
        bucket: the artifact bucket.
        key: the object's.
    """
    return msgspec.json.decode(s3.get_object(Bucket=bucket, Key=key)["Body"].read(), type=dict[str, SiteGroups])
