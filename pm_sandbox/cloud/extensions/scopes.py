"""Routes the calls to the services that extensions add without asking botocore for all of AWS's.

Where the emulator does not know the service that a call is signed for, it loads the model of every AWS service to tell
a service from an S3 path; that holds its event loop for three seconds. Of one with a handler nobody need ask that.
"""

from ministack import app
from ministack.core import router

from pm_sandbox.cloud import seams


def install() -> None:
    """Take whoever has a handler for a service."""
    is_aws_service = seams.require(router, "_is_aws_service_name", "scope_name")
    handlers = seams.require_value(app, "SERVICE_HANDLERS", dict)

    def is_service(scope_name: str) -> bool:
        return scope_name in handlers or bool(is_aws_service(scope_name))

    router._is_aws_service_name = is_service
