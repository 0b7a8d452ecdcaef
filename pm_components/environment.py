"""What an environment imposes on all resources of its stack, whichever component they are of."""

from typing import Any, Optional

import pulumi

from pm_components.config import Config
from pm_components.limits import KEY_DELETION_DAYS_MINIMUM
from pm_components.tagging import with_tags

BUCKET = "aws:s3/bucket:Bucket"
TABLE = "aws:dynamodb/table:Table"
KEY = "aws:kms/key:Key"
VOLUME = "aws:ebs/volume:Volume"
_LOG_GROUP = "aws:cloudwatch/logGroup:LogGroup"
_ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"

#: Types that hold what cannot be made again.
PROTECTED_TYPES = frozenset({BUCKET, TABLE, KEY, VOLUME})


def impose(stack: Config) -> None:
    """Impose it on every resource that the program registers from now on.

    - the stack's tags, on each resource that takes tags; one of the same key from a component or a resource wins;
    - `log_retention_days` on every log group, `alarm_actions` on every alarm;
    - where the stack is disposable, keys are deleted after the shortest wait that AWS allows, rather than their own,
      and volumes without a last snapshot;
    - where it is protected, Pulumi refuses to delete or replace buckets, tables, keys and volumes. Its error then says
      how to let go: set `pm:protected` to false and run `pulumi up`, or `pulumi state unprotect URN`.
    """
    inputs: dict[str, dict[str, Any]] = {
        _LOG_GROUP: {"retention_in_days": stack.log_retention_days},
        _ALARM: {"actions_enabled": stack.alarm_actions},
    }
    if stack.disposable:
        inputs[KEY] = {"deletion_window_in_days": KEY_DELETION_DAYS_MINIMUM}
        inputs[VOLUME] = {"final_snapshot": False}

    def transform(args: pulumi.ResourceTransformationArgs) -> Optional[pulumi.ResourceTransformationResult]:
        props = {**with_tags(args.type_, args.props, stack.tags), **inputs.get(args.type_, {})}
        guard = pulumi.ResourceOptions(protect=True) if stack.protected and args.type_ in PROTECTED_TYPES else None
        return pulumi.ResourceTransformationResult(props, pulumi.ResourceOptions.merge(args.opts, guard))

    pulumi.runtime.register_stack_transformation(transform)
