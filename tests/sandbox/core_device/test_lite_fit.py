"""The room of nucleus lite for a deployment, and for a site's.

Not proved here: that a real nucleus lite counts alike. The sizes are those of its source, and a deployment has the form
that those in the tests of AWS's nucleus have.
"""

import json
from typing import Any

import pytest

from pm_components.aws import limits, recipes
from pm_components.functions import component_recipes
from pm_components.greengrass_site import lite_limits
from pm_components.greengrass_site.edge_components import sources
from pm_sandbox.core_device import CoreDevice, CoreDeviceError
from pm_sandbox.core_device.deployments import DeploymentError, DeviceState, parse_deployment
from pm_sandbox.core_device.lite_fit import check
from pm_sandbox.core_device.plug_ins import RunningNucleus
from pm_sandbox.core_device.recipes import Recipe, parse_recipe
from tests.sandbox.core_device.site_by_hand import CANARY, Site

VALUES = {
    "python": "/opt/pm/venv/bin/python",
    "dataDirectory": "/var/lib/pm",
    "flowControl": "aws",
    "endpoint": "a1b2c3d4e5f6g7-ats.iot.eu-central-1.amazonaws.com",
}
DEVICES = {"air-1": "air_quality", "machine-01": "machine"}


def parsed() -> dict[str, Recipe]:
    """The components of a site as a device has them."""
    found = {}
    for source in (*sources(), recipes.site_devices("lindau", DEVICES)):
        text = source.published("bucket", "components").recipe
        document = json.loads(text)
        for manifest in document["Manifests"]:
            for artifact in manifest.get("Artifacts", []):
                artifact["Digest"] = "0" * 44
        found[source.name] = parse_recipe(document)
    return found


def checked(merges: dict[str, dict[str, Any]], resets: dict[str, list[str]] | None = None) -> None:
    known = parsed()
    components = {
        name: {
            "componentVersion": known[name].version,
            "configurationUpdate": {"merge": json.dumps(merge), "reset": (resets or {}).get(name, [])},
        }
        for name, merge in merges.items()
    }
    job = {"deploymentId": "1", "deploymentName": "components", "targetArn": "a:thinggroup/g", "components": components}
    deployment = parse_deployment(job)
    check(deployment, "lindau-core", DeviceState().with_deployment(deployment), known)


def as_before(devices: dict[str, str]) -> dict[str, dict[str, Any]]:
    """The merge of a site's deployment before: all of its values, and its grants written out, a line a device."""
    merges = {}
    for source in sources():
        defaults = component_recipes.default_configuration(source.recipe)
        merge = {key: value for key, value in VALUES.items() if key in defaults}
        if "accessControl" in defaults:
            merge |= {"site": "lindau", "devices": ",".join(f"{name}={type_}" for name, type_ in devices.items())}
            merge["accessControl"] = json.loads(json.dumps(defaults["accessControl"]).replace("SITE", "lindau"))
            for policies in merge["accessControl"].values():
                for policy in policies.values():
                    policy["resources"] = [
                        topic.replace("*", name)
                        for topic in policy["resources"]
                        for name in (devices if "*" in topic else [""])
                    ]
        merges[source.name] = merge
    return merges


def test_the_smallest_site_fits_and_did_not_as_it_was_deployed_before() -> None:
    with pytest.raises(DeploymentError, match=r"the deployment has 5,\d{3} bytes, and nucleus lite has room for 5,000"):
        checked(as_before(DEVICES))
    known = [*sources(), recipes.site_devices("lindau", DEVICES)]
    updates = {source.name: recipes.site_configuration(source.recipe, "lindau", VALUES) for source in known}
    checked({name: one.merge for name, one in updates.items()}, {name: one.reset for name, one in updates.items()})


def test_a_line_for_each_of_sixty_devices_is_larger_than_a_configuration_value() -> None:
    devices = {f"machine-{number:03}": "machine" for number in range(60)}
    with pytest.raises(DeploymentError, match=r"value /accessControl/.*/resources of pm.Replayer has 1,\d{3} bytes"):
        checked({"pm.Replayer": as_before(devices)["pm.Replayer"]})


@pytest.mark.parametrize(
    ("value", "copied", "structure"),
    [
        ("text", 4, 0),
        ({"key": "text"}, 21 + 3 + 4, 21),
        (["a", "bc"], 2 * 11 + 3, 22),
        ({"a": {"b": [1, True, "x"]}}, 21 + 1 + 21 + 1 + 33 + 1, 21 + 21 + 33),
    ],
)
def test_memory_is_counted_as_lite_allocates_it(value: Any, copied: int, structure: int) -> None:
    assert lite_limits._copied_bytes(value) == copied
    assert lite_limits._structure_bytes(value) == structure


def test_each_buffer_is_told_by_name_with_what_is_used_of_it() -> None:
    component = lite_limits.LiteComponent(
        "1.0.0", {"site": "lindau"}, (), {"site": "lindau", "accessControl": {"s": {}}}
    )
    uses = {use.what: use for use in lite_limits.uses(lite_limits.LiteDeployment("d", "g", "t", {"pm.X": component}))}
    assert uses["the configuration value /site of pm.X"].used == len('"lindau"')
    assert uses["the grants of pm.X for s"] == lite_limits.Use("the grants of pm.X for s", 0, limits.LITE_GRANT_BYTES)
    assert {use.limit for use in uses.values()} == {
        limits.LITE_MQTT_PACKET_BYTES,
        limits.LITE_JOB_OBJECT_BYTES,
        limits.LITE_CONFIGURATION_VALUE_BYTES,
    } | {limits.LITE_DEPLOYMENT_BYTES}


def test_a_device_with_nucleus_lite_refuses_what_it_has_no_room_for(site: Site, folder: Any) -> None:
    lifecycle = {"install": {"Script": "true"}, "run": {"Script": "true"}}
    site.component("test.Lite", "1.0.0", lifecycle, files={"a": "b"}, configuration={"list": ""})
    with CoreDevice.start(
        # A folder of its own: other tests have the same device run a classic nucleus, and a device changes for none.
        site.cloud,
        folder.parent / f"{CANARY}-lite",
        CANARY,
        site.output,
        RunningNucleus("lite", "2.6.0"),
    ) as lite:

        def deploy(value: str) -> str:
            update = {"merge": json.dumps({"list": value})}
            component = {"componentVersion": "1.0.0", "configurationUpdate": update}
            return site.deploy({"test.Lite": component}, f"{CANARY.removesuffix('-core-2')}-canary")

        with pytest.raises(CoreDeviceError, match=r"the configuration value /list of test.Lite has 1,202 bytes"):
            lite.wait_for_deployment(deploy("x" * 1_200))
        assert lite.wait_for_deployment(deploy("x" * 900))["code"] == "SUCCESSFUL"
