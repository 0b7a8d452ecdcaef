"""`python -m pm_sandbox.engine`: an operation whose request is JSON on standard input; it answers in JSON lines."""

import json
import os
import sys
from typing import Any

from pm_sandbox.engine.operation import operate


def main() -> None:
    """Do what standard input asks for."""
    request = json.load(sys.stdin)
    with os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1) as lines:
        # What the program and the engine print is for whoever looks for a failure's reason.
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

        def say(message: dict[str, Any]) -> None:
            lines.write(json.dumps(message) + "\n")

        operate(request, say)


if __name__ == "__main__":
    main()
