"""The first answer of a fresh process: `python -m bench.edge_first_answer WHO FILES..`, for `bench.edge_footprint`.

It prints two lines: `answered` as soon as there is an answer, and then the most memory that it has had, in kB. What is
imported is what the one in question needs, and nothing before it is asked for.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path


def forecaster(model: str, state: str, reading: str) -> None:
    """Ours: the modules of the component and of its bus, the model verified, the state restored, a reading answered."""
    import msgspec

    import pm_edge.components.forecaster.__main__
    import pm_edge.runtime.mqtt_bus  # noqa: F401 - the component has it too
    from pm_contracts.messages import AirQualityReading, decode
    from pm_edge.forecasting.core import Forecaster
    from pm_edge.forecasting.model import ForecastModel
    from pm_edge.runtime.models import load_model

    loaded = load_model(Path(model), ForecastModel)
    arrived = decode(Path(reading).read_bytes(), AirQualityReading)
    known = msgspec.json.decode(Path(state).read_bytes())
    answers = Forecaster(arrived.site, arrived.device, loaded, known).observe(arrived)
    if answers[-1].model_version != loaded.version:
        raise SystemExit(f"the forecast came from {answers[-1].model_version}")


def fault_detector(model: str, reading: str) -> None:
    """Ours: the modules of the component and of its bus, the model verified, a reading scored."""
    import pm_edge.components.fault_detector.__main__
    import pm_edge.runtime.mqtt_bus  # noqa: F401 - the component has it too
    from pm_contracts.messages import MachineReading, decode
    from pm_edge.components.fault_detector.core import FaultDetector
    from pm_edge.components.fault_detector.model import FaultModel
    from pm_edge.runtime.models import load_model

    loaded = load_model(Path(model), FaultModel)
    arrived = decode(Path(reading).read_bytes(), MachineReading)
    if FaultDetector(arrived.site, loaded).score(arrived) is None:
        raise SystemExit("there is no score")


def keras(net: str) -> None:
    """The reference: the component with pandas and Keras on JAX instead, the same net loaded, a row predicted."""
    os.environ |= {"KERAS_BACKEND": "jax", "KERAS_HOME": os.devnull}
    import keras as library
    import pandas as pd

    import pm_contracts.messages  # noqa: F401
    import pm_edge.runtime.mqtt_bus  # noqa: F401 - it would need the bus as well

    loaded = library.saving.load_model(net)
    row = pd.DataFrame([[0.0] * loaded.input_shape[1]])
    loaded.predict(row.to_numpy(), verbose=0)


def xgboost(booster: str) -> None:
    """The reference: the component with XGBoost instead, the same trees loaded, a row predicted."""
    import xgboost as library

    import pm_contracts.messages  # noqa: F401
    import pm_edge.runtime.mqtt_bus  # noqa: F401 - it would need the bus as well

    loaded = library.Booster(params={"nthread": 1}, model_file=booster)
    loaded.predict(library.DMatrix([[0.0] * loaded.num_features()]))


WHO: dict[str, Callable[..., None]] = {each.__name__: each for each in (forecaster, fault_detector, keras, xgboost)}


def main() -> None:
    """Answer, and say so."""
    WHO[sys.argv[1]](*sys.argv[2:])
    print("answered", flush=True)
    # Of this program alone, whereas `ru_maxrss` begins with what the parent had.
    status = Path("/proc/self/status").read_text()
    print(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))


if __name__ == "__main__":
    main()
