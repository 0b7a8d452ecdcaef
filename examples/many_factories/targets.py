"""The targets as data: which factory has a stack in which stage, and what each stack is configured with."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
import yaml
from msgspec import Meta

from pm_components.stack import config
from pm_contracts.messages import NAME_PATTERN

_Name = Annotated[str, Meta(pattern=NAME_PATTERN, description="1 to 32 of a-z, 0-9 and inner hyphens")]


class TargetsError(ValueError):
    """A file of factories that is wrong; the text names the key, what was found and what is allowed."""


class StageSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A stage: a tier of `pm_components.stack.tiers`, and the AWS account that holds its stacks."""

    name: Annotated[str, Meta(pattern=r"^(dev|staging|prod)\Z")]
    account: Annotated[str, Meta(pattern=r"^[0-9]{12}\Z")]
    profile: str
    """Profile of the AWS configuration that reaches the account."""


class FactorySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A factory: one site, whose name its stacks carry."""

    name: _Name
    region: Annotated[str, Meta(pattern=r"^[a-z]{2}(-[a-z]+)+-\d\Z")]
    core_devices: list[str]
    devices: list[config.Device]
    alert_emails: list[str] = []
    stages: list[str] | None = None
    """The stages that it has a stack in; all where it says nothing."""
    config: dict[str, Any] = {}
    """Further keys of the namespace `pm` for its stacks."""


class FactoriesFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file of factories."""

    stages: list[StageSettings]
    factories: list[FactorySettings]
    owner: str
    cost_centre: str


@dataclass(frozen=True)
class Target:
    """A stack that is to be.

    Attributes:
        stage: The stage that it belongs to.
        factory: The factory.
        config: Its configuration, by `namespace:key`.
    """

    stage: str
    factory: str
    config: dict[str, Any]

    @property
    def stack(self) -> str:
        """The stack's name."""
        return f"{self.factory}-{self.stage}"


def load(path: Path) -> list[list[Target]]:
    """The targets of a file: by stage, in the order in which stages and factories stand there.

    Raises:
        TargetsError: if the file, or the configuration of a target, is not as the library needs it.
    """
    try:
        content = msgspec.convert(yaml.safe_load(path.read_text()), FactoriesFile)
    except (OSError, yaml.YAMLError, msgspec.ValidationError) as error:
        raise TargetsError(f"{path}: {error}") from error
    _check(path, content)
    return [
        [
            _target(path, content, stage, factory)
            for factory in content.factories
            if stage.name in _stages(factory, content)
        ]
        for stage in content.stages
    ]


def chosen(waves: Sequence[Sequence[Target]], stages: Sequence[str], factories: Sequence[str]) -> list[list[Target]]:
    """The targets of some stages and factories, of all where nothing is named.

    Raises:
        TargetsError: if a name is none of the targets'.
    """
    for what, named, known in (
        ("stage", stages, {target.stage for wave in waves for target in wave}),
        ("factory", factories, {target.factory for wave in waves for target in wave}),
    ):
        if unknown := sorted(set(named) - known):
            raise TargetsError(f"{what}: found {', '.join(unknown)}, allowed are {', '.join(sorted(known))}")
    kept = [
        [
            target
            for target in wave
            if (not stages or target.stage in stages) and (not factories or target.factory in factories)
        ]
        for wave in waves
    ]
    return [wave for wave in kept if wave]


def _stages(factory: FactorySettings, content: FactoriesFile) -> list[str]:
    return factory.stages if factory.stages is not None else [stage.name for stage in content.stages]


def _check(path: Path, content: FactoriesFile) -> None:
    stages = [stage.name for stage in content.stages]
    accounts = [stage.account for stage in content.stages]
    names = [factory.name for factory in content.factories]
    for key, values in (("stages[].name", stages), ("stages[].account", accounts), ("factories[].name", names)):
        if repeated := sorted({value for value in values if values.count(value) > 1}):
            raise TargetsError(f"{path}: {key}: found {', '.join(repeated)} more than once, each is allowed once")
    for factory in content.factories:
        if unknown := sorted(set(factory.stages or []) - set(stages)):
            raise TargetsError(
                f"{path}: stages of {factory.name}: found {', '.join(unknown)}, allowed are {', '.join(stages)}"
            )


def _target(path: Path, content: FactoriesFile, stage: StageSettings, factory: FactorySettings) -> Target:
    site = {
        "name": factory.name,
        "core_devices": factory.core_devices,
        "devices": [msgspec.to_builtins(device) for device in factory.devices],
    }
    own = {
        "tier": stage.name,
        "owner": content.owner,
        "cost_centre": content.cost_centre,
        "sites": [site],
        "alert_emails": factory.alert_emails,
        **factory.config,
    }
    try:
        config.parse({key: value if isinstance(value, str) else json.dumps(value) for key, value in own.items()})
    except config.ConfigError as error:
        raise TargetsError(f"{path}: {factory.name} in {stage.name}: {error}") from error
    return Target(
        stage=stage.name,
        factory=factory.name,
        config={
            "aws:region": factory.region,
            "aws:profile": stage.profile,
            "aws:allowedAccountIds": [stage.account],
            **{f"{config.NAMESPACE}:{key}": value for key, value in own.items()},
        },
    )
