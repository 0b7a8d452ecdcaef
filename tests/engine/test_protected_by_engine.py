"""A protected stack, production, loses nothing in any way to run Pulumi's engine over it.

It is made once; each test would take it down, and the next finds it whole.

Not proved: what somebody deletes past the engine, or lets go of in the state (`pulumi state unprotect`).
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pm_sandbox.provider.provider import Provider
from tests.engine.conftest import Served
from tests.engine.engine import ROOT, Engine, EngineError

STACK = "prod"
#: Programs that have lost the guard, and all else.
WITHOUT_GUARD = """
import runpy

from pm_components.stack import environment

environment.guard = lambda *_: None
runpy.run_path({program!r}, run_name="__main__")
"""
EMPTY = "import pulumi\n"
pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]


class Production:
    """The stack, and what the provider was asked to delete of it."""

    def __init__(self, engine: Engine, variants: Callable[[str], Engine]) -> None:
        self.engine = engine
        self.variants = variants
        self.deleted: list[str] = []

    def urns(self) -> set[str]:
        """The resources in the state."""
        return {one["urn"] for one in json.loads(self.engine.state_text())["checkpoint"]["latest"]["resources"]}


@pytest.fixture(scope="module")
def production(
    cli: Path, served: Served, tmp_path_factory: pytest.TempPathFactory, figures: dict[str, Any]
) -> Iterator[Production]:
    folder = tmp_path_factory.mktemp("production")
    for name in ("Pulumi.yaml", f"Pulumi.{STACK}.yaml"):
        (folder / name).symlink_to(ROOT / name)

    def variant(program: str) -> Engine:
        (folder / "__main__.py").write_text(program)
        return Engine(cli, folder, served.port, program=folder, stack=STACK, file=STACK)

    made = Production(Engine(cli, folder, served.port, stack=STACK, file=STACK), variant)
    delete = Provider.delete

    def counted(self: Provider, token: str, id_: str, state: dict[str, Any]) -> None:
        made.deleted.append(f"{token} {id_}")
        delete(self, token, id_, state)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Provider, "delete", counted)
        made.engine.run("up", policy_packs=[str(ROOT / "pm_policies")])
        yield made
    figures["production_deleted"] = len(made.deleted)


# The Automation API shows no preview of what it does.
def _deletes_nothing(production: Production, engine: Engine, operation: str, **options: Any) -> None:
    before = production.urns()
    with pytest.raises(EngineError, match=r"Guard::guard.* cannot be deleted"):
        engine.run(operation, **options)
    assert production.deleted == []
    assert production.urns() == before


def test_a_destroy_deletes_nothing(production: Production) -> None:
    assert len(production.urns()) > 200
    _deletes_nothing(production, production.engine, "destroy")


def test_a_destroy_of_what_is_not_protected_deletes_nothing(production: Production) -> None:
    before = production.urns()
    done = production.engine.run("destroy", exclude_protected=True)
    assert "delete" not in done.changes
    assert (production.deleted, production.urns()) == ([], before)


def test_a_destroy_of_one_resource_and_all_that_needs_it_deletes_nothing(production: Production) -> None:
    (stream,) = [urn for urn in production.urns() if urn.endswith("FirehoseDeliveryStream::store-forecast-stream")]
    _deletes_nothing(production, production.engine, "destroy", target=[stream], target_dependents=True)


def test_an_update_by_an_empty_program_deletes_nothing(production: Production) -> None:
    _deletes_nothing(production, production.variants(EMPTY), "up")


def test_an_update_by_a_program_without_its_guard_deletes_nothing(production: Production) -> None:
    without = WITHOUT_GUARD.format(program=str(ROOT / "__main__.py"))
    _deletes_nothing(production, production.variants(without), "up")
