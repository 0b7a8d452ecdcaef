"""Facts that a provider knows, as its account and region, each asked once in a run of a program."""

from typing import Any, Optional
from weakref import WeakKeyDictionary

import pulumi
from pulumi.runtime.settings import get_monitor

#: Answers by the connection to the engine, of which each run of a program and each component that a provider constructs
#: has its own, then by function, arguments and explicit provider (None: the default one). They go with the connection.
_answers: WeakKeyDictionary[Any, dict[tuple[Any, Optional[pulumi.ProviderResource]], Any]] = WeakKeyDictionary()


def looked_up(function: Any, parent: pulumi.Resource, **arguments: str) -> Any:
    """The answer of a function of pulumi-aws, which is asked once of each provider.

    Args:
        function: its form that answers an output.
        parent: whose provider is asked, as it is for a resource of this parent.
        arguments: the function's.
    """
    provider = parent.get_provider("aws:index:Provider")
    asked = (function, *sorted(arguments.items()))
    answers = _answers.setdefault(get_monitor(), {})
    if (asked, provider) not in answers:
        answers[asked, provider] = function(**arguments, opts=pulumi.InvokeOutputOptions(provider=provider))
    return answers[asked, provider]
