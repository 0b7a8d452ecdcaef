"""A nucleus's rules on components: which may start, and which are up or broken after a deployment."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from pm_components.greengrass_site.nuclei import NucleusKind
from pm_sandbox.core_device.deployments import DeploymentError, is_public
from pm_sandbox.core_device.recipes import LITE_WAITS, Recipe
from pm_sandbox.core_device.supervisor import Program, State, Supervisor

#: Seconds between two looks of a classic nucleus at the components that a deployment starts
#: (`WAIT_SVC_START_POLL_INTERVAL_MILLISEC` of its class `DeploymentConfigMerger`).
_LOOKED_AT_EVERY = 1.0
#: Seconds that nucleus lite gives the components before it looks at them (`wait_for_deployment_status`).
_LITE_HEAD_START = 5.0
_UP = (State.RUNNING, State.FINISHED)


class BrokenError(DeploymentError):
    """A component that is broken after a deployment, in a nucleus's words; `cause` has its own."""

    def __init__(self, name: str, version: str, problem: str) -> None:
        super().__init__(f"Service {name} in broken state after deployment")
        self.cause = f"{name} {version} is broken: {problem}"


class Judge(ABC):
    """Judges the components that a supervisor runs.

    Args:
        supervisor: Runs them.
    """

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor

    @abstractmethod
    def may_start(self, recipe: Recipe | None, starting: Sequence[str]) -> Callable[[], bool]:
        """Return whether a component that is installed may go on.

        Args:
            recipe: Its recipe; None for one of the nucleus's own.
            starting: All that the deployment starts.
        """

    @abstractmethod
    async def settled(self, programs: Sequence[Program]) -> None:
        """Wait until those that a deployment started are up.

        Raises:
            DeploymentError: if one of them is broken, or not up in time.
        """

    def _is_up(self, name: str) -> bool:
        return self._supervisor.state(name) in _UP

    def _check_none_is_broken(self, programs: Sequence[Program]) -> None:
        for program in programs:
            if (problem := self._supervisor.problem(program.name)) is not None:
                raise BrokenError(program.name, program.version, problem)


class _ClassicJudge(Judge):
    def may_start(self, recipe: Recipe | None, starting: Sequence[str]) -> Callable[[], bool]:  # noqa: ARG002
        """Let it go on where what it depends on HARD is up; a SOFT dependency is not waited for.

        So does `dependencyReady` of the nucleus's class `GreengrassService`.
        """
        dependencies = recipe.dependencies if recipe is not None else {}
        hard = [other for other, (_, is_hard) in dependencies.items() if is_hard and not is_public(other)]
        return lambda: all(map(self._is_up, hard))

    async def settled(self, programs: Sequence[Program]) -> None:
        """Look at the components once a second until all are up: one that is up then may fail later, unnoticed."""
        while True:
            self._check_none_is_broken(programs)
            if all(self._is_up(program.name) for program in programs):
                return
            await asyncio.sleep(_LOOKED_AT_EVERY)


class _LiteJudge(Judge):
    def may_start(self, recipe: Recipe | None, starting: Sequence[str]) -> Callable[[], bool]:  # noqa: ARG002
        """Let it go on where all components that the deployment starts have been installed."""
        return lambda: all(map(self._supervisor.is_installed, starting))

    async def settled(self, programs: Sequence[Program]) -> None:
        """Wait for all install steps, then a few seconds, then for one component after the other."""
        await self._wait_for_each(programs, self._supervisor.is_installed)
        await asyncio.sleep(_LITE_HEAD_START)
        await self._wait_for_each(programs, self._is_up)

    async def _wait_for_each(self, programs: Sequence[Program], is_there: Callable[[str], bool]) -> None:
        for program in programs:

            def is_decided(name: str = program.name) -> bool:
                return is_there(name) or self._supervisor.state(name) is State.BROKEN

            try:
                async with asyncio.timeout(LITE_WAITS):
                    await self._supervisor.until(is_decided)
            except TimeoutError:
                raise DeploymentError(f"waited {LITE_WAITS:.0f} s for {program.name}") from None
            self._check_none_is_broken([program])


def judge_of(supervisor: Supervisor) -> Judge:
    """The judge of a supervisor's kind of nucleus."""
    return _LiteJudge(supervisor) if supervisor.kind is NucleusKind.LITE else _ClassicJudge(supervisor)
