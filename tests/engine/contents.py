"""A cloud's answers about a stack: all that it tells of each resource, to be compared before and after."""

import json
from typing import Any

from pm_sandbox.cloud import Cloud
from pm_sandbox.provider import Context, Provider

#: Parts of an answer that are of the call and not of the resource: the place of a function's code is a link that is
#: signed anew, its digest stays; a table can be restored until now.
_OF_THE_CALL = {"Code", "EarliestRestorableDateTime", "LatestRestorableDateTime", "ResponseMetadata"}


def contents(cloud: Cloud, deployment: dict[str, Any]) -> dict[str, str]:
    """The answers to the calls by which the provider reads a resource, by URN: whole, with times, versions and digests.

    Args:
        cloud: The cloud.
        deployment: The stack's state; see `Engine.deployment`.
    """
    context = _Listening(cloud)
    provider = Provider(context)
    found = {}
    for one in deployment["resources"]:
        if one.get("custom") and not one["type"].startswith("pulumi:"):
            context.answers, context.id = [], one["id"]
            state = {**one.get("inputs", {}), **one.get("outputs", {})}
            read = provider.read(one["type"], one["id"], {}, state)
            assert read is not None, f"{one['urn']} is gone"
            found[one["urn"]] = json.dumps(context.answers, default=str, sort_keys=True)
    return found


class _Listening(Context):
    """A context that keeps what the cloud answers."""

    def __init__(self, cloud: Cloud) -> None:
        super().__init__(cloud)
        self.answers: list[Any] = []
        self.id = ""
        self._heard: set[str] = set()

    def client(self, service: str) -> Any:
        client = super().client(service)
        if service not in self._heard:
            self._heard.add(service)
            client.meta.events.register("after-call", self._keep)
        return client

    def _keep(self, parsed: dict[str, Any], **_: Any) -> None:
        if "Aliases" in parsed:
            # Those of all stacks: KMS describes no single one.
            parsed = {"Aliases": [one for one in parsed["Aliases"] if one["AliasName"] == self.id]}
        self.answers.append(_of_the_resource(parsed))


def _of_the_resource(answer: Any) -> Any:
    if isinstance(answer, dict):
        return {key: _of_the_resource(value) for key, value in answer.items() if key not in _OF_THE_CALL}
    return [_of_the_resource(item) for item in answer] if isinstance(answer, list) else answer
