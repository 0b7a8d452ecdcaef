"""Each call that the real providers make is answered by the emulated cloud, waits end, and what was sent is read back.

A life makes most of the calls of its type by itself; the others are made of the same resource through boto3.

Not proved: that the real providers make these calls and no others, which is read from their sources; and that AWS
answers as the emulated cloud does.
"""

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

import jmespath
import pytest
from botocore import xform_name
from botocore.exceptions import ClientError

from pm_sandbox.cloud import Cloud
from pm_sandbox.provider.absence import is_absence
from pm_sandbox.provider.registry import HANDLERS
from tests.sandbox.provider.lives import LIVES, Lab
from tests.sandbox.provider.provider_calls import ABSENT, ARGUMENTS, CALLS, GONE, NOTHING_SET, SETTLED, Wait
from tests.waiting import eventually


class WatchedLab(Lab):
    """A lab that keeps the calls made through it, as `service:Operation`."""

    def __init__(self, cloud: Cloud) -> None:
        super().__init__(cloud)
        self.made: set[str] = set()
        self._watched: set[str] = set()
        unwatched = self.context.client

        def client(service: str) -> Any:
            found = unwatched(service)
            if service not in self._watched:
                self._watched.add(service)
                found.meta.events.register("before-call", self._keep)
            return found

        self.context.client = client  # type: ignore[method-assign]

    def _keep(self, model: Any, **_others: Any) -> None:
        self.made.add(f"{model.service_model.service_name}:{model.name}")

    def forget(self) -> None:
        """Unregister from the clients, which the cloud's other tests share."""
        for service in self._watched:
            self.client(service).meta.events.unregister("before-call", self._keep)


@pytest.fixture(scope="module")
def lab(cloud: Cloud) -> Iterator[WatchedLab]:
    made = WatchedLab(cloud)
    yield made
    made.forget()


def test_each_type_of_the_provider_has_its_calls_listed() -> None:
    assert set(CALLS) == set(HANDLERS) == set(LIVES)


@pytest.mark.parametrize("token", CALLS)
def test_each_call_of_a_type_is_answered_and_the_resource_reads_back(token: str, lab: WatchedLab) -> None:
    life, provider = LIVES[token](lab), lab.provider
    lab.made.clear()
    inputs, (id_, outputs) = life.inputs, provider.create(token, life.inputs)
    state: dict[str, Any] = {**inputs, **outputs}
    _wait(lab, SETTLED.get(token, ()), id_, state)
    assert provider.read(token, id_, inputs, state) == inputs
    for call in sorted(CALLS[token].all & set(ARGUMENTS)):
        if call not in lab.made:
            _make(lab, call, ARGUMENTS[call](lab, id_, state))
    assert provider.read(token, id_, inputs, state) == inputs
    news = {**inputs, **life.changes}
    news = {key: value for key, value in news.items() if value is not None}
    if life.changes:
        outputs = provider.update(token, id_, inputs, state, news)
    assert provider.read(token, id_, news, {**news, **outputs}) == news
    state = {**news, **outputs}
    _wait(lab, SETTLED.get(token, ()), id_, state)
    provider.delete(token, id_, state)
    _wait(lab, [GONE[token]] if token in GONE else [], id_, state)
    assert CALLS[token].all <= lab.made, f"nobody makes {sorted(CALLS[token].all - lab.made)}"


def _make(lab: Lab, call: str, arguments: dict[str, Any]) -> None:
    service, _, operation = call.partition(":")
    try:
        getattr(lab.client(service), xform_name(operation))(**arguments)
    except ClientError as error:
        if error.response["Error"]["Code"] != NOTHING_SET.get(call):
            raise


def _wait(lab: Lab, waits: Iterable[Wait], id_: str, state: dict[str, Any]) -> None:
    """Look until each of the waits has come to its end."""
    for wait in waits:
        what = f"{wait.operation}: {wait.path} to be one of {wait.targets}"
        eventually(partial(_has_ended, wait, lab, id_, state), what)


def _has_ended(wait: Wait, lab: Lab, id_: str, state: dict[str, Any]) -> bool:
    service, _, operation = wait.operation.partition(":")
    try:
        answer = getattr(lab.client(service), xform_name(operation))(**wait.arguments(lab, id_, state))
    except ClientError as error:
        if is_absence(error):
            return ABSENT in wait.targets
        raise
    return jmespath.search(wait.path, answer) in wait.targets
