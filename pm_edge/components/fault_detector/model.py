"""The fault models: what a device asks them, and which answers it takes for nonsense."""

from collections.abc import Sequence

from pm_contracts.manifest import MANIFEST_FILE, FaultManifest
from pm_contracts.measurements import MACHINE_MEASUREMENTS
from pm_contracts.messages import Refused
from pm_contracts.model_kinds import FAULT
from pm_edge.runtime.models import Model, numbers


class FaultModel(Model):
    """A fault model, ready to answer."""

    kind, outputs = FAULT, 1

    def __init__(self, manifest: FaultManifest, content: bytes) -> None:
        """Load the model; see the base class. Also refused: a model of other measurements than a machine's."""
        if manifest.features != list(MACHINE_MEASUREMENTS):
            raise Refused(f"{MANIFEST_FILE}: the features are not the {len(MACHINE_MEASUREMENTS)} of a machine")
        super().__init__(manifest, content)
        self.manifest = manifest
        #: The ONNX model, for what explains its answers.
        self.content = content

    def probability(self, measurements: Sequence[float | None]) -> float | None:
        """The probability of a fault.

        Args:
            measurements: in the order of `MACHINE_MEASUREMENTS`, None where missing.

        Returns:
            None if the answer is no probability.
        """
        (answer,) = self.ask(numbers(measurements))
        return answer if 0 <= answer <= 1 else None
