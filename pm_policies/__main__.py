"""The policy pack, as `pulumi up --policy-pack pm_policies` starts it: it serves the rules and does not return."""

import sys
from pathlib import Path

# The engine starts a pack in its own folder; the rules share validators with the library beside it.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pm_policies.pack import PACK, serve
from pm_policies.rules import RULES

serve(PACK, RULES)
