"""Counts the calls on loopback as made over TLS.

The APIs are served over plain HTTP on loopback, and a policy that denies what does not come over TLS (as ours for each
bucket) would shut out every role.
"""

from ministack import app

from pm_sandbox.cloud import seams


def install() -> None:
    """Pin every request as a secure one."""
    pin = seams.require(app, "pin_request_origin", "source_ip", "secure_transport")

    def pin_as_secure(source_ip: str, secure_transport: bool) -> None:  # noqa: ARG001 - the emulator's signature
        pin(source_ip, True)

    app.pin_request_origin = pin_as_secure
