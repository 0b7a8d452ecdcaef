"""The meaning of a notification of Auto Scaling for the certificates of a core device, without I/O."""

import datetime as dt
import json
from collections.abc import Mapping
from typing import NamedTuple, Optional

_TERMINATING = "autoscaling:EC2_INSTANCE_TERMINATING"
#: The notice that Auto Scaling sends when a lifecycle hook is made or changed.
_TEST = "autoscaling:TEST_NOTIFICATION"


class Termination(NamedTuple):
    """An instance that waits for its end, and how to say that it need not wait any longer."""

    group: str
    hook: str
    instance: str
    token: str
    at: dt.datetime
    """Time at which Auto Scaling gave it up."""


def termination(body: str) -> Optional[Termination]:
    """The termination that a notification tells of; None if it is Auto Scaling's test of the way.

    Source of the keys: "Receive notification using Amazon SQS", Amazon EC2 Auto Scaling user guide.

    Raises:
        ValueError: if it is neither.
    """
    try:
        found = json.loads(body)
        if found.get("Event") == _TEST:
            return None
        if found["LifecycleTransition"] != _TERMINATING:
            raise ValueError(f"LifecycleTransition: found {found['LifecycleTransition']}, allowed is {_TERMINATING}")
        return Termination(
            group=found["AutoScalingGroupName"],
            hook=found["LifecycleHookName"],
            instance=found["EC2InstanceId"],
            token=found["LifecycleActionToken"],
            at=dt.datetime.fromisoformat(found["Time"]).astimezone(dt.UTC),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"no notification of Auto Scaling: {type(error).__name__}: {error}") from error


def of_the_dead(certificates: Mapping[str, dt.datetime], at: dt.datetime) -> list[str]:
    """The certificates that a terminated host had, of all that its thing has.

    The host after it makes its own once the name is free. So one made later is of a successor, and a notification that
    comes twice, or late from the dead letters, does it no harm.

    Args:
        certificates: when each was made, by its ARN.
        at: when the host was given up.
    """
    return sorted(arn for arn, made in certificates.items() if made < at)
