"""Gives an Auto Scaling group another launch template when it is updated, which the emulator leaves as it was."""

from typing import Any

from ministack.core import responses
from ministack.services import autoscaling

from pm_sandbox.cloud import seams


def _with_template(update: Any) -> Any:
    def updated(p: dict[str, Any]) -> Any:
        group = autoscaling._asgs.get(autoscaling._p(p, "AutoScalingGroupName"))
        if group is not None and (template := autoscaling._p(p, "LaunchTemplate.LaunchTemplateId")):
            group["LaunchTemplate"] = {
                "LaunchTemplateId": template,
                "LaunchTemplateName": template,
                "Version": autoscaling._p(p, "LaunchTemplate.Version") or "$Default",
            }
        return update(p)

    return updated


def install() -> None:
    """Set the launch template before the rest of an update."""
    seams.require_value(autoscaling, "_asgs", responses.AccountRegionScopedDict)
    handlers = seams.require_value(autoscaling, "_ACTION_MAP", dict)
    handlers["UpdateAutoScalingGroup"] = _with_template(seams.require(autoscaling, "_update_asg", "p"))
