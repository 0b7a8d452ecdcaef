"""The stack's configuration: what the files of the project say is taken, what is wrong is refused by name.

Not proved here: that Pulumi's own command line reads `Pulumi.yaml` the same way (no such command is needed here).
"""

import json
import re
from pathlib import Path
from typing import Any

import botocore.session
import pytest
import yaml

from pm_components.analytics_store.settings import LakeSettings
from pm_components.aws import limits
from pm_components.aws.settings import arguments
from pm_components.fault_alerting.settings import AlarmSettings, DetectorSettings
from pm_components.forecast_pipeline.settings import CanarySettings, TrainingSettings
from pm_components.greengrass_site.settings import GreengrassSiteSettingsArgs
from pm_components.stack import config, tiers

ROOT = Path(__file__).parents[3]
SITE = {"name": "a", "core_devices": ["a-core"], "devices": [{"name": "d", "type": "machine"}]}


def parse(**values: Any) -> config.Config:
    """The configuration, written as Pulumi keeps it."""
    given = {"sites": [SITE], **values}
    return config.parse({key: value if isinstance(value, str) else json.dumps(value) for key, value in given.items()})


def test_the_stack_dev_has_one_site_with_its_devices() -> None:
    values = yaml.safe_load((ROOT / "Pulumi.dev.yaml").read_text())["config"]
    ours = {key.removeprefix("pm:"): value for key, value in values.items() if key.startswith("pm:")}
    (site,) = parse(**ours).sites
    assert site.core_devices == ["lindau-core"]
    assert list(site.device_types.values()) == ["air_quality"] + ["machine"] * 10


def test_every_key_is_declared_in_the_project_file_with_the_default_that_holds() -> None:
    declared = {
        key.removeprefix("pm:"): entry
        for key, entry in yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"].items()
    }
    assert set(declared) == set(config.Config.__struct_fields__)
    assert all(entry["description"] for entry in declared.values())
    plain = parse()
    defaults = {key: entry["default"] for key, entry in declared.items() if "default" in entry}
    of_tier = {key for key, default in defaults.items() if default == tiers.OF_TIER}
    assert of_tier == set(tiers.DEFAULTS[tiers.PROD]) - {"training"}
    assert {key: getattr(plain, key) for key in set(defaults) - of_tier} == {
        key: default for key, default in defaults.items() if key not in of_tier
    }
    assert len(defaults) == 15
    # Where every key is left to the project's file, what holds is the same as where nothing is said.
    assert parse(**defaults) == plain


def test_what_a_stack_does_not_say_is_its_tiers() -> None:
    production, development = parse(), parse(tier="dev")
    assert (production.tier, production.protected, production.disposable) == ("prod", True, False)
    assert (development.protected, development.disposable, development.retention_days) == (False, True, 30)
    assert parse(tier="dev", retention_days=31).retention_days == 31
    assert parse(tier="dev", retention_days="tier").retention_days == 30
    training = parse(tier="dev", training={"watch_seconds": 5}).training
    assert (training.watch_seconds, training.schedule_enabled) == (5, False)


@pytest.mark.parametrize("tier", sorted(tiers.DEFAULTS))
def test_every_tier_sets_the_same_keys_and_all_are_allowed(tier: str) -> None:
    assert set(tiers.DEFAULTS[tier]) == set(tiers.DEFAULTS[tiers.PROD])
    assert parse(tier=tier).tier == tier


def test_what_is_not_set_is_the_components_default() -> None:
    # The two that a tier sets otherwise, and what is set here.
    training = parse(tier="dev", training={"watch_seconds": 5, "schedule": None}).training
    assert training == TrainingSettings(instance_type="ml.m5.large", schedule_enabled=False, watch_seconds=5)
    assert (parse().detector, parse().alarms, parse().lake) == (DetectorSettings(), AlarmSettings(), LakeSettings())


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"sitse": []}, "pm:sitse: there is no such key, allowed are alarm_actions, alarms, alert_emails, "),
        ({"voise": "Joanna"}, "pm:voise: there is no such key, allowed are alarm_actions, alarms, alert_emails, "),
        ({"sites": []}, "pm:sites: found []; expected `array` of length >= 1, allowed is at least one site"),
        ({"sites": [{**SITE, "name": "A B"}]}, "pm:sites[0].name: found 'A B'"),
        ({"sites": [{**SITE, "devices": [{"nmae": "d", "type": "machine"}]}]}, "pm:sites[0].devices[0].nmae: there"),
        ({"sites": [{**SITE, "devices": [{"type": "machine"}]}]}, "pm:sites[0].devices[0]: object missing required"),
        ({"sites": [{**SITE, "devices": [{"name": "d", "type": "pump"}]}]}, "allowed is air_quality or machine"),
        ({"sites": "["}, "pm:sites: found '[', allowed is JSON"),
        ({"alert_emails": ["nobody"]}, "pm:alert_emails[0]: found 'nobody'"),
        ({"python": "python3"}, "pm:python: found 'python3'"),
        ({"data_directory": "/a b"}, "pm:data_directory: found '/a b'"),
        ({"voice_engine": "loud"}, "allowed is standard, neural, long-form or generative"),
        ({"voice_language": "English"}, "pm:voice_language: found 'English'"),
        ({"flow_control": "some"}, "pm:flow_control: found 'some'"),
        ({"retention_days": 0}, "pm:retention_days: found 0; expected `int` >= 1, allowed is 1 to 3650 days"),
        ({"disposable": "perhaps"}, "pm:disposable: found 'perhaps', allowed is JSON"),
        ({"tier": "production"}, "pm:tier: found 'production'"),
        ({"owner": "a;b"}, "pm:owner: found 'a;b'"),
        ({"owner": "plant\n"}, "pm:owner: found 'plant\\n'"),
        (
            {"owner": "Müller \u2013 Werk"},
            "allowed is 1 to 256 letters of any language, numbers, spaces and _ . : / = + - @",
        ),
        ({"data_directory": "/var/../etc"}, "pm:data_directory: found '/var/../etc'"),
        ({"data_directory": "/var/lib/.."}, "allowed is an absolute POSIX path without a level `..`"),
        ({"protected": True, "disposable": True}, "To let go of a stack and its data: set pm:protected to false"),
        ({"log_retention_days": 8}, "pm:log_retention_days: found 8, allowed are 1, 3, 5, 7, 14, 30"),
        ({"cost_limit_usd": 0}, "pm:cost_limit_usd: found 0"),
        ({"training": [1]}, "pm:training: found [1]"),
        ({"detector": {"widnow": 5}}, "pm:detector.widnow: there is no such key, allowed are clear_share, "),
        ({"detector": {"tolerance": 0}}, "pm:detector.tolerance: found 0"),
        ({"training": {"instance_type": "m5.large"}}, "pm:training.instance_type: found 'm5.large'"),
        ({"training": {"schedule": "daily"}}, "pm:training.schedule: found 'daily'"),
    ],
)
def test_what_is_wrong_is_named_with_what_is_allowed(values: dict[str, Any], named: str) -> None:
    with pytest.raises(config.ConfigError) as refused:
        parse(**values)
    assert named in str(refused.value)


def test_a_tag_takes_letters_of_every_language_and_a_path_dots_in_names() -> None:
    for owner in ("Müller Instandhaltung", "Кочев", "工場 3", "2026-10-01", "a_b.c:d/e=f+g-h@i"):
        assert parse(owner=owner).owner == owner
    for path in ("/var/lib/..pm", "/var/lib/pm..", "/a/.../b"):
        assert parse(data_directory=path).data_directory == path


def test_only_development_releases_a_model_without_a_trial_and_a_trial_needs_a_core_device() -> None:
    assert parse(tier="dev").training.canary is None
    for tier in (tiers.STAGING, tiers.PROD):
        assert parse(tier=tier).training.canary == CanarySettings()
        assert parse(tier=tier, training={"canary": None}).training.canary is None
    nobody = {**SITE, "devices": [{"name": "d", "type": "air_quality"}], "canary_devices": []}
    with pytest.raises(config.ConfigError, match=r"pm:training\.canary: found a trial and no core device for it"):
        parse(sites=[nobody])
    assert parse(sites=[nobody, {**nobody, "name": "b", "core_devices": ["b"], "canary_devices": ["b"]}])
    assert parse(tier="dev", sites=[nobody])


@pytest.mark.parametrize("text", ['["\\ud800@example.com"]', "[" * 100_000])
def test_a_value_that_nobody_can_pass_on_is_named(text: str) -> None:
    with pytest.raises(config.ConfigError, match="pm:alert_emails: found "):
        config.parse({"sites": "[]", "alert_emails": text})


def test_a_missing_key_is_named() -> None:
    with pytest.raises(config.ConfigError, match="missing required field `sites`"):
        config.parse({})


@pytest.mark.parametrize(
    ("sites", "key"),
    [
        ([SITE, SITE], "sites[].name: found a more than once"),
        ([SITE, {**SITE, "name": "b"}], "sites[].core_devices: found a-core more than once"),
        ([{**SITE, "devices": SITE["devices"] * 2}], "sites[0].devices[].name: found d more than once"),
        ([{**SITE, "canary_devices": ["a-core"] * 2}], "sites[0].canary_devices: found a-core more than once"),
        (
            [{**SITE, "devices": [{"name": "a-core", "type": "machine"}]}],
            "pm:sites[0].devices[].name: found a-core, the name of a core device of the site, allowed is another",
        ),
        (
            [{**SITE, "devices": [{"name": "command", "type": "machine"}]}],
            "pm:sites[0].devices[].name: found command, a level of the site's own topics, allowed is another",
        ),
        (
            [{**SITE, "core_devices": ["x", "x-uplink"]}],
            "pm:sites[0].core_devices: found x-uplink, by which the uplink of x connects, allowed is a name that does",
        ),
        (
            [{**SITE, "core_devices": ["b-c"]}, {**SITE, "name": "a-b", "core_devices": ["c"]}],
            "sites[].name with the names of its core devices and devices: found a-b-c more than once",
        ),
    ],
)
def test_names_are_given_once(sites: list[Any], key: str) -> None:
    with pytest.raises(config.ConfigError) as refused:
        parse(sites=sites)
    assert key in str(refused.value)


@pytest.mark.parametrize("key", ["alert_emails", "escalation_emails"])
def test_an_address_is_given_once(key: str) -> None:
    with pytest.raises(config.ConfigError, match=f"pm:{key}: found a@example.com more than once"):
        parse(**{key: ["a@example.com", "b@example.com", "a@example.com"]})


def test_every_instance_type_of_aws_is_taken() -> None:
    session = botocore.session.Session()
    for service, shape, pattern in (
        ("ec2", "InstanceType", limits.INSTANCE_TYPE),
        ("sagemaker", "TrainingInstanceType", limits.ML_INSTANCE_TYPE),
        ("sagemaker", "InstanceType", limits.ML_INSTANCE_TYPE),
    ):
        types = session.get_service_model(service).shape_for(shape).enum
        assert len(types) > 100
        assert [one for one in types if not re.search(pattern, one)] == []
    flexible = {"host_instance_type": "m7i-flex.large", "serial_numbers": {"a-core": "1"}}
    assert parse(sites=[{**SITE, **flexible}]).sites[0].host_instance_type == "m7i-flex.large"
    for wrong in ("large", "m7i-.large", "m7i.large.x", "M5.large"):
        with pytest.raises(config.ConfigError, match=r"allowed is FAMILY\.SIZE"):
            parse(sites=[{**SITE, "host_instance_type": wrong}])


def test_a_scan_limit_that_the_provider_refuses_is_refused() -> None:
    with pytest.raises(config.ConfigError, match=r"pm:lake.scan_limit_bytes: found 10000000; .* 10485760 bytes and"):
        parse(lake={"scan_limit_bytes": 10_000_000})


def test_the_settings_of_a_site_are_arguments_of_the_component() -> None:
    site = {
        **SITE,
        "serial_numbers": {"core-a": "4711"},
        "canary_devices": [],
        "client_devices": False,
        "configuration": {"pm.Uplink": {"outboxMebibytes": "64"}},
    }
    (found,) = parse(sites=[site]).sites
    assert arguments(found, GreengrassSiteSettingsArgs) == {
        "serial_numbers": {"core-a": "4711"},
        "canary_devices": [],
        "client_devices": False,
        "host_checksums": {},
        "nucleus": {"kind": "classic"},
        "configuration": {"pm.Uplink": {"outboxMebibytes": "64"}},
    }
    assert found.device_types == {device["name"]: device["type"] for device in site["devices"]}


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("serial_numbers", {"a-core": "x y"}, r"serial_numbers\[...\]: found {'a-core': 'x y'}; .* allowed is 1 to"),
        ("serial_numbers", {"A-core": "x"}, r"serial_numbers: found {'A-core': 'x'}; expected `str` matching"),
        ("configuration", {"pm.Uplink": 1}, r"configuration\[...\]: found {'pm.Uplink': 1}; expected `object`"),
    ],
)
def test_a_wrong_value_within_a_mapping_is_refused_by_name(key: str, value: Any, text: str) -> None:
    with pytest.raises(config.ConfigError, match=text):
        parse(sites=[{**SITE, key: value}])
