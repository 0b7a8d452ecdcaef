"""Resource Groups Tagging API: finds what AWS IoT and SageMaker keep, too.

The emulator's GetResources answers nothing for a service that it does not know the tags of, as if there were nothing.
"""

from collections.abc import Iterator

from ministack.services import tagging

from pm_sandbox.cloud import seams


def collect(service: str, tags: dict[str, list[dict[str, str]]]) -> None:
    """Let GetResources find the resources of a service by their tags.

    Args:
        service: as an ARN names it.
        tags: the tags of each resource by its ARN, as the service goes on to keep them.
    """

    def collector() -> Iterator[tuple[str, list[dict[str, str]]]]:
        yield from list(tags.items())

    seams.require_value(tagging, "_COLLECTORS", dict)[service] = collector


def install() -> None:
    """Find what AWS IoT keeps."""
    collectors = seams.require_value(tagging, "_COLLECTORS", dict)
    collectors["iot"] = seams.require(tagging, "_collect_iot")
