"""Starts the library's component provider; Pulumi's engine runs `python component_provider ENGINE_ADDRESS`.

It runs in a checkout where `make setup` was run, since the components package code of `edge`, `ml` and `pm_contracts`.
"""

import sys

from pulumi.provider import main

from pm_components.provider import LibraryProvider

if __name__ == "__main__":
    main(LibraryProvider(), sys.argv[1:])
