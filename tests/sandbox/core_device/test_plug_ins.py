"""A nucleus's dependencies on paper: which releases of AWS's plug-ins a deployment may name on which nucleus.

Not proved here: that AWS's own resolver decides alike (its rules were read in its code, the ranges in its documents).
"""

import pytest

from pm_components.greengrass_site import nuclei, public_components
from pm_components.greengrass_site.public_components import AUTH, BRIDGE, BROKER, DETECTOR, SHADOWS
from pm_sandbox.core_device.deployments import DeploymentError
from pm_sandbox.core_device.plug_ins import RunningNucleus, resolved

NEWEST = RunningNucleus("classic", "2.18.0")
#: The releases that a site had before it stated its nucleus.
EARLIER = {AUTH: "2.5.5", BROKER: "2.3.7", BRIDGE: "2.3.2", DETECTOR: "2.2.0", SHADOWS: "2.3.9"}


@pytest.mark.parametrize("plug_in", [DETECTOR, SHADOWS])
def test_a_plug_in_that_does_not_take_the_running_nucleus_fails_the_deployment(plug_in: str) -> None:
    version = EARLIER[plug_in]
    complaint = rf"would update the nucleus, .* 2.18.0 .*{plug_in} {version} requires >=2.\d.0 <2.14.0"
    with pytest.raises(DeploymentError, match=complaint):
        resolved(NEWEST, {plug_in: version})
    with pytest.raises(DeploymentError, match="would update the nucleus"):
        resolved(NEWEST, EARLIER)
    assert resolved(RunningNucleus("classic", "2.13.0"), EARLIER).version == "2.13.0"


def test_a_nucleus_that_is_named_changes_where_the_plug_ins_take_it() -> None:
    chosen = {name: release.version for name, release in public_components.chosen("2.16.1").items()}
    assert resolved(NEWEST, {**chosen, nuclei.COMPONENT: "2.16.1"}) == RunningNucleus("classic", "2.16.1")
    with pytest.raises(DeploymentError, match=r"REQUIREMENTS_NOT_MET: 2.18.0 of aws.greengrass.Nucleus is deployed;"):
        resolved(RunningNucleus("classic", "2.16.1"), {**chosen, nuclei.COMPONENT: "2.18.0"})


def test_plug_ins_that_no_nucleus_takes_together_are_told() -> None:
    apart = {DETECTOR: "2.2.0", AUTH: "2.5.5"}
    assert resolved(RunningNucleus("classic", "2.13.0"), apart)
    with pytest.raises(DeploymentError, match="would update"):
        resolved(NEWEST, apart)


def test_what_depends_on_a_component_that_is_not_deployed_is_told() -> None:
    with pytest.raises(DeploymentError, match=rf"no version of {AUTH} is deployed; {BROKER} 2.3.7 requires >=2.2.0"):
        resolved(RunningNucleus(), {BROKER: "2.3.7"})


@pytest.mark.parametrize(
    ("version", "complaint"),
    [
        ("2.2.5", "AWS does not document which versions of aws.greengrass.Nucleus it takes"),
        ("9.9.9", "what it depends on is not known here; known are 2.2.5, "),
    ],
)
def test_a_range_that_nobody_knows_is_refused_and_not_guessed(version: str, complaint: str) -> None:
    with pytest.raises(DeploymentError, match=complaint):
        resolved(NEWEST, {DETECTOR: version})


@pytest.mark.parametrize("component", [AUTH, nuclei.COMPONENT])
def test_nucleus_lite_has_no_version_of_a_classic_nucleus_parts(component: str) -> None:
    with pytest.raises(DeploymentError, match=f"{component} has no version for nucleus lite 2.6.0"):
        resolved(RunningNucleus("lite", "2.6.0"), {component: "2.16.1"})


def test_other_components_of_aws_are_left_to_aws() -> None:
    assert resolved(NEWEST, {"aws.greengrass.Cli": "2.0.0", "pm.Uplink": "1.0.0"}) == NEWEST
