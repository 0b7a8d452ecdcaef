"""A resource's inputs before it is made: against the SDK's annotations, then against the models of AWS's services."""

from typing import Any, NamedTuple

from pm_sandbox.provider.inputs import Failure, InputError, Inputs
from pm_sandbox.provider.modelled_cloud import ModelledCloud
from pm_sandbox.provider.registry import HANDLERS, Context
from pm_sandbox.provider.sdk_inputs import violations
from pm_sandbox.provider.sdk_types import UnknownTypeError
from pm_sandbox.provider.wire import UNKNOWN


class Judgement(NamedTuple):
    """The result of the checks.

    Attributes:
        failures: What the provider or AWS would refuse.
        unheld: Why the resource, or a part of it, is held to no service's model; empty where all of it is, or where it
            could not be yet, since an input is not known: the engine asks again once it is.
    """

    failures: list[Failure]
    unheld: str


def judge(token: str, values: dict[str, Any], region: str, account_id: str) -> Judgement:
    """Check the inputs of a resource.

    The calls that making it takes are made in a `ModelledCloud`, where the SDK has nothing against the inputs. Values
    that are `UNKNOWN` pass.

    Args:
        token: the type.
        values: the inputs by the name that reaches the engine.
        region: the cloud's.
        account_id: the account's.
    """
    try:
        if failures := violations(token, values):
            return Judgement(failures, "")
    except UnknownTypeError:
        return Judgement([], "no SDK of aws or aws-native that is installed has this type")
    if token not in HANDLERS:
        return Judgement([], "the sandbox has no handler for this type")
    cloud, inputs = ModelledCloud(region, account_id), Inputs(values)
    unheld = ""
    try:
        HANDLERS[token].create(inputs, Context(cloud))
        if dropped := [path for path in inputs.unread() if path not in HANDLERS[token].ignores]:
            unheld = f"the sandbox cannot honour the input(s) {', '.join(dropped)}"
    except InputError as error:
        unheld = str(error)
    except Exception:
        # A handler may take apart what is not known yet.
        if not _has_unknown(values):
            raise
    return Judgement([Failure("", text) for text in cloud.refused], "" if _has_unknown(values) else unheld)


def _has_unknown(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_has_unknown, value.values()))
    if isinstance(value, list):
        return any(map(_has_unknown, value))
    return isinstance(value, str) and UNKNOWN in value
