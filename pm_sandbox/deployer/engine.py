"""Our own small engine: takes a cloud from what earlier deployments made to what the program registers now."""

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from pm_sandbox.deployer.aliases import earlier_urns
from pm_sandbox.deployer.masking import MASK
from pm_sandbox.deployer.owners import Owners
from pm_sandbox.deployer.planning import (
    Known,
    Plan,
    deletion_levels,
    ignoring,
    plan,
    refuse_protected,
    replaced_along,
)
from pm_sandbox.deployer.records import DeploymentError, Operation, ResourceRecord, Step
from pm_sandbox.deployer.registration import PROVIDERS, Registration
from pm_sandbox.deployer.vault import Vault
from pm_sandbox.provider import InputError, Made, Provider
from pm_sandbox.provider.wire import secret

#: Deletions at a time: they wait for the cloud, not for a processor.
_THREADS = 16


class Engine:
    """Makes, changes, replaces and deletes resources. Its methods are called from several threads.

    Attributes:
        records: What was registered and is in the cloud now, by URN, each after what it depends on.
    """

    def __init__(
        self,
        provider: Provider,
        vault: Vault,
        on_step: Callable[[Step], None],
        olds: Sequence[ResourceRecord] = (),
        beside: Iterable[ResourceRecord] = (),
    ) -> None:
        """Work with a provider; call `on_step` for each step that is done, from one thread at a time.

        Args:
            provider: Of the cloud.
            vault: For what is secret.
            on_step: Hears of each step.
            olds: What the stack has in the cloud already, each after what it depends on.
            beside: What other stacks have there.
        """
        self.records: dict[str, ResourceRecord] = {}
        self._provider = provider
        self._vault = vault
        self._on_step = on_step
        #: Earlier records that are not done with, in their order.
        self._left = list(olds)
        self._olds = {record.urn: record for record in olds if not record.pending_delete}
        self._owners = Owners([*beside, *olds])
        self._registered: dict[str, Registration] = {}
        #: The earlier URN of what has another one now, and the reverse.
        self._known_as: dict[str, str] = {}
        self._renamed: dict[str, str] = {}
        #: URNs of what was deleted since something that it depends on is replaced.
        self._deleted_along: set[str] = set()
        self._lock = threading.RLock()

    def register(self, new: Registration) -> tuple[str, dict[str, Any]]:
        """Take a resource to what was registered.

        Returns:
            Its id, and its outputs beside its inputs, secrets in the form of the wire.

        Raises:
            DeploymentError: if that is refused.
            Exception: what the cloud or the provider says.
        """
        with self._lock:
            new = self._noted(new)
            old = self._old(new)
            wanted = ignoring(new.ignore_changes, old.inputs, new.inputs) if old else new.inputs
            if old is not None and old.record.urn in self._deleted_along:
                planned = Plan("replace", [], deletes_first=True)
            else:
                planned = plan(old, new, wanted, self._provider.diff)
            if planned.action == "replace":
                self._refuse_to_replace(old, new)
        if new.custom:
            self._check(new)
        if old is None:
            return self._create(new, "create", [])
        if planned.action == "replace":
            return self._replace(old, new, planned)
        return self._keep(old, new, wanted, planned)

    def set_outputs(self, urn: str, outputs: dict[str, Any]) -> bool:
        """Set the outputs of a component; False if there is no such."""
        with self._lock:
            if urn not in self.records:
                return False
            self.records[urn] = replace(self.records[urn], outputs=outputs)
            return True

    def finish(self) -> None:
        """Delete what was not registered any more, and what was replaced, what depends on something before that.

        Raises:
            DeploymentError: if something is protected, with nothing deleted then; or if something cannot be deleted,
                with all deleted that goes at the same time or before.
        """
        refuse_protected((one for one in self._left if not one.pending_delete), "deletion")
        for level in deletion_levels(self._left):
            with ThreadPoolExecutor(_THREADS) as pool:
                failures = [one for one in pool.map(self._tried, level) if one is not None]
            if failures:
                raise failures[0]

    def state(self) -> list[ResourceRecord]:
        """The stack's resources in the cloud, each after those that it depends on."""
        with self._lock:
            return [*self.records.values(), *self._left]

    def _noted(self, new: Registration) -> Registration:
        """The registration, with what it has from its parent."""
        above = self._registered.get(new.parent)
        if above is not None:
            new = replace(
                new,
                protect=above.protect if new.protect is None else new.protect,
                retain_on_delete=above.retain_on_delete if new.retain_on_delete is None else new.retain_on_delete,
            )
        self._registered[new.urn] = new
        return new

    def _old(self, new: Registration) -> Known | None:
        """The earlier record of a resource, under its name or an alias."""
        if other := self._renamed.get(new.urn):
            raise DeploymentError(f"{other} has been {new.urn} by an alias, so that there cannot be another")
        for urn in [new.urn, *earlier_urns(new.urn, new.parent, new.aliases, self._known_as)]:
            if urn not in self._olds:
                continue
            if urn != new.urn:
                if (other := self._renamed.get(urn)) or urn in self._registered:
                    raise DeploymentError(f"has the alias {urn}, which is {other or 'registered itself'}")
                self._known_as[new.urn], self._renamed[urn] = urn, new.urn
            return self._opened(self._olds[urn])
        return None

    def _opened(self, record: ResourceRecord) -> Known:
        if not record.sealed:
            return Known(record, record.inputs, record.outputs)
        values = self._vault.opened(record.sealed)
        return Known(record, values["inputs"], values["outputs"])

    def _check(self, new: Registration) -> None:
        if new.type.startswith(PROVIDERS):
            refused = [f"{one.input} {one.reason}" for one in self._provider.check_configuration(new.values)]
        else:
            refused = [str(one) for one in self._provider.check(new.type, new.checked)]
        if refused:
            raise DeploymentError("; ".join(refused))

    def _refuse_to_replace(self, old: Known | None, new: Registration) -> None:
        # What is let go of by this very update may be replaced by it, as Pulumi has it.
        if old is not None and new.protect:
            refuse_protected([old.record], "replacement")

    def _create(self, new: Registration, step: Operation, why: list[str]) -> tuple[str, dict[str, Any]]:
        made = Made("", {})
        if new.type.startswith(PROVIDERS):
            # The sandbox has one, and all that are configured alike are that one.
            made = Made(new.name, {})
        elif new.custom:
            made = self._provider.create(new.type, new.values)
            with self._lock:
                self._owners.claim(new.type, made.id, new.urn)
        with self._lock:
            self.records[new.urn] = self._record(new, made, new.inputs, new.shown)
            self._tell(step, new, why)
        return made.id, self._told(new, new.inputs, made.outputs, hidden=False)

    def _keep(self, old: Known, new: Registration, wanted: dict[str, Any], planned: Plan) -> tuple[str, dict[str, Any]]:
        """Leave it as it is, or change it in place."""
        record = old.record
        outputs = {key: value for key, value in old.outputs.items() if key not in old.inputs} if new.custom else {}
        if planned.action == "update" and new.custom:
            news = ignoring(new.ignore_changes, old.inputs, new.values)
            outputs = self._provider.update(new.type, record.physical_id, old.inputs, old.outputs, news)
        shown = ignoring(new.ignore_changes, record.inputs, new.shown)
        with self._lock:
            self._left.remove(record)
            self._owners.rename(record.type, record.physical_id, new.urn)
            made = Made(record.physical_id, outputs)
            self.records[new.urn] = self._record(new, made, wanted, shown)
            self._tell("update" if planned.action == "update" else "same", new, planned.inputs)
        return record.physical_id, self._told(new, wanted, outputs, hidden=bool(record.sealed))

    def _replace(self, old: Known, new: Registration, planned: Plan) -> tuple[str, dict[str, Any]]:
        if planned.deletes_first:
            if old.record.urn not in self._deleted_along:
                self._delete_with_dependents(old)
            self._tell("replace", new, planned.inputs)
            return self._create(new, "create-replacement", planned.inputs)
        made = self._create(new, "create-replacement", planned.inputs)
        with self._lock:
            self._left[self._left.index(old.record)] = replace(old.record, pending_delete=True)
            self._tell("replace", new, planned.inputs)
        return made

    def _delete_with_dependents(self, root: Known) -> None:
        with self._lock:
            later = self._left[self._left.index(root.record) + 1 :]
            others = [self._opened(record) for record in later if not record.pending_delete]
            settled = {self._known_as.get(urn, urn) for urn in self._registered}
            along = replaced_along(root, others, settled, self._provider.diff)
            refuse_protected((one.record for one in along), f"replacement along with {root.record.urn}")
            self._deleted_along |= {one.record.urn for one in along}
        for one in reversed(along):
            self._delete(one.record, "delete-replaced")
        self._delete(root.record, "delete-replaced")

    def _tried(self, record: ResourceRecord) -> DeploymentError | None:
        """Delete it; answers what went wrong, if anything."""
        try:
            self._delete(record, "delete-replaced" if record.pending_delete else "delete")
        except Exception as error:
            return DeploymentError(f"{record.type} {record.name!r}: {reason(error)}")
        return None

    def _delete(self, record: ResourceRecord, step: Operation) -> None:
        if record.custom and not record.retain_on_delete and not record.type.startswith(PROVIDERS):
            self._provider.delete(record.type, record.physical_id, self._opened(record).outputs)
        with self._lock:
            self._left.remove(record)
            self._owners.release(record.type, record.physical_id, record.urn)
            self._tell(step, record, [])

    def _record(self, new: Registration, made: Made, inputs: dict[str, Any], shown: dict[str, Any]) -> ResourceRecord:
        outputs = made.outputs
        secrets = {key: MASK for key in new.secret_outputs if key in outputs}
        sealed = ""
        if shown != inputs or secrets:
            sealed = self._vault.sealed({"inputs": inputs, "outputs": {**inputs, **outputs}})
        return ResourceRecord(
            **new.place(),
            physical_id=made.id,
            inputs=shown,
            outputs={**shown, **outputs, **secrets} if new.custom else {},
            provider=new.provider,
            protect=bool(new.protect),
            retain_on_delete=bool(new.retain_on_delete),
            replace_on_changes=new.replace_on_changes,
            sealed=sealed,
        )

    def _told(
        self, new: Registration, wanted: dict[str, Any], outputs: dict[str, Any], *, hidden: bool
    ) -> dict[str, Any]:
        """The outputs for the program, and those inputs that are not as it asked: it ignores their changes.

        Where the record has secrets, what was kept of it may be one of them.
        """
        other = [key for key in wanted.keys() | new.inputs.keys() if wanted.get(key) != new.inputs.get(key)]
        kept = {key: secret(wanted.get(key)) if hidden else wanted.get(key) for key in other}
        secrets = {key: secret(outputs[key]) for key in new.secret_outputs if key in outputs}
        return {**kept, **outputs, **secrets}

    def _tell(self, operation: Operation, one: Registration | ResourceRecord, why: list[str]) -> None:
        with self._lock:
            self._on_step(Step(operation, one.type, one.name, one.urn, why))


def reason(error: Exception) -> str:
    """The text of an error: the cloud's and our own speak for themselves, of others the kind must be told."""
    if isinstance(error, ClientError | BotoCoreError | InputError | DeploymentError):
        return str(error)
    return f"{type(error).__name__}: {error}"
