"""Role aliases of AWS IoT, which the emulator lacks: made, described, listed, changed, tagged and deleted.

The endpoint at which a device takes on the role is not played; the emulated core device assumes it through STS.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from ministack import app
from ministack.core import responses
from ministack.services import iam, iot

from pm_sandbox.cloud import seams
from pm_sandbox.cloud.modelled_service import Answer, ApiError, ModelledService, Operation, Request, now, page

_Handle = Callable[..., Awaitable[Answer]]

_PATH = "/role-aliases"
_PASSED_TO = "credentials.iot.amazonaws.com"
#: Default of credentialDurationSeconds, CreateRoleAlias of the AWS IoT API reference.
_CREDENTIAL_SECONDS = 3600


@dataclass(frozen=True)
class RoleAliases:
    """The operations on role aliases.

    Attributes:
        aliases: The descriptions by name, for each account and region.
    """

    aliases: Any

    def create(self, request: Request) -> dict[str, Any]:
        """Make an alias of a role that the caller may pass on."""
        given, name, arn = request.input, request.input["roleAlias"], alias_arn(request)
        if name in self.aliases:
            raise ApiError(
                "ResourceAlreadyExistsException", f"RoleAlias {name} already exists", resourceId=name, resourceArn=arn
            )
        self._check(request, {"credentialDurationSeconds": _CREDENTIAL_SECONDS, **given})
        if refused := iot._tags_error(given.get("tags"), required=False):
            raise ApiError("InvalidRequestException", refused[2].decode())
        self.aliases[name] = {
            "roleAlias": name,
            "roleAliasArn": arn,
            "roleArn": given["roleArn"],
            "owner": request.account_id,
            "credentialDurationSeconds": given.get("credentialDurationSeconds", _CREDENTIAL_SECONDS),
            "creationDate": now(),
            "lastModifiedDate": now(),
        }
        iot._set_created_tags(arn, given.get("tags"))
        return {"roleAlias": name, "roleAliasArn": arn}

    def describe(self, request: Request) -> dict[str, Any]:
        """One alias."""
        return {"roleAliasDescription": self._known(request)}

    def list(self, request: Request) -> dict[str, Any]:
        """The names of all aliases, in their order."""
        names = sorted(self.aliases, reverse=not request.input.get("ascendingOrder"))
        some, marker = page(names, request.input, "pageSize", "marker")
        return {"roleAliases": some, "nextMarker": marker}

    def update(self, request: Request) -> dict[str, Any]:
        """Give an alias another role, or its credentials another duration."""
        known = self._known(request)
        names = ("roleArn", "credentialDurationSeconds")
        changed = {**known, **{name: request.input[name] for name in names if name in request.input}}
        self._check(request, changed)
        self.aliases[known["roleAlias"]] = {**changed, "lastModifiedDate": now()}
        return {"roleAlias": known["roleAlias"], "roleAliasArn": known["roleAliasArn"]}

    def delete(self, request: Request) -> dict[str, Any]:
        """Forget an alias."""
        known = self._known(request)
        del self.aliases[known["roleAlias"]]
        iot._tags.pop(known["roleAliasArn"], None)
        return {}

    def _known(self, request: Request) -> dict[str, Any]:
        name = request.input["roleAlias"]
        if name not in self.aliases:
            raise ApiError("ResourceNotFoundException", f"RoleAlias {name} does not exist")
        found: dict[str, Any] = self.aliases[name]
        return found

    @staticmethod
    def _check(request: Request, alias: dict[str, Any]) -> None:
        """Refuse a role that may not be passed on, and credentials that outlast the role's sessions.

        "This value must be less than or equal to the maximum session duration of the IAM role that the role alias
        references": credentialDurationSeconds of CreateRoleAlias.
        """
        request.authorize("iam:PassRole", alias["roleArn"], {"iam:PassedToService": _PASSED_TO})
        role = iam._roles.get(alias["roleArn"].rsplit("/", 1)[-1])
        longest = int((role or {}).get("MaxSessionDuration") or _CREDENTIAL_SECONDS)
        if role is not None and alias["credentialDurationSeconds"] > longest:
            raise ApiError(
                "InvalidRequestException",
                f"credentialDurationSeconds {alias['credentialDurationSeconds']} is more than the maximum session "
                f"duration of {alias['roleArn']}, {longest}",
            )


def alias_arn(request: Request) -> str:
    """The ARN of the alias that a request names."""
    return f"{request.arn_prefix('iot')}:rolealias/{request.input['roleAlias']}"


def _with_aliases(
    handle: Callable[..., Awaitable[Answer]], service: ModelledService
) -> Callable[..., Awaitable[Answer]]:
    """AWS IoT, with the paths of role aliases taken by a service of ours."""

    async def handled(
        method: str, path: str, headers: dict[str, str], body: bytes, query_params: dict[str, Any]
    ) -> Answer:
        ours = path == _PATH or path.startswith(f"{_PATH}/")
        return await (service.handle if ours else handle)(method, path, headers, body, query_params)

    return handled


def install() -> None:
    """Serve role aliases beside the rest of AWS IoT, which keeps their tags."""
    handlers = seams.require_value(app, "SERVICE_HANDLERS", dict)
    seams.require(iot, "_tags_error", "tags", "required", "missing_value")
    seams.require(iot, "_set_created_tags", "arn", "tags")
    seams.require_value(iam, "_roles", responses.AccountScopedDict)
    kept = RoleAliases(responses.AccountRegionScopedDict())

    def one(request: Request) -> list[str]:
        return [alias_arn(request)]

    service = ModelledService(
        "iot",
        "iot",
        {
            "CreateRoleAlias": Operation(kept.create, one),
            "DescribeRoleAlias": Operation(kept.describe, one),
            "ListRoleAliases": Operation(kept.list),
            "UpdateRoleAlias": Operation(kept.update, one),
            "DeleteRoleAlias": Operation(kept.delete, one),
        },
    )
    handlers["iot"] = _with_aliases(handlers["iot"], service)
    taggable = seams.require_value(iot, "_TAGGABLE_RESOURCES", dict)
    taggable["rolealias"] = (kept.aliases, "RoleAlias {name} does not exist.")
