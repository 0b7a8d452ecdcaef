"""The forecast models: what a device asks them, and which answers it takes for nonsense."""

import math
from collections.abc import Sequence

from pm_contracts.forecast_features import FEATURES
from pm_contracts.manifest import MANIFEST_FILE, ForecastManifest
from pm_contracts.messages import Refused
from pm_contracts.model_kinds import FORECAST
from pm_edge.runtime.models import Model


class ForecastModel(Model):
    """A forecast model, ready to answer."""

    kind, outputs = FORECAST, 2

    def __init__(self, manifest: ForecastManifest, content: bytes) -> None:
        """Load the model; see the base class. Also refused: a model of other features than this device computes."""
        if manifest.features != list(FEATURES):
            different = sorted(set(manifest.features) ^ set(FEATURES)) or "their order"
            raise Refused(f"{MANIFEST_FILE}: the features are not those that this device computes: {different}")
        if manifest.horizon_hours != 1:
            raise Refused(f"{MANIFEST_FILE}: horizon_hours {manifest.horizon_hours}, and this device forecasts 1")
        super().__init__(manifest, content)
        self.manifest = manifest

    def answer(self, features: Sequence[float]) -> tuple[float, float] | None:
        """The change of PM2.5 until the target hour and its spread, both ug/m3.

        Args:
            features: in the order of `FEATURES`, NaN where unknown.

        Returns:
            None if the answer is nonsense: not finite, or a larger change than the manifest allows.
        """
        change, spread = self.ask(features)
        if not (abs(change) <= self.manifest.maximum_change and 0 < spread < math.inf):
            return None
        return change, spread
