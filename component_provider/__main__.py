"""Starts the library's component provider; Pulumi's engine runs `python component_provider ENGINE_ADDRESS`.

It runs in a checkout where `make setup` was run, since the components package code of `pm_edge`, `pm_ml` and
`pm_contracts`, and a Lambda layer; its interpreter is that of an environment of its own, which does not have the
checkout installed.
"""

import sys
from pathlib import Path

from pulumi.provider import main

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pm_components.provider import LibraryProvider

if __name__ == "__main__":
    main(LibraryProvider(), sys.argv[1:])
