"""The MQTT broker: client certificates required, exclusive things, policies of groups, and less work a message.

The emulator lets in a client without a certificate, and then asks no policy. It does not know things that are attached
exclusively, whose policy variables AWS fills whatever the client calls itself, and it asks the policies of a
certificate, but not those of the groups that its things are in. A connection may subscribe without end. It evaluates
the policies with each message, and sends each answer alone.
"""

import logging
import ssl
from typing import Any

from ministack.core import responses
from ministack.services import iot

from pm_components.aws.limits import IOT_SUBSCRIPTIONS_PER_CONNECTION
from pm_sandbox.cloud import device_policies, seams
from pm_sandbox.cloud.timed_cache import TimedCache

log = logging.getLogger("pm.cloud")

_EXCLUSIVE = "EXCLUSIVE_THING"
_KINDS = (_EXCLUSIVE, "NON_EXCLUSIVE_THING")
#: Key of a certificate's record: the ARN of the thing that it is attached to exclusively.
_EXCLUSIVE_THING = "exclusiveThing"


def install() -> None:
    """Change the broker."""
    _require_certificates()
    _know_exclusive_things()
    _ask_policies_of_groups()
    _remember_decisions()
    _limit_subscriptions()
    _join_answers()


def _require_certificates() -> None:
    build = seams.require(iot, "_mtls_build_ssl_context")

    def build_context() -> ssl.SSLContext:
        context: ssl.SSLContext = build()
        context.verify_mode = ssl.CERT_REQUIRED
        return context

    iot._mtls_build_ssl_context = build_context


def _know_exclusive_things() -> None:
    handle = seams.require(iot, "_handle_thing_principals", "method", "path", "headers", "body", "qp")
    context = seams.require(iot, "_mqtt_policy_context", "account_id", "region", "certificate_id", "client_id")
    certificates = seams.require_value(iot, "_certificates", responses.AccountRegionScopedDict)

    def handle_principals(method: str, path: str, headers: dict[str, str], body: bytes, qp: dict[str, Any]) -> Any:
        kind = qp.get("thingPrincipalType", _KINDS[1])
        kind = kind[0] if isinstance(kind, list) else kind
        if kind not in _KINDS:
            return _refused(f"thingPrincipalType {kind!r}: allowed are {' and '.join(_KINDS)}")
        certificate_id = (headers.get("x-amzn-principal") or "").rsplit("/", 1)[-1]
        thing = iot._thing_arn(path.split("/")[2])
        record = certificates.get(certificate_id) or {}
        others = [arn for arn in record.get("attachedThings", []) if arn != thing]
        if method == "PUT" and others and (kind == _EXCLUSIVE or record.get(_EXCLUSIVE_THING)):
            return _refused(f"the principal is attached to {others[0]}; an exclusive attachment allows no other thing")
        answer = handle(method, path, headers, body, qp)
        if method in ("PUT", "DELETE") and answer[0] == 200:
            record = certificates[certificate_id]
            record[_EXCLUSIVE_THING] = thing if method == "PUT" and kind == _EXCLUSIVE else None
            certificates[certificate_id] = record
        return answer

    def policy_context(account_id: str, region: str, certificate_id: str, client_id: str) -> dict[str, str]:
        values: dict[str, str] = context(account_id, region, certificate_id, client_id)
        with responses.request_scope(account_id, region):
            thing = (certificates.get(certificate_id) or {}).get(_EXCLUSIVE_THING)
        if thing:
            values["iot:connection.thing.isattached"] = "true"
            values["iot:connection.thing.thingname"] = thing.rsplit("/", 1)[-1]
        return values

    iot._handle_thing_principals = handle_principals
    iot._mqtt_policy_context = policy_context


def _refused(message: str) -> Any:
    return responses.error_response_json("InvalidRequestException", message, 400)


_ALLOWS_PARAMETERS = (
    "account_id", "region", "certificate_id", "context", "action", "resource", "provisioning_template",
)  # fmt: skip


def _ask_policies_of_groups() -> None:
    """Ask the policies of the groups of the connection's thing too; a claim has the policy of its template alone."""
    allows = seams.require(iot, "_mqtt_policy_allows", *_ALLOWS_PARAMETERS)
    device_policies.check_seams()

    def allows_with_groups(
        account_id: str,
        region: str,
        certificate_id: str,
        context: dict[str, str],
        action: str,
        resource: str,
        provisioning_template: str | None = None,
    ) -> bool:
        arguments = (account_id, region, certificate_id, context, action, resource)
        if provisioning_template is not None:
            return bool(allows(*arguments, provisioning_template))
        return device_policies.mqtt_allows(*arguments)

    iot._mqtt_policy_allows = allows_with_groups


def _remember_decisions() -> None:
    """Keep each decision for a second. AWS takes minutes until a changed policy is in force everywhere."""
    allows = seams.require(iot, "_mqtt_policy_allows", *_ALLOWS_PARAMETERS)
    decisions: TimedCache[bool] = TimedCache()

    def remembered(
        account_id: str,
        region: str,
        certificate_id: str,
        context: dict[str, str],
        action: str,
        resource: str,
        provisioning_template: str | None = None,
    ) -> bool:
        arguments = (account_id, region, certificate_id, context, action, resource, provisioning_template)
        key = (account_id, region, certificate_id, tuple(context.items()), action, resource, provisioning_template)
        return decisions.get(key, lambda: allows(*arguments))

    iot._mqtt_policy_allows = remembered


def _limit_subscriptions() -> None:
    """Refuse the subscription that is one too many for its connection, as one that no policy allows."""
    session_class = seams.require_value(iot, "_WSSession", type)
    allows = session_class._policy_allows

    def allows_within_limit(self: Any, action: str, resource: str) -> bool:
        if action == "iot:Subscribe" and len(self._sub_ids) >= IOT_SUBSCRIPTIONS_PER_CONNECTION:
            log.warning("%s has %d subscriptions: %s is refused", self._client_id, len(self._sub_ids), resource)
            return False
        return bool(allows(self, action, resource))

    session_class._policy_allows = allows_within_limit


def _join_answers() -> None:
    """Send what a session answers to one read from its socket as one write: encryption and system calls cost most."""
    feed = seams.require(iot, "_feed_session", "session", "data", "max_buffer")
    session_class = seams.require_value(iot, "_WSSession", type)
    send_bytes = session_class.send_bytes

    async def send_or_gather(self: Any, b: bytes) -> None:
        gathered: list[bytes] | None = self.__dict__.get("_gathered")
        if gathered is None:
            await send_bytes(self, b)
        else:
            gathered.append(b)

    async def feed_and_send(session: Any, data: bytes, max_buffer: int) -> bool:
        session._gathered = []
        try:
            return bool(await feed(session, data, max_buffer))
        finally:
            gathered, session._gathered = session._gathered, None
            if gathered:
                await send_bytes(session, b"".join(gathered))

    session_class.send_bytes = send_or_gather
    iot._feed_session = feed_and_send
