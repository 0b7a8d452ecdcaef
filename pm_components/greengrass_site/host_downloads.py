"""The downloads of a core device's host that come from no signed repository: all run as root. Pure: names in, URLs out.

Their vendors publish no checksum beside them, so whoever runs the stack states what they are to be, once for all
instances (docs/environments.md says how); an instance runs none that is another.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

from pm_components.greengrass_site.nuclei import Nucleus, NucleusKind

#: The host of the releases of the classic nucleus and its plugins: AWS's own Dockerfile fetches from it, in
#: https://github.com/aws-greengrass/aws-greengrass-docker.
_RELEASES = "https://d2s8p88vqu9w66.cloudfront.net/releases"
_PLUGIN_VERSION = "1.2.1"
#: An image of Debian has no agent of Session Manager, nor has its repository: "Manually installing SSM Agent on Debian
#: Server instances", AWS Systems Manager user guide.
_AGENT_VERSION = "3.3.3270.0"
_SHA256 = re.compile(r"[0-9a-f]{64}")


class Download(NamedTuple):
    """A file of one version."""

    url: str
    sha256: str


def checked_downloads(nucleus: Nucleus, checksums: Mapping[str, str], key: str) -> dict[str, Download]:
    """The downloads of a host, by name.

    Args:
        nucleus: the nucleus that it is to have.
        checksums: SHA-256 of each, by name.
        key: the argument that they come from, as `CoreDeviceHost.checksums`.

    Raises:
        ValueError: if one has no checksum, or there is a checksum of none; the text names the URLs.
    """
    urls = _urls(nucleus)
    if checksums.keys() != urls.keys():
        raise ValueError(
            f"{key}: found {', '.join(sorted(checksums)) or 'none'}, needed are those of {', '.join(sorted(urls))}: an "
            f"instance runs them as root, and only if they are what you state. The SHA-256 of "
            f"{', '.join(f'{name} is that of {urls[name]}' for name in sorted(urls))}"
        )
    for name, checksum in checksums.items():
        if not _SHA256.fullmatch(checksum):
            raise ValueError(f"{key}.{name}: found {checksum!r}, allowed is a SHA-256: 64 hexadecimal digits")
    return {name: Download(url, checksums[name]) for name, url in urls.items()}


def _urls(nucleus: Nucleus) -> dict[str, str]:
    if nucleus.kind is NucleusKind.CLASSIC:
        return {
            "nucleus": f"{_RELEASES}/greengrass-{nucleus.version}.zip",
            "provisioning_plugin": (
                f"{_RELEASES}/aws-greengrass-FleetProvisioningByClaim/fleetprovisioningbyclaim-{_PLUGIN_VERSION}.jar"
            ),
        }
    return {
        "nucleus": (
            f"https://github.com/aws-greengrass/aws-greengrass-lite/releases/download/v{nucleus.version}/"
            "aws-greengrass-lite-deb-x86-64.zip"
        ),
        "session_manager_agent": (
            "https://s3.amazonaws.com/ec2-downloads-windows/SSMAgent/"
            f"{_AGENT_VERSION}/debian_amd64/amazon-ssm-agent.deb"
        ),
    }
