"""Each setting stands once, in a struct: arguments, functions' rules and documentation say the same of it.

Not proved here: that a component makes of a setting what its docstring says.
"""

import json
from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, get_args, get_origin

import msgspec
import pytest
import yaml
from pulumi.provider.experimental.analyzer import is_input, unwrap_input

from pm_components import settings
from pm_components.analytics_store.settings import AnalyticsStoreSettingsArgs, LakeArgs, LakeSettings
from pm_components.aws.settings import arguments, with_defaults, without_meta
from pm_components.fault_alerting.settings import AlarmArgs, DetectorArgs, FaultAlertingSettingsArgs
from pm_components.forecast_pipeline.settings import (
    CanaryArgs,
    ForecastPipelineSettings,
    ForecastPipelineSettingsArgs,
    TrainingArgs,
    TrainingSettings,
    WorkbenchArgs,
)
from pm_components.functions.gate.core import Policy as GatePolicy
from pm_components.greengrass_site.nuclei import DEFAULT_VERSIONS
from pm_components.greengrass_site.settings import (
    CoreDeviceArgs,
    CoreDeviceHostSettings,
    CoreDeviceHostSettingsArgs,
    CoreDeviceSettings,
    GreengrassSiteSettings,
    GreengrassSiteSettingsArgs,
    NucleusArgs,
    NucleusSettings,
)
from pm_components.stack import config, tiers
from pm_policies.rules import allowed_instance_types, log_retention, monthly_cost

ROOT = Path(__file__).parents[2]
#: Each struct, and the form in which a program gives it to a component.
FORMS: list[tuple[type[msgspec.Struct], Any]] = [
    (LakeSettings, LakeArgs),
    (TrainingSettings, TrainingArgs),
    (CoreDeviceSettings, CoreDeviceArgs),
    (settings.COMPONENTS["AnalyticsStore"], AnalyticsStoreSettingsArgs),
    (settings.COMPONENTS["CoreDeviceHost"], CoreDeviceHostSettingsArgs),
    (settings.COMPONENTS["FaultAlerting"], FaultAlertingSettingsArgs),
    (settings.COMPONENTS["ForecastPipeline"], ForecastPipelineSettingsArgs),
    (settings.COMPONENTS["GreengrassSite"], GreengrassSiteSettingsArgs),
    (settings.STRUCTURED["AlarmArgs"], AlarmArgs),
    (settings.STRUCTURED["CanaryArgs"], CanaryArgs),
    (settings.STRUCTURED["DetectorArgs"], DetectorArgs),
    (settings.STRUCTURED["NucleusArgs"], NucleusArgs),
    (settings.STRUCTURED["WorkbenchArgs"], WorkbenchArgs),
]


def _as_text(annotation: Any) -> str:
    """A type as both forms mean it: without limits, without outputs, arguments by the struct that they stand for."""
    if is_input(annotation):
        return _as_text(unwrap_input(annotation))
    form = without_meta(annotation)
    origin, inner = get_origin(form), get_args(form)
    if origin in (list, tuple, Sequence):
        return f"list of {_as_text(inner[0])}"
    if origin in (dict, Mapping):
        return f"{_as_text(inner[1])} by name"
    if isinstance(form, type) and issubclass(form, Enum):
        return "str"
    by_form = {args.__name__: struct.__name__ for struct, args in FORMS}
    return by_form.get(form.__name__, form.__name__)


@pytest.mark.parametrize(("struct", "form"), FORMS, ids=lambda one: one.__name__)
def test_arguments_are_the_settings_by_name_and_type_and_all_may_be_left_out(struct: Any, form: Any) -> None:
    assert form.__required_keys__ == frozenset()
    given = {name: _as_text(annotation) for name, annotation in form.__annotations__.items()}
    assert given == {field.name: _as_text(field.type) for field in msgspec.structs.fields(struct)}


@pytest.mark.parametrize(("struct", "form"), FORMS, ids=lambda one: one.__name__)
def test_every_setting_has_a_default_that_it_allows_and_a_meaning(struct: Any, form: Any) -> None:
    plain = struct()
    assert msgspec.convert(msgspec.to_builtins(plain), struct) == plain
    for one in settings.settings(struct):
        assert len(one.meaning) > 10 or one.name in ("instance_type", "kind"), one
        assert one.default or any(word in one.meaning.lower() for word in ("default", "without", "needed with")), one


def test_what_is_none_is_left_out_and_what_is_given_wins() -> None:
    assert "canary" not in arguments(TrainingSettings(), TrainingArgs)
    filled = with_defaults(ForecastPipelineSettingsArgs(watch_seconds=5), ForecastPipelineSettings())
    assert (filled["watch_seconds"], filled["spot"]) == (5, ForecastPipelineSettings().spot)
    # A superset gives what the form has, and no more.
    assert set(arguments(GreengrassSiteSettings(), CoreDeviceArgs)) == {"python", "data_directory"}


def test_the_gate_decodes_what_the_pipeline_sets() -> None:
    fields = {field.name: without_meta(field.type) for field in msgspec.structs.fields(TrainingSettings)}
    asked = {field.name: field.type for field in msgspec.structs.fields(GatePolicy) if field.name != "on_trial"}
    assert asked.items() <= fields.items()


@pytest.mark.parametrize("tier", sorted(tiers.DEFAULTS))
def test_the_policies_allow_what_a_tier_and_the_components_set(tier: str) -> None:
    site = {"name": "a", "core_devices": ["c"], "devices": [{"name": "d", "type": "machine"}]}
    given = {"tier": tier, "sites": json.dumps([site]), "training": json.dumps({"workbench": {}})}
    stack = config.parse(given)
    assert stack.training.workbench is not None
    training = (stack.training.instance_type, stack.training.workbench.instance_type)
    assert {*training, CoreDeviceHostSettings().instance_type} <= set(
        allowed_instance_types.RULE.settings["instance_types"]["default"][tier]
    )
    assert stack.log_retention_days <= log_retention.RULE.settings["maximum_days"]["default"]
    limit = monthly_cost.RULE.from_stack["limit_usd"].removeprefix("pm:")
    assert getattr(stack, limit) == tiers.DEFAULTS[tier][limit]


def test_recipes_state_the_same_defaults_of_a_core_device() -> None:
    # A deployment replaces them; the recipe's are for whoever deploys a component by hand.
    plain = GreengrassSiteSettings()
    here = {"python": plain.python, "dataDirectory": plain.data_directory}
    checked = 0
    for path in sorted((ROOT / "pm_edge" / "components").glob("*/recipe.yaml")):
        stated = yaml.safe_load(path.read_text())["ComponentConfiguration"]["DefaultConfiguration"]
        for key in here.keys() & stated.keys():
            assert stated[key] == here[key], path
            checked += 1
    assert checked > 10


def test_the_versions_that_the_library_pins_are_named() -> None:
    (version,) = (one for one in settings.settings(NucleusSettings) if one.name == "version")
    assert all(f"{number} of `{kind}`" in version.meaning for kind, number in DEFAULT_VERSIONS.items())


def test_the_documentation_is_the_one_that_is_kept() -> None:
    update = "python -m pm_components.settings > docs/settings.md"
    assert (ROOT / "docs" / "settings.md").read_text() == settings.documentation(), f"changed on purpose? {update}"
