"""Extensions of the emulator, one module a gap. Each has `install()`, which changes the emulator in the launcher."""

import importlib

MODULES: tuple[str, ...] = (
    "transport",
    "schedules",
    "broker",
    "fleet_provisioning",
    "firehose",
    "rules",
    "athena",
    "lambda_sources",
    "lambda_imports",
    "state_paths",
    "step_functions",
    "role_aliases",
    "greengrass",
    "cloud_control",
    "device_endpoint",
    "tagging",
    "sagemaker",
    "polly",
    "mail",
    "keys",
    "asymmetric_keys",
    "refused_deletions",
    "alarms",
    "queue_attributes",
    "thing_groups",
    "scaling_groups",
    "scopes",
)


def install_all() -> None:
    """Install every extension, in order.

    Raises:
        SeamError: if the emulator is not the one that an extension was written against.
    """
    for name in MODULES:
        importlib.import_module(f"{__name__}.{name}").install()
