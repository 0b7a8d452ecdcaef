"""Access to the AWS account that a stack's configuration points at, by the credentials that Pulumi's provider takes.

A command that looks at or changes what a stack deployed must speak to the account that `pulumi up` speaks to. So the
keys of the provider `aws` are honoured as it does; one that decides where calls go, and is not honoured, is refused.
The keys are those of pulumi-aws 7 (`pulumi_aws.Provider`).
"""

import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

Clients = Callable[[str], Any]
"""Gives the boto3 client of a service."""

_HONOURED = frozenset({
    "accessKey", "allowedAccountIds", "assumeRoleWithWebIdentity", "assumeRoles", "customCaBundle", "endpoints",
    "forbiddenAccountIds", "httpProxy", "httpsProxy", "insecure", "profile", "region", "secretKey",
    "sharedConfigFiles", "sharedCredentialsFiles", "stsRegion", "token", "useDualstackEndpoint", "useFipsEndpoint",
})  # fmt: skip
#: Keys that do not decide who is asked: tags, retries, checks, the style of addresses.
_WITHOUT_EFFECT = frozenset({
    "defaultTags", "ignoreTags", "maxRetries", "retryMode", "s3UsEast1RegionalEndpoint", "s3UsePathStyle",
    "skipCredentialsValidation", "skipMetadataApiCheck", "skipRegionValidation", "skipRequestingAccountId",
    "tagPolicyCompliance", "tokenBucketRateLimiterCapacity", "userAgents",
})  # fmt: skip
#: Keys of pulumi-aws 6, and what took their place in 7.
_RENAMED = {"assumeRole": "assumeRoles", "sharedCredentialsFile": "sharedCredentialsFiles"}
#: Units of a role's `duration`.
_SECONDS = {"h": 3600, "m": 60, "s": 1}
_DURATION = re.compile(r"(?:\d+[hms])+")
#: The SDK's names of services whose endpoint the provider names otherwise.
_ENDPOINTS = {"stepfunctions": "sfn"}


class AccessRefused(Exception):
    """Credentials, account or region that are not those that the stack asks for; the text says which."""


class Access(NamedTuple):
    """An account and a region."""

    account: str
    region: str
    clients: Clients


class _Role(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel", kw_only=True):
    """An entry of `aws:assumeRoles`."""

    role_arn: str
    session_name: str = "pm"
    duration: str | None = None
    external_id: str | None = None
    policy: str | None = None
    policy_arns: list[str] = []
    source_identity: str | None = None
    tags: dict[str, str] = {}
    transitive_tag_keys: list[str] = []


class _WebIdentity(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel", kw_only=True):
    """The value of `aws:assumeRoleWithWebIdentity`."""

    role_arn: str
    session_name: str = "pm"
    duration: str | None = None
    policy: str | None = None
    policy_arns: list[str] = []
    web_identity_token: str | None = None
    web_identity_token_file: str | None = None


def access(configuration: Mapping[str, str]) -> Access:
    """Log in as Pulumi's provider `aws` does for this configuration, and ask who that is.

    Args:
        configuration: text by `namespace:key`, objects as JSON; what it leaves out, the environment decides.

    Raises:
        AccessRefused: if a key is not honoured, credentials are missing or refused, or the account is not among
            `aws:allowedAccountIds` or is among `aws:forbiddenAccountIds`.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    keys = {key.removeprefix("aws:"): value for key, value in configuration.items() if key.startswith("aws:")}
    _refuse_unknown(keys)
    # Greengrass is made by the provider `aws-native`, which knows no endpoint of its own for it.
    native = _read(configuration, "aws-native:endpoints", dict[str, str], {})
    try:
        made = _logged_in(keys, native.get("cloudcontrol"))
    except (BotoCoreError, ClientError, OSError) as error:
        reason = " ".join(str(error).split())
        raise AccessRefused(f"cannot log in to AWS as the configuration says: {reason}") from error
    allowed, forbidden = (_numbers(keys, key) for key in ("allowedAccountIds", "forbiddenAccountIds"))
    if allowed and made.account not in allowed:
        raise AccessRefused(
            f"the credentials are of account {made.account}, aws:allowedAccountIds allows {', '.join(allowed)}"
        )
    if made.account in forbidden:
        raise AccessRefused(f"the credentials are of account {made.account}, which aws:forbiddenAccountIds names")
    return made


def require_deployed(made: Access, arns: Iterable[str], what: str) -> None:
    """Refuse an account or a region that is not where the resources are.

    Args:
        made: who is asked.
        arns: of the resources; a part that an ARN leaves empty is not compared.
        what: whose resources they are, for the error.

    Raises:
        AccessRefused: naming what was found and what is wanted.
    """
    parts = [arn.split(":", 5) for arn in arns]
    accounts = {part[4] for part in parts if part[4].isdigit()}
    regions = {part[3] for part in parts if part[3]}
    if accounts - {made.account}:
        raise AccessRefused(
            f"{what} is in account {', '.join(sorted(accounts))}, the credentials are of account {made.account}: "
            "set aws:profile, aws:assumeRoles or AWS_PROFILE to log in to the former"
        )
    if regions - {made.region}:
        raise AccessRefused(
            f"{what} is in region {', '.join(sorted(regions))}, the configuration says {made.region}: set aws:region"
        )


def _refuse_unknown(keys: Mapping[str, str]) -> None:
    for key in sorted(keys):
        if key in _RENAMED:
            raise AccessRefused(f"aws:{key} is no key of pulumi-aws 7, allowed is the list aws:{_RENAMED[key]}")
        if key not in _HONOURED | _WITHOUT_EFFECT:
            raise AccessRefused(
                f"aws:{key} is not honoured by pm, and may decide which account is asked; allowed are "
                f"{', '.join(sorted(_HONOURED))}"
            )


def _logged_in(keys: Mapping[str, str], greengrass_endpoint: str | None) -> Access:
    import boto3
    import botocore.session
    from botocore.config import Config

    core = botocore.session.Session(profile=keys.get("profile"))
    for key, variable in (("sharedConfigFiles", "config_file"), ("sharedCredentialsFiles", "credentials_file")):
        if files := _read(keys, key, list[str], []):
            if len(files) > 1:
                raise AccessRefused(f"aws:{key} has {len(files)} files, pm reads one: put them together")
            core.set_config_variable(variable, str(Path(files[0]).expanduser()))
    proxies = {scheme: keys[key] for scheme, key in (("http", "httpProxy"), ("https", "httpsProxy")) if key in keys}
    config = Config(
        proxies=proxies or None,
        use_dualstack_endpoint=_flag(keys, "useDualstackEndpoint"),
        use_fips_endpoint=_flag(keys, "useFipsEndpoint"),
    )
    verify: bool | str | None = False if _flag(keys, "insecure") else keys.get("customCaBundle")
    (own,) = _read(keys, "endpoints", tuple[dict[str, str]], ({},))
    endpoints = {"greengrassv2": greengrass_endpoint, **own}

    def client(session: Any, service: str, **more: Any) -> Any:
        endpoint = endpoints.get(_ENDPOINTS.get(service, service))
        return session.client(service, endpoint_url=endpoint, config=config, verify=verify, **more)

    # boto3 alone does not read AWS_REGION, which the provider does before the profile.
    region = keys.get("region") or os.environ.get("AWS_REGION") or core.get_config_variable("region")
    if not region:
        raise AccessRefused("there is no region: set aws:region, as eu-central-1")
    session = boto3.Session(
        botocore_session=core,
        region_name=region,
        aws_access_key_id=keys.get("accessKey"),
        aws_secret_access_key=keys.get("secretKey"),
        aws_session_token=keys.get("token"),
    )
    of_sts = {"region_name": keys["stsRegion"]} if "stsRegion" in keys else {}
    for operation, request in _role_requests(keys):
        # Each role is assumed with the credentials of the one before it.
        answer = getattr(client(session, "sts", **of_sts), operation)(**request)["Credentials"]
        session = boto3.Session(
            region_name=region,
            aws_access_key_id=answer["AccessKeyId"],
            aws_secret_access_key=answer["SecretAccessKey"],
            aws_session_token=answer["SessionToken"],
        )
    account = client(session, "sts", **of_sts).get_caller_identity()["Account"]
    return Access(account, region, lambda service: client(session, service))


def _role_requests(keys: Mapping[str, str]) -> list[tuple[str, dict[str, Any]]]:
    """The calls to AWS STS that the configuration asks for, in order: the method of its client, and the arguments."""
    calls = []
    web = _read(keys, "assumeRoleWithWebIdentity", _WebIdentity | None, None)
    if web is not None:
        token = web.web_identity_token
        if token is None:
            if web.web_identity_token_file is None:
                raise AccessRefused("aws:assumeRoleWithWebIdentity: webIdentityToken or webIdentityTokenFile is needed")
            token = Path(web.web_identity_token_file).expanduser().read_text().strip()
        calls.append(("assume_role_with_web_identity", {**_common(web), "WebIdentityToken": token}))
    for role in _read(keys, "assumeRoles", list[_Role], []):
        own = {
            "ExternalId": role.external_id,
            "SourceIdentity": role.source_identity,
            "Tags": [{"Key": key, "Value": value} for key, value in sorted(role.tags.items())],
            "TransitiveTagKeys": role.transitive_tag_keys,
        }
        calls.append(("assume_role", _common(role) | {name: value for name, value in own.items() if value}))
    return calls


def _common(role: _Role | _WebIdentity) -> dict[str, Any]:
    request: dict[str, Any] = {"RoleArn": role.role_arn, "RoleSessionName": role.session_name}
    if role.duration is not None:
        if not _DURATION.fullmatch(role.duration):
            raise AccessRefused(f"the duration of role {role.role_arn} is {role.duration}, allowed is one as 1h30m")
        parts = re.findall(r"(\d+)([hms])", role.duration)
        request["DurationSeconds"] = sum(int(number) * _SECONDS[unit] for number, unit in parts)
    if role.policy is not None:
        request["Policy"] = role.policy
    if role.policy_arns:
        request["PolicyArns"] = [{"arn": arn} for arn in role.policy_arns]
    return request


def _read(values: Mapping[str, str], key: str, kind: Any, default: Any) -> Any:
    """A structured value, checked."""
    if key not in values:
        return default
    try:
        return msgspec.json.decode(values[key], type=kind, strict=False)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise AccessRefused(f"{key if ':' in key else f'aws:{key}'}: {error}") from error


def _numbers(keys: Mapping[str, str], key: str) -> list[str]:
    """Account numbers; YAML gives those that are not quoted as integers."""
    return [str(number) for number in _read(keys, key, list[str | int], [])]


def _flag(keys: Mapping[str, str], key: str) -> bool | None:
    return keys[key].lower() == "true" if key in keys else None
