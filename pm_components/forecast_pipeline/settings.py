"""The settings of `ForecastPipeline`. Of the trial, what decides is the function's own rule, as this decodes it."""

from collections.abc import Mapping, Sequence
from typing import Annotated, TypedDict

import msgspec
import pulumi
from msgspec import Meta

from pm_components.aws.limits import (
    HYPERPARAMETER_NAME_LENGTH,
    NETWORK_ID_LENGTH,
    NOTEBOOK_SECURITY_GROUPS,
    NOTEBOOK_VOLUME_GIBIBYTES,
    SCHEDULE_EXPRESSION_LENGTH,
    TRAINING_IMAGE_LENGTH,
    TRAINING_SECONDS,
)
from pm_components.aws.settings import DATA_DIRECTORY, AbsolutePath, Days, MlInstanceType, Settings, Share
from pm_components.functions.trial.core import Policy
from pm_contracts.messages import NAME_PATTERN
from pm_contracts.model_signature import MAXIMUM_KEYS

#: Stands for the stack's region in the address of a container image.
REGION = "{region}"
#: AWS's PyTorch container, for its Python 3.11 and its script mode; what we train with is in the code's requirements.
#: It is the last one with Python 3.11, and AWS has ended its patches: pm_policies/rules/ends_of_support.py tells.
_IMAGE = f"763104351884.dkr.ecr.{REGION}.amazonaws.com/pytorch-training:2.5.1-cpu-py311-ubuntu22.04-sagemaker"

#: A shorter pause would let one drift start a training again and again.
COOLDOWN_SECONDS_MINIMUM = 60

CooldownSeconds = Annotated[
    int,
    Meta(ge=COOLDOWN_SECONDS_MINIMUM, le=2_592_000, description=f"{COOLDOWN_SECONDS_MINIMUM} to 2592000 seconds"),
]
Hyperparameter = Annotated[
    str,
    Meta(
        pattern=rf"^.{{1,{HYPERPARAMETER_NAME_LENGTH}}}\Z", description=f"1 to {HYPERPARAMETER_NAME_LENGTH} characters"
    ),
]
Image = Annotated[
    str, Meta(pattern=rf"^\S{{1,{TRAINING_IMAGE_LENGTH}}}\Z", description=f"1 to {TRAINING_IMAGE_LENGTH} characters")
]
MinimumSkill = Annotated[float, Meta(ge=0, lt=1, description="0 to below 1")]
NotebookVolume = Annotated[
    int,
    Meta(
        ge=NOTEBOOK_VOLUME_GIBIBYTES[0],
        le=NOTEBOOK_VOLUME_GIBIBYTES[1],
        description="{} to {} GiB".format(*NOTEBOOK_VOLUME_GIBIBYTES),
    ),
]
Schedule = Annotated[
    str,
    Meta(
        pattern=r"^(rate|cron)\(.+\)\Z",
        max_length=SCHEDULE_EXPRESSION_LENGTH,
        description=f"rate(...) or cron(...), {SCHEDULE_EXPRESSION_LENGTH} characters at most",
    ),
]
SecurityGroupId = Annotated[
    str,
    Meta(
        pattern=r"^sg-[0-9a-f]+\Z",
        max_length=NETWORK_ID_LENGTH,
        description=f"sg-ID, {NETWORK_ID_LENGTH} characters at most",
    ),
]
SecurityGroups = Annotated[
    list[SecurityGroupId],
    Meta(max_length=NOTEBOOK_SECURITY_GROUPS, description=f"{NOTEBOOK_SECURITY_GROUPS} at most"),
]
SigningKeyName = Annotated[str, Meta(pattern=NAME_PATTERN, description="1 to 32 of a-z, 0-9 and inner hyphens")]
SigningKeyNames = Annotated[
    list[SigningKeyName],
    Meta(min_length=1, max_length=MAXIMUM_KEYS, description=f"1 to {MAXIMUM_KEYS} different names"),
]
SubnetId = Annotated[
    str,
    Meta(
        pattern=r"^subnet-[0-9a-f]+\Z",
        max_length=NETWORK_ID_LENGTH,
        description=f"subnet-ID, {NETWORK_ID_LENGTH} characters at most",
    ),
]
TrainingSeconds = Annotated[int, Meta(ge=60, le=TRAINING_SECONDS, description=f"60 to {TRAINING_SECONDS} seconds")]


class CanarySettings(Policy, frozen=True, kw_only=True):
    """The rule by which a challenger that passed the gate replaces the champion.

    Faults have no outcome that comes by itself: a fault model is judged by the gate alone.
    """

    interval_seconds: Annotated[int, Meta(ge=1, le=86_400, description="1 to 86400 seconds")] = 900
    """Seconds between two looks."""


class WorkbenchSettings(Settings, frozen=True, kw_only=True):
    """A notebook instance."""

    instance_type: MlInstanceType = "ml.t3.medium"
    """Instance type."""
    volume_gibibytes: NotebookVolume = 20
    """Size of its encrypted volume."""
    subnet_id: SubnetId | None = None
    """Subnet that it is in, with a way of its own to AWS; it then has no other way to the internet. By default
    SageMaker's own network, with internet access."""
    security_group_ids: SecurityGroups | None = None
    """Security groups in the subnet; needed with it. By default none."""


class TrainingSettings(Settings, frozen=True, kw_only=True):
    """Training, gate and roll-out: a stack's key `training`."""

    image_uri: Image = _IMAGE
    """Container image with Python 3.11 and SageMaker's script mode; `{region}` in it stands for the stack's region."""
    instance_type: MlInstanceType = "ml.m5.xlarge"
    """Instance type of the training jobs."""
    maximum_seconds: TrainingSeconds = 3600
    """Seconds after which a training job is stopped."""
    spot: bool = False
    """Run training jobs on spot capacity, which is cheaper, may have to be waited for and needs a quota of its own; an
    interrupted job goes on from its checkpoints."""
    hyperparameters: dict[Hyperparameter, str] = msgspec.field(default_factory=dict)
    """Arguments of the training scripts by name, as `seed` or `train_end`."""
    minimum_skill: MinimumSkill = 0.0
    """The skill over persistence that a forecast model must exceed, a share."""
    champion_margin: Share = 0.01
    """Share by which a model may save less of persistence's error, or of the cost of alarming never or always, than the
    model approved last."""
    canary: CanarySettings | None = None
    """The trial of a forecast model on the core devices of the sites' canary groups before it is approved; by default
    it is not tried. Known while the program runs, its values need not be."""
    drift_enabled: bool = True
    """Retrain on the alert that forecasts have left the acceptable range."""
    drift_cooldown_seconds: CooldownSeconds = 24 * 3600
    """Seconds in which a start, whatever caused it, is not followed by one for drift."""
    workbench: WorkbenchSettings | None = None
    """A notebook instance that opens on `pm_ml/notebooks`; by default there is none. Known while the program runs, its
    values need not be."""
    schedule: Schedule = "rate(7 days)"
    """The schedule of retraining, as EventBridge Scheduler writes it; skipped while a training runs."""
    schedule_enabled: bool = True
    """Run the schedule."""
    signing_keys: SigningKeyNames = msgspec.field(default_factory=lambda: ["first"])
    """Names of the keys of AWS KMS that core devices trust: the first one signs models. Keys are changed in three
    updates: `[first, second]`, and when all core devices have it `[second, first]`, and after the next release
    `[second]`. Known while the program runs."""
    watch_interval_seconds: Annotated[int, Meta(ge=1, le=3600, description="1 to 3600 seconds")] = 30
    """Seconds between two looks at a rollout."""
    watch_seconds: Annotated[int, Meta(ge=1, le=86_400, description="1 to 86400 seconds")] = 1800
    """Seconds that core devices are waited for; who is offline then takes the models later."""


class ForecastPipelineSettings(TrainingSettings, frozen=True, kw_only=True):
    """All settings of the component."""

    data_directory: AbsolutePath = DATA_DIRECTORY
    """Directory on the core devices that keeps models."""
    retention_days: Days = 365
    """Days that exports and training output are kept. Component artifacts and models stay."""
    disposable: bool = False
    """Delete the artifact bucket's objects with the stack."""


class CanaryArgs(TypedDict, total=False):
    """The rule by which a challenger that passed the gate replaces the champion.

    Faults have no outcome that comes by itself: a fault model is judged by the gate alone.
    """

    minimum_outcomes: pulumi.Input[int]
    maximum_seconds: pulumi.Input[int]
    margin: pulumi.Input[float]
    interval_seconds: pulumi.Input[int]


class WorkbenchArgs(TypedDict, total=False):
    """A notebook instance."""

    instance_type: pulumi.Input[str]
    volume_gibibytes: pulumi.Input[int]
    subnet_id: pulumi.Input[str]
    security_group_ids: pulumi.Input[Sequence[pulumi.Input[str]]]


class TrainingArgs(TypedDict, total=False):
    """`TrainingSettings` as arguments."""

    image_uri: pulumi.Input[str]
    instance_type: pulumi.Input[str]
    maximum_seconds: pulumi.Input[int]
    spot: pulumi.Input[bool]
    hyperparameters: pulumi.Input[Mapping[str, pulumi.Input[str]]]
    minimum_skill: pulumi.Input[float]
    champion_margin: pulumi.Input[float]
    canary: CanaryArgs
    drift_enabled: pulumi.Input[bool]
    drift_cooldown_seconds: pulumi.Input[int]
    workbench: WorkbenchArgs
    schedule: pulumi.Input[str]
    schedule_enabled: pulumi.Input[bool]
    signing_keys: pulumi.Input[Sequence[pulumi.Input[str]]]
    watch_interval_seconds: pulumi.Input[int]
    watch_seconds: pulumi.Input[int]


class ForecastPipelineSettingsArgs(TrainingArgs, total=False):
    """`ForecastPipelineSettings` as arguments."""

    data_directory: pulumi.Input[str]
    retention_days: pulumi.Input[int]
    disposable: pulumi.Input[bool]
