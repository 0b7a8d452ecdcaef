"""The exact registrations of `GreengrassSite` and `EdgeComponents`.

Not proved here: that a core device can connect with this policy and no other (tests/sandbox/core_device does it in the
emulated AWS), that AWS accepts it, and that a release upgrades without replacing a resource.
"""

import base64
import fnmatch
import json
import uuid
from collections.abc import Callable
from typing import Any

import pulumi
import pytest

from pm_components.aws import recipes
from pm_components.greengrass_site import device_policies, nuclei, public_components
from pm_components.greengrass_site.component import OUTPUTS, GreengrassSite, GreengrassSiteArgs
from pm_components.greengrass_site.edge_components import FOLDERS
from pm_contracts.model_signature import KEYS_FILE, encode_keys
from pm_sandbox.recorder.monitor import ENDPOINT

Record = Callable[[Callable[[], dict[str, Any]]], Any]

DEVICES = {"air-1": "air_quality", "machine-01": "machine"}


def _site(record: Record, **args: Any) -> Any:
    def program() -> dict[str, Any]:
        given = GreengrassSiteArgs(
            site="lindau", core_devices=["core-a", "core-b"], devices=DEVICES, artifact_bucket="artifacts"
        )
        site = GreengrassSite("lindau", {**given, **args})  # type: ignore[typeddict-item]
        return {output: getattr(site, output) for output in OUTPUTS}

    return record(program)


@pytest.fixture(scope="module")
def versions() -> dict[str, str]:
    prefix = "components/pm-test-lindau"
    places = {**dict.fromkeys(FOLDERS, f"{prefix}-edge"), "site_devices": prefix}
    devices = recipes.site_devices("lindau", DEVICES)
    devices = devices._replace(files={**devices.files, KEYS_FILE: encode_keys([])})
    sources = [*map(recipes.load, FOLDERS), devices]
    return {source.name: source.published("artifacts", places[source.folder]).version for source in sources}


def test_registers_exactly_these_resources(record: Record) -> None:
    assert _site(record).counts() == {
        "pm:index:GreengrassSite": 1,
        "pm:index:EdgeComponents": 1,
        "aws:iot/thingType:ThingType": 3,
        "aws:iot/thing:Thing": 4,
        "aws:iot/thingGroup:ThingGroup": 3,
        "aws:iot/thingGroupMembership:ThingGroupMembership": 5,
        "aws:iot/policy:Policy": 3,
        "aws:iot/roleAlias:RoleAlias": 1,
        "aws:iam/role:Role": 1,
        "aws:iam/rolePolicy:RolePolicy": 1,
        "aws:s3/bucketObjectv2:BucketObjectv2": 6,
        "aws-native:greengrassv2:ComponentVersion": 7,
        "aws-native:greengrassv2:Deployment": 1,
    }


def test_outputs_are_those_that_it_promises(record: Record, versions: dict[str, str]) -> None:
    site = _site(record)
    assert site.outputs == {
        "thing_group": "pm-test-lindau",
        "model_thing_group": "pm-test-lindau-model",
        "canary_thing_group": "pm-test-lindau-canary",
        "provisioning_template": "",
        "device_policy": "pm-test-lindau-core-device",
        "serving_policy": "pm-test-lindau-serving",
        "token_exchange_role_arn": "arn:of:lindau-token-exchange-role",
        "role_alias": "pm-test-lindau-token-exchange",
        "nucleus": {"kind": "classic", "version": "2.16.1"},
        "deployment_id": "deployment-of-lindau-deployment",
        "component_versions": {name: version for name, version in versions.items() if name != "pm.SiteDevices"},
    }
    assert site.registered_outputs["lindau"] == set(OUTPUTS)
    assert set(OUTPUTS) == set(GreengrassSite.__annotations__)


def _members(site: Any) -> set[tuple[str, str]]:
    memberships = site.of_type("aws:iot/thingGroupMembership:ThingGroupMembership").values()
    return {(inputs["thingName"], inputs["thingGroupName"]) for inputs in memberships}


def test_every_core_device_takes_code_and_models_and_the_first_tries_models(record: Record) -> None:
    groups = ("pm-test-lindau", "pm-test-lindau-model")
    everywhere = {(core, group) for core in ("core-a", "core-b") for group in groups}
    assert _members(_site(record)) == everywhere | {("core-a", "pm-test-lindau-canary")}
    assert _members(_site(record, canary_devices=["core-b"])) == everywhere | {("core-b", "pm-test-lindau-canary")}
    assert _members(_site(record, canary_devices=[])) == everywhere


def test_things_are_named_so_that_two_sites_may_have_the_same_devices(record: Record) -> None:
    things = _site(record).of_type("aws:iot/thing:Thing").values()
    assert {thing["name"] for thing in things} == {"core-a", "core-b", "lindau_air-1", "lindau_machine-01"}


def test_a_core_device_may_do_what_it_needs_and_only_for_its_site_and_itself(record: Record) -> None:
    statements = _site(record).statements("lindau-policy")
    head = "arn:aws:iot:eu-central-1:123456789012:"
    thing = "${iot:Certificate.Subject.CommonName}"
    [denied] = [one for one in statements if one["Effect"] == "Deny"]
    statements.remove(denied)
    assert (denied["Action"], denied["Resource"]) == (["iot:Publish"], [f"{head}topic/pm/lindau/command/*"])
    by_action = {action: one["Resource"] for one in statements for action in one["Action"]}
    assert by_action["iot:Connect"] == [
        f"{head}client/{thing}",
        f"{head}client/{thing}#*",
        f"{head}client/{thing}-uplink",
    ]
    assert by_action["iot:Subscribe"] == [
        f"{head}topicfilter/pm/lindau/command/*",
        f"{head}topicfilter/$aws/things/{thing}/jobs/*",
        f"{head}topicfilter/$aws/things/{thing}/shadow/*",
    ]
    assert by_action["iot:Publish"] == by_action["iot:Receive"]
    assert {f"{head}topic/$aws/things/{thing}/{kind}/health/json" for kind in ("greengrass", "greengrassv2")} < set(
        by_action["iot:Publish"]
    )
    own = (f"{head}topic/pm/lindau/*", f"{head}topic/$aws/things/{thing}/")
    assert all(resource.startswith(own) for resource in by_action["iot:Publish"])
    assert by_action["iot:AssumeRoleWithCertificate"] == ["arn:of:lindau-role-alias"]
    everything = {action for action, resources in by_action.items() if resources == ["*"]}
    assert {action.split(":")[0] for action in everything} == {"greengrass"}
    assert all("*" not in action for action in by_action)


def test_no_policy_of_a_core_device_needs_a_variable_of_things(record: Record) -> None:
    """AWS does not support them there, and knows them on the one connection that bears the thing's name alone."""
    site = _site(record, serial_numbers={"core-a": "4711"})
    for name in site.of_type("aws:iot/policy:Policy"):
        assert "${iot:Connection.Thing" not in json.dumps(site.statements(name)), name


def test_what_a_core_device_asks_by_https_is_held_to_names(record: Record) -> None:
    statements = _site(record).statements("lindau-serving-policy")
    by_action = {action: one["Resource"] for one in statements for action in one["Action"]}
    https = {action for action in by_action if not action.startswith("iot:")}
    https |= {"iot:GetThingShadow", "iot:UpdateThingShadow", "iot:DeleteThingShadow"}
    assert not [resource for action in https for resource in by_action[action] if "${" in resource]
    cores = [f"arn:aws:iot:eu-central-1:123456789012:thing/{core}" for core in ("core-a", "core-b")]
    assert by_action["greengrass:GetConnectivityInfo"] == by_action["greengrass:UpdateConnectivityInfo"] == cores


def test_each_policy_of_a_core_device_goes_to_its_certificate(record: Record) -> None:
    """The policies of a group count neither for Greengrass's data plane nor for shadows over HTTPS."""
    site = _site(record, serial_numbers={"core-a": "4711"})
    assert site.of_type("aws:iot/policyAttachment:PolicyAttachment") == {}
    (template,) = site.of_type("aws:iot/provisioningTemplate:ProvisioningTemplate").values()
    resources = json.loads(template["templateBody"])["Resources"].values()
    attached = {one["Properties"]["PolicyName"] for one in resources if one["Type"] == "AWS::IoT::Policy"}
    assert attached == {site.outputs["device_policy"], site.outputs["serving_policy"]}
    may_read = [
        one["Resource"]
        for one in site.statements("lindau-provisioning-permissions")
        if "iot:GetPolicy" in one["Action"]
    ]
    assert may_read == [["arn:of:lindau-policy", "arn:of:lindau-serving-policy"]]


def test_the_token_exchange_role_reads_artifacts_and_writes_logs(record: Record) -> None:
    site = _site(record)
    (trust,) = site.statements("lindau-token-exchange-role", "assumeRolePolicy")
    assert trust["Principal"] == {"Service": "credentials.iot.amazonaws.com"}
    locate, read, write = site.statements("lindau-token-exchange-permissions")
    # Without it the nucleus gives a deployment up: S3Downloader of aws-greengrass-nucleus.
    assert (locate["Action"], locate["Resource"]) == (["s3:GetBucketLocation"], ["arn:aws:s3:::artifacts"])
    assert read == {
        "Effect": "Allow",
        "Action": ["s3:GetObject"],
        "Resource": ["arn:aws:s3:::artifacts/components/*", "arn:aws:s3:::artifacts/models/*"],
    }
    assert write["Resource"] == ["arn:aws:logs:eu-central-1:123456789012:log-group:/aws/greengrass/*"]


def test_the_deployment_names_each_component_in_its_version_and_rolls_back(
    record: Record, versions: dict[str, str]
) -> None:
    site = _site(record, python="/usr/bin/python3.11", data_directory="/data", flow_control="none")
    (deployment,) = site.of_type("aws-native:greengrassv2:Deployment").values()
    components = deployment["components"]
    deployed = {name: component["componentVersion"] for name, component in components.items()}
    assert {name: version for name, version in deployed.items() if name.startswith("pm.")} == versions
    assert set(deployed) - set(versions) == set(public_components.RELEASES)
    assert deployment["deploymentPolicies"]["failureHandlingPolicy"] == "ROLLBACK"
    uplink = json.loads(components["pm.Uplink"]["configurationUpdate"]["merge"])
    assert uplink.pop("accessControl")
    assert uplink == {
        "dataDirectory": "/data",
        "endpoint": ENDPOINT,
        "flowControl": "none",
        "python": "/usr/bin/python3.11",
        "site": "lindau",
    }
    assert components["pm.Uplink"]["configurationUpdate"]["reset"] == []


def test_what_is_at_the_recipes_default_is_reset_and_not_merged(record: Record) -> None:
    site = _site(record)
    (deployment,) = site.of_type("aws-native:greengrassv2:Deployment").values()
    updates = {
        name: (sorted(json.loads(one["configurationUpdate"]["merge"])), one["configurationUpdate"]["reset"])
        for name, one in deployment["components"].items()
        if name.startswith("pm.")
    }
    assert updates["pm.SiteDevices"] == ([], ["/dataDirectory"])
    assert updates["pm.Forecaster"] == (["accessControl", "site"], ["/dataDirectory", "/python"])
    assert updates["pm.Uplink"] == (
        ["accessControl", "endpoint", "site"],
        ["/dataDirectory", "/flowControl", "/python"],
    )


def test_the_list_of_devices_is_no_configuration_value(record: Record) -> None:
    site = _site(record)
    (deployment,) = site.of_type("aws-native:greengrassv2:Deployment").values()
    ours = {name: one for name, one in deployment["components"].items() if name.startswith("pm.")}
    assert "machine-01" not in json.dumps(ours)


def test_artifacts_lie_where_the_recipes_say(record: Record, versions: dict[str, str]) -> None:
    site = _site(record)
    keys = {inputs["key"] for inputs in site.of_type("aws:s3/bucketObjectv2:BucketObjectv2").values()}
    written = [json.loads(c["inlineRecipe"]) for c in site.of_type("aws-native:greengrassv2:ComponentVersion").values()]
    uris = {a["Uri"] for recipe in written for m in recipe["Manifests"] for a in m.get("Artifacts", [])}
    assert uris == {f"s3://artifacts/{key}" for key in keys}
    assert {recipe["ComponentName"]: recipe["ComponentVersion"] for recipe in written} == versions


def test_components_that_are_published_already_are_not_published_again(record: Record) -> None:
    names = [recipes.load(folder).name for folder in FOLDERS]
    site = _site(record, component_versions=dict.fromkeys(names, "1.2.3"))
    assert "pm:index:EdgeComponents" not in site.counts()
    (deployment,) = site.of_type("aws-native:greengrassv2:Deployment").values()
    assert {deployment["components"][name]["componentVersion"] for name in names} == {"1.2.3"}


def test_a_second_site_takes_the_versions_of_the_first(record: Record) -> None:
    def program() -> dict[str, Any]:
        lindau = GreengrassSite(
            "lindau", {"site": "lindau", "core_devices": ["a"], "devices": {}, "artifact_bucket": "artifacts"}
        )
        shared = lindau.component_versions
        GreengrassSite(
            "bregenz",
            {"site": "bregenz", "core_devices": ["b"], "devices": {}, "artifact_bucket": "artifacts",
             "component_versions": shared},
        )  # fmt: skip
        return {"versions": shared}

    made = record(program)
    assert made.counts()["pm:index:EdgeComponents"] == 1
    deployments = made.of_type("aws-native:greengrassv2:Deployment").values()
    for name, version in made.outputs["versions"].items():
        assert [deployment["components"][name]["componentVersion"] for deployment in deployments] == [version] * 2


def test_everything_carries_its_tags(record: Record) -> None:
    tags = {"Project": "pm", "Stack": "test", "Component": "GreengrassSite", "Site": "lindau"}
    site = _site(record)
    for type_ in ("aws:iot/thingGroup:ThingGroup", "aws:iam/role:Role", "aws-native:greengrassv2:Deployment"):
        for name, inputs in site.of_type(type_).items():
            assert inputs["tags"] == tags, name


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        ({"site": pulumi.Output.from_input("x")}, "GreengrassSite.site: found an output"),
        ({"core_devices": "core-a"}, "GreengrassSite.core_devices: found 'core-a'"),
        ({"core_devices": ["a", 1]}, r"GreengrassSite.core_devices\[1\]: found 1"),
        ({"devices": ["air-1"]}, "GreengrassSite.devices: found "),
        ({"configuration": pulumi.Output.from_input({})}, "GreengrassSite.configuration: found an output"),
    ],
)
def test_what_resources_are_named_by_must_be_known(record: Record, args: dict[str, Any], reason: str) -> None:
    with pytest.raises(TypeError, match=reason):
        _site(record, **args)


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        ({"devices": {"core-a": "machine"}}, "devices: found core-a, which core_devices has too"),
        ({"core_devices": ["x", "x-uplink"]}, "core_devices: found x-uplink, by which the uplink of x connects"),
        ({"canary_devices": ["core-c"]}, "canary_devices: found core-c, allowed are core-a, core-b"),
        ({"serial_numbers": {"core-c": "1"}}, "serial_numbers: found core-c, allowed are core-a, core-b"),
        ({"serial_numbers": {"core-a": "1", "core-b": "1"}}, "serial_numbers: two core devices have the same"),
        ({"serial_numbers": {"core-a": "1" * 5000}}, "serial_numbers: 5014 bytes, allowed are 4096"),
        ({"configuration": {"pm.Uplnk": "{}"}}, "configuration: found pm.Uplnk, allowed are aws.greengrass.ShadowMan"),
        ({"configuration": {"pm.Uplink": "[]"}}, r"configuration of pm.Uplink: found '\[\]', allowed is a JSON object"),
        ({"host_instance_type": "t3.small"}, "core-a has no serial number to enrol with; serial_numbers has none"),
        ({"nucleus": {"kind": "lite"}}, "nucleus: found lite, which runs no client device components"),
        ({"nucleus": {"kind": "heavy"}}, "nucleus: found 'heavy', allowed are classic, lite"),
        ({"nucleus": {"edition": "2"}}, "nucleus: found edition, allowed are kind and version"),
        (
            {"nucleus": {"version": "latest"}},
            "nucleus.version: found 'latest', allowed with classic are 2.6.0 and later",
        ),
        (
            {"nucleus": {"kind": "lite", "version": "2.5.1"}, "client_devices": False},
            "nucleus.version: found '2.5.1', allowed with lite are 2.6.0 and later",
        ),
        (
            {"nucleus": {"version": "2.18.0"}},
            r"nucleus.version: found 2.18.0, and no release of aws.greengrass.clientdevices.Auth is documented .* "
            r"takes aws.greengrass.Nucleus >=2.6.0 <2.17.0; or set client_devices to false",
        ),
    ],
)
def test_what_does_not_fit_the_site_is_refused(record: Record, args: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        _site(record, **args)


def _merge(site: Any, component: str) -> dict[str, Any]:
    (deployment,) = site.of_type("aws-native:greengrassv2:Deployment").values()
    merge: dict[str, Any] = json.loads(deployment["components"][component]["configurationUpdate"]["merge"])
    return merge


def test_a_components_configuration_can_be_changed_without_losing_the_sites(record: Record) -> None:
    own = {
        "pm.Uplink": json.dumps({"outboxMebibytes": "64", "accessControl": {"more": {}}}),
        "aws.greengrass.clientdevices.mqtt.Moquette": json.dumps({"moquette": {"ssl_port": "9000"}}),
    }
    site = _site(record, configuration=own)
    uplink = _merge(site, "pm.Uplink")
    assert uplink["outboxMebibytes"] == "64"
    assert uplink["site"] == "lindau"
    assert set(uplink["accessControl"]) == {"aws.greengrass.ipc.pubsub", "more"}
    assert _merge(site, "aws.greengrass.clientdevices.mqtt.Moquette") == {"moquette": {"ssl_port": "9000"}}


def test_a_device_may_speak_to_the_core_device_for_itself_alone(record: Record) -> None:
    site = _site(record)
    groups = _merge(site, "aws.greengrass.clientdevices.Auth")["deviceGroups"]
    definitions, policies = groups["definitions"], groups["policies"]
    assert {name: group["selectionRule"] for name, group in definitions.items()} == {
        "air-1": "thingName: lindau_air-1",
        "machine-01": "thingName: lindau_machine-01",
    }
    assert policies[definitions["air-1"]["policyName"]]["own"]["resources"] == [
        "mqtt:clientId:lindau_air-1",
        "mqtt:topic:pm/lindau/air-1/reading",
        "mqtt:topic:$aws/things/lindau_air-1/shadow/*",
        "mqtt:topicfilter:$aws/things/lindau_air-1/shadow/*",
    ]
    bridge = _merge(site, "aws.greengrass.clientdevices.mqtt.Bridge")["mqttTopicMapping"]
    assert [(way["topic"], way["source"], way["target"]) for way in bridge.values()] == [
        ("pm/lindau/+/reading", "LocalMqtt", "Pubsub"),
        ("$aws/things/+/shadow/#", "Pubsub", "LocalMqtt"),
        ("$aws/things/+/shadow/#", "LocalMqtt", "Pubsub"),
    ]
    (discover,) = site.statements("lindau-device-policy")
    assert discover["Action"] == ["greengrass:Discover"]
    assert discover["Resource"] == ["arn:aws:iot:eu-central-1:123456789012:thing/lindau_*"]


def test_without_client_devices_nucleus_lite_can_run_all_of_it(record: Record, versions: dict[str, str]) -> None:
    host = {"serial_numbers": {"core-a": "4711"}, "host_instance_type": "t3.micro", "nucleus": {"kind": "lite"}}
    checksums = {"nucleus": "0" * 64, "session_manager_agent": "0" * 64}
    site = _site(record, client_devices=False, host_checksums=checksums, **host)
    (template,) = site.of_type("aws:ec2/launchTemplate:LaunchTemplate").values()
    assert "greengrass-lite.target" in base64.b64decode(template["userData"]).decode()
    (deployment,) = site.of_type("aws-native:greengrassv2:Deployment").values()
    assert set(deployment["components"]) == set(versions)
    assert set(site.of_type("aws:iot/policy:Policy")) == {"lindau-policy", "lindau-claim-policy"}
    assert site.outputs["serving_policy"] == ""


LITE: dict[str, Any] = {"nucleus": {"kind": "lite"}, "client_devices": False}


def test_two_hundred_devices_fit_nucleus_lite_with_the_longest_names(record: Record) -> None:
    longest = "x" * 32
    devices = {f"{'d' * 28}-{number:03}": ("machine", "air_quality")[number % 2] for number in range(200)}
    assert _site(record, **LITE, site=longest, core_devices=[longest], devices=devices)


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        (
            {"python": f"/{'p' * 300}"},
            r"GreengrassSite lindau: the deployment has 5,\d\d\d bytes, and nucleus lite has room for 5,000",
        ),
        (
            {"configuration": {"pm.Uplink": json.dumps({"endpoint": "e" * 1_500})}},
            r"the configuration value /endpoint of pm.Uplink has 1,502 bytes, and nucleus lite has room for 1,024",
        ),
        (
            {
                "configuration": {
                    "pm.Uplink": json.dumps({"accessControl": {"x": {"y": {"resources": ["t" * 900] * 5}}}})
                }
            },
            r"the grants of pm.Uplink for x has 4,\d\d\d bytes, and nucleus lite has room for 4,096",
        ),
        (
            {"python": pulumi.Output.from_input(f"/{'p' * 1_100}")},
            r"the configuration value /python of pm.PythonRuntime has 1,103 bytes",
        ),
    ],
)
def test_a_site_that_nucleus_lite_has_no_room_for_is_refused_by_name_and_size(
    record: Record, args: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        _site(record, **LITE, **args)
    assert _site(record, nucleus={"kind": "classic"}, **args)


def _deployed(site: Any) -> dict[str, str]:
    (deployment,) = site.of_type("aws-native:greengrassv2:Deployment").values()
    return {name: component["componentVersion"] for name, component in deployment["components"].items()}


def test_a_plants_nucleus_is_left_alone_until_the_site_states_its_version(record: Record) -> None:
    left_alone = _site(record)
    assert nuclei.COMPONENT not in _deployed(left_alone)
    assert left_alone.outputs["nucleus"] == {"kind": "classic", "version": "2.16.1"}
    stated = _site(record, nucleus={"kind": "classic", "version": "2.15.1"})
    assert _deployed(stated)[nuclei.COMPONENT] == "2.15.1"
    lite = _site(record, nucleus={"kind": "lite", "version": "2.7.0"}, client_devices=False)
    assert not [name for name in _deployed(lite) if name.startswith("aws.greengrass.")]


@pytest.mark.parametrize("version", ["2.6.0", "2.13.0", "2.16.1"])
def test_the_client_device_components_take_the_sites_nucleus_and_one_another(record: Record, version: str) -> None:
    deployed = _deployed(_site(record, nucleus={"version": version}))
    for component, releases in public_components.RELEASES.items():
        (release,) = [one for one in releases if one.version == deployed[component]]
        for other, takes in release.requires.items():
            assert takes is not public_components.UNKNOWN
            assert takes.takes(deployed[other])


def test_the_table_of_releases_names_what_it_does_not_know() -> None:
    for component, releases in public_components.RELEASES.items():
        versions = [nuclei.numbers(one.version) for one in releases]
        assert versions == sorted(versions, reverse=True), f"{component}: the newest first"
        ranges = [takes for one in releases for takes in one.requires.values() if takes is not None]
        assert all(nuclei.numbers(one.at_least) < nuclei.numbers(one.below) for one in ranges)
    # A release that AWS has made for a newer nucleus, without saying for which versions of it.
    (newest, *_) = public_components.RELEASES[public_components.DETECTOR]
    assert (newest.version, newest.is_known) == ("2.2.5", False)
    assert public_components.chosen(nuclei.DEFAULT_VERSIONS[nuclei.NucleusKind.CLASSIC])


def test_a_claim_takes_no_connection_from_a_client_that_has_a_name() -> None:
    (connect, *_) = json.loads(device_policies.claim_policy("", "template"))["Statement"]
    (pattern,) = connect["Resource"]
    for client in (uuid.uuid4() for _ in range(100)):
        assert fnmatch.fnmatchcase(f"client/{client}", pattern)
    for client in ("lindau-core", "lindau-core-uplink", "lindau-core#2", "pm-lindau-air-1", "c" * 36, ""):
        assert not fnmatch.fnmatchcase(f"client/{client}", pattern)


@pytest.mark.parametrize("region", ["eu-central-1", "ap-southeast-1"])
def test_policies_stay_within_what_aws_iot_takes(region: str) -> None:
    head, site = f"arn:aws:iot:{region}:123456789012:", "s" * 32
    texts = [
        device_policies.core_device_policy(site, head, f"{head}rolealias/pm-staging-{site}-token-exchange"),
        device_policies.serving_policy(site, ["c" * 32] * 9, head),
        device_policies.claim_policy(head, "t" * 36),
        device_policies.client_device_policy(site, head),
    ]
    assert all(len(text) <= 2048 for text in texts)
    with pytest.raises(ValueError, match="characters, allowed are 2048"):
        device_policies.core_device_policy(site, head, f"{head}rolealias/{'r' * 1000}")
    with pytest.raises(ValueError, match="30 core devices are too many for one site"):
        device_policies.serving_policy(site, ["c" * 32] * 30, head)
