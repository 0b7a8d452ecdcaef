"""Pulumi's own engine killed in the middle of an update, and a resource that fails in the middle, on a small program.

Not proved: what a real cloud has made of a call that was under way (here the call ends after the engine is gone).
"""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pm_sandbox.provider import Context, InputError
from pm_sandbox.provider.inputs import Inputs
from pm_sandbox.provider.modelled_cloud import ModelledCloud
from pm_sandbox.provider.registry import HANDLERS, Creation
from tests.engine.conftest import Served
from tests.engine.engine import ROOT, Engine, EngineError

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]
FUNCTION = "aws:lambda/function:Function"
CONFIG = {"greeting": "moin", "aws:region": "eu-central-1"}


@pytest.fixture
def small(cli: Path, served: Served, tmp_path: Path) -> Iterator[Engine]:
    """The engine for the small program, which is destroyed at the end."""
    engine = Engine(
        cli, tmp_path, served.port, program=ROOT / "tests" / "sandbox" / "deployer" / "programs" / "small", file="dev"
    )
    yield engine
    engine.run("destroy", CONFIG)


def _only_checks(context: Context) -> bool:
    """Return whether a handler is asked for the calls that it would make."""
    return isinstance(context.cloud, ModelledCloud)


def test_an_engine_that_is_killed_goes_on_where_it_was(
    small: Engine, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    making, killed, made = threading.Event(), threading.Event(), threading.Event()
    create = HANDLERS[FUNCTION].create

    def slowly(inputs: Inputs, context: Context) -> Any:
        if _only_checks(context):
            return create(inputs, context)
        making.set()
        killed.wait(60)
        try:
            return create(inputs, context)
        finally:
            made.set()

    with monkeypatch.context() as patched:
        patched.setitem(HANDLERS, FUNCTION, Creation(slowly, HANDLERS[FUNCTION].ignores))
        # One at a time: what else would be under way could not be told from here.
        child = small.start("up", CONFIG, parallel=1)
        assert making.wait(120)
        child.kill()
        killed.set()
        assert made.wait(60)
    assert '"creating"' in small.state_text(), "the state says that a function was being made"
    small.run("cancel", CONFIG)
    # The engine does not know that the call went through: it makes the function again, and the cloud has it already.
    with pytest.raises(EngineError, match="small-function"):
        small.run("up", CONFIG)
    served.cloud.client("lambda").delete_function(FunctionName="small-function")
    small.run("refresh", CONFIG, clear_pending_creates=True)
    small.run("up", CONFIG)
    assert small.run("preview", CONFIG).changed == {}


def test_after_a_resource_that_failed_the_rest_is_made(small: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    create = HANDLERS[FUNCTION].create

    def refuses(inputs: Inputs, context: Context) -> Any:
        if _only_checks(context):
            return create(inputs, context)
        raise InputError("refused for once")

    with monkeypatch.context() as patched:
        patched.setitem(HANDLERS, FUNCTION, Creation(refuses, {}))
        with pytest.raises(EngineError, match="refused for once"):
            small.run("up", CONFIG)
    done = small.run("up", CONFIG)
    assert "function" in done.changed["create"]
    assert "queue" not in done.changed["create"], "what was made before stays"
    assert "moin" not in small.state_text(), "the secret is encrypted"


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        (
            'name="wrong", configuration={"resultConfiguraton": {}}',
            "configuration.resultConfiguraton: there is no such input",
        ),
        ('name="wrong name"', "athena CreateWorkGroup: Value 'wrong name' at 'Name' failed"),
    ],
)
def test_what_the_sdk_or_a_services_model_refuses_ends_a_preview(
    cli: Path, served: Served, tmp_path: Path, inputs: str, reason: str
) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: wrong\nruntime: python\n")
    (tmp_path / "__main__.py").write_text(f'import pulumi_aws\n\npulumi_aws.athena.Workgroup("wrong", {inputs})\n')
    engine = Engine(cli, tmp_path / "engine", served.port, program=tmp_path)
    with pytest.raises(EngineError, match=reason):
        engine.run("preview", {"aws:region": "eu-central-1"})
