"""An environment's settings of all resources of its stack, whichever component they are of."""

from collections.abc import Sequence
from typing import Any, Optional

import pulumi

from pm_components.aws.limits import KEY_DELETION_DAYS_MINIMUM
from pm_components.stack.config import Config

BUCKET = "aws:s3/bucket:Bucket"
TABLE = "aws:dynamodb/table:Table"
KEY = "aws:kms/key:Key"
VOLUME = "aws:ebs/volume:Volume"
GUARD = "pm:stack:Guard"
_LOG_GROUP = "aws:cloudwatch/logGroup:LogGroup"
_ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"

#: Types that hold what cannot be made again.
PROTECTED_TYPES = frozenset({BUCKET, TABLE, KEY, VOLUME})


def impose(stack: Config) -> None:
    """Impose it on every resource that the program registers from now on.

    The tags are not among it: whose a resource is the components take as their argument `ownership`, in any language.

    - `log_retention_days` on every log group, `alarm_actions` on every alarm;
    - where the stack is disposable, keys are deleted after the shortest wait that AWS allows, rather than their own,
      and volumes without a last snapshot;
    - where it is protected, Pulumi refuses to delete or replace buckets, tables, keys and volumes. Its error then says
      how to let go: set `pm:protected` to false and run `pulumi up`, or `pulumi state unprotect URN`. That
      alone keeps only these: `guard` keeps the rest.
    """
    inputs: dict[str, dict[str, Any]] = {
        _LOG_GROUP: {"retention_in_days": stack.log_retention_days},
        _ALARM: {"actions_enabled": stack.alarm_actions},
    }
    if stack.disposable:
        inputs[KEY] = {"deletion_window_in_days": KEY_DELETION_DAYS_MINIMUM}
        inputs[VOLUME] = {"final_snapshot": False}

    def transform(args: pulumi.ResourceTransformationArgs) -> Optional[pulumi.ResourceTransformationResult]:
        props = {**args.props, **inputs.get(args.type_, {})}
        kept = pulumi.ResourceOptions(protect=True) if stack.protected and args.type_ in PROTECTED_TYPES else None
        return pulumi.ResourceTransformationResult(props, pulumi.ResourceOptions.merge(args.opts, kept))

    pulumi.runtime.register_stack_transformation(transform)


def guard(stack: Config, guarded: Sequence[pulumi.Resource]) -> None:
    """Register a component that depends on everything, protected where the stack is, so that all of it stays or goes.

    Protecting single resources does not keep a stack: the engine deletes all the others before it ends with an error,
    where nobody looks at a preview (`pulumi destroy --skip-preview`, the Automation API). It deletes in the reverse
    order of dependencies, so that the guard would be first, and is refused. What the guard depends on can still be
    replaced, and be removed by an update of a program that no longer has it.

    Args:
        stack: says whether the stack is protected. In one that is not the guard stands unprotected: the update that
            lets go of a stack has to release it, and cannot delete it.
        guarded: all that the program made. A component stands for its children.
    """
    opts = pulumi.ResourceOptions(protect=stack.protected, depends_on=guarded)
    pulumi.ComponentResource(GUARD, "guard", None, opts).register_outputs({})
