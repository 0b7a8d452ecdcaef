"""The settings of `GreengrassSite` and of the host that may play one of its core devices."""

from collections.abc import Mapping, Sequence
from typing import Annotated, TypedDict

import msgspec
import pulumi
from msgspec import Meta

from pm_components.aws.settings import DATA_DIRECTORY, AbsolutePath, InstanceType, Settings
from pm_components.greengrass_site.nuclei import NucleusKind
from pm_contracts.messages import NAME_PATTERN

FlowControl = Annotated[str, Meta(pattern=r"^(aws|none)\Z", description="aws or none")]
Name = Annotated[str, Meta(pattern=NAME_PATTERN, description="1 to 32 of a-z, 0-9 and inner hyphens")]
Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z", description="SHA-256, 64 hexadecimal digits")]
SerialNumber = Annotated[
    str, Meta(pattern=r"^[A-Za-z0-9._:-]{1,64}\Z", description="1 to 64 of letters, digits, '.', '_', ':' and '-'")
]


class NucleusSettings(Settings, frozen=True, kw_only=True):
    """A nucleus, as a site states it."""

    kind: Annotated[str, Meta(pattern=r"^(classic|lite)\Z", description="classic or lite")] = NucleusKind.CLASSIC.value
    """Kind. Known while the program runs."""
    version: Annotated[str, Meta(pattern=r"^\d+\.\d+\.\d+\Z", description="a version as 2.16.1")] | None = None
    """Version; by default the one that this library pins: 2.16.1 of `classic`, 2.6.0 of `lite`. Known while the program
    runs."""


class CoreDeviceSettings(Settings, frozen=True, kw_only=True):
    """A core device's own: a stack has them once for all sites."""

    python: AbsolutePath = "/opt/pm/venv/bin/python"
    """Python interpreter on the core devices, in a virtual environment."""
    data_directory: AbsolutePath = DATA_DIRECTORY
    """Directory on the core devices for outbox, models and identity."""


class CoreDeviceHostSettings(CoreDeviceSettings, frozen=True, kw_only=True):
    """All settings of `CoreDeviceHost`."""

    instance_type: InstanceType = "t3.small"
    """Instance type, of x86_64 and built on the AWS Nitro System."""
    nucleus: NucleusSettings = NucleusSettings()
    """Its nucleus, in the stated version: `classic` on Amazon Linux 2023, or `lite` on Debian 12, which runs no client
    device components."""


class SiteSettings(Settings, frozen=True, kw_only=True):
    """Settings of a single site."""

    canary_devices: list[Name] | None = None
    """Core devices that try new models first; by default the first of `core_devices`. Known while the program runs."""
    client_devices: bool = True
    """Let devices connect to the core devices by MQTT with certificates of their own. It takes AWS's client device
    components, which nucleus lite does not run. Known while the program runs."""
    serial_numbers: dict[Name, SerialNumber] = msgspec.field(default_factory=dict)
    """Serial number of core devices by thing name: these may enrol themselves with a claim certificate. Known while the
    program runs."""
    host_instance_type: InstanceType | None = None
    """Instance type of an EC2 host that plays the first core device, which then needs a serial number; by default none,
    since the plant has hardware of its own. Known while the program runs."""
    host_checksums: dict[str, Sha256] = msgspec.field(default_factory=dict)
    """SHA-256 of what the EC2 host downloads and runs as root, all of it required where there is one: `nucleus`, and
    `provisioning_plugin` with `classic` or `session_manager_agent` with `lite`. Known while the program runs."""
    nucleus: NucleusSettings = NucleusSettings()
    """Nucleus of the core devices; `lite` goes with `client_devices` false. The EC2 host gets it, and the releases of
    AWS's client device components are chosen for it. A version that is stated for `classic` is deployed too
    (`aws.greengrass.Nucleus`): a core device with another one changes to it, and restarts. Without one no deployment
    touches a plant's nucleus, and one that does not take the client device components fails their deployment. Known
    while the program runs."""


class GreengrassSiteSettings(SiteSettings, frozen=True, kw_only=True):
    """All settings of `GreengrassSite`."""

    python: AbsolutePath = CoreDeviceSettings().python
    """Python interpreter on the core devices."""
    data_directory: AbsolutePath = DATA_DIRECTORY
    """Directory on the core devices for outbox, models and identity."""
    flow_control: FlowControl = "aws"
    """`aws`: the uplink keeps to the limits of AWS IoT Core; `none`: as fast as the endpoint acknowledges."""
    configuration: dict[str, str] = msgspec.field(default_factory=dict)
    """A JSON object by component name: merged over what the site sets of that component's configuration. Components
    known while the program runs."""


class NucleusArgs(TypedDict, total=False):
    """A nucleus, as a site states it."""

    kind: pulumi.Input[NucleusKind]
    version: pulumi.Input[str]


class CoreDeviceArgs(TypedDict, total=False):
    """`CoreDeviceSettings` as arguments."""

    python: pulumi.Input[str]
    data_directory: pulumi.Input[str]


class CoreDeviceHostSettingsArgs(CoreDeviceArgs, total=False):
    """`CoreDeviceHostSettings` as arguments."""

    instance_type: pulumi.Input[str]
    nucleus: pulumi.Input[NucleusArgs]


class GreengrassSiteSettingsArgs(CoreDeviceArgs, total=False):
    """`GreengrassSiteSettings` as arguments."""

    canary_devices: pulumi.Input[Sequence[pulumi.Input[str]]]
    client_devices: pulumi.Input[bool]
    serial_numbers: pulumi.Input[Mapping[str, pulumi.Input[str]]]
    host_instance_type: pulumi.Input[str]
    host_checksums: pulumi.Input[Mapping[str, pulumi.Input[str]]]
    nucleus: pulumi.Input[NucleusArgs]
    flow_control: pulumi.Input[str]
    configuration: pulumi.Input[Mapping[str, pulumi.Input[str]]]
