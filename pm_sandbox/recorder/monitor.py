"""The monitor of the recorder: keeps what a program registers, and answers with what AWS would make up."""

import json
import re
import threading
from collections import Counter
from dataclasses import replace
from typing import Any

from pm_sandbox.deployer.masking import MASK
from pm_sandbox.deployer.monitor import Monitor
from pm_sandbox.deployer.records import DeploymentError
from pm_sandbox.deployer.registration import PROVIDERS, Registration
from pm_sandbox.provider import Context, Provider
from pm_sandbox.provider.checks import Judgement, judge
from pm_sandbox.provider.wire import UNKNOWN, plain, secret
from pm_sandbox.recorder import Registered
from pm_sandbox.recorder.arns import arn

ACCOUNT = "123456789012"
#: The public key of no private key that anybody has.
PUBLIC_KEY = """\
-----BEGIN PUBLIC KEY-----
MIIBojANBgkqhkiG9w0BAQEFAAOCAY8AMIIBigKCAYEAs9/KmtiTWe0nxieBhjgv
lmOwcUniHFXuuIiA0AVMksDjLR8tLlrKwRkllZ42OXPIhQN9JliiIrWfkyvcQ8kz
17UtVHeVohVFYbBsawuCGVp2c8LUcpQbdrPk7O8k0urymtdSJhd8pyOp2Npm/I0F
l2Wn1otFIW7OZB4au71dSUbl6LddaaDrJlr391Rv2O1a4NX4SlgGrWPHFxpK6sA3
b7lA4IJ7SsKcCrWj38cv7TLPwLvub/Dwp7ngIyDJ/0v01klY09Gnky2oPMTCCTp6
ZcScrGLHrCqMmARJQT5yCERrBLnQh2U4Oj53YNAqgZiVjZWCXAatf+IG6JL1Ytup
pGKtqwJ5b1yJ8ndtIlXGSvvUMXk7VI2RAkxZ7AN6Flfv3YNwJIpe+LljQit6Spam
frdi970WAoqZyz6AZIJX8bkeLRZCR7pnxZr0N03D6T/VyrdxfUFF9xeNaVPtO91q
qtzzdhWv4dgIq9r3gO16qLQcc5XRiLpirNXDCSOR5GjTAgMBAAE=
-----END PUBLIC KEY-----
"""
ENDPOINT = "a1b2c3d4e5f6g7-ats.iot.eu-central-1.amazonaws.com"


class _NoCloud:
    """The answers to the provider without a cloud."""

    account_id = ACCOUNT
    mqtt_host = ENDPOINT

    def __init__(self, region: str) -> None:
        self.region = region

    def client(self, service: str) -> Any:
        raise DeploymentError(f"the recorder has no cloud, and {service} was asked for")


class RecordingMonitor(Monitor):
    """Records resources as a program registers them. Its methods are called from several threads.

    An output that has no value here is unknown to the program, and using it is an error: so no input is lost. In a
    preview all outputs of all resources are unknown, which is more than Pulumi's engine leaves open: it knows those
    that are inputs too.

    Attributes:
        registered: What was registered, by URN.
        calls: How often each function of a provider was called, by its token.
    """

    partly_unknown = True

    def __init__(self, project: str, stack: str, region: str, *, preview: bool = False, checked: bool = False) -> None:
        """Record for a stack in a region; `checked` says whether to check the inputs."""
        super().__init__(project, stack)
        self.preview = preview
        self.registered: dict[str, Registered] = {}
        self.calls: Counter[str] = Counter()
        self._region = region
        self._checked = checked
        self._provider = Provider(Context(_NoCloud(region)))
        self._recording = threading.Lock()

    def plain(self, message: Any) -> tuple[dict[str, Any], list[str]]:
        """The properties of a message; in a preview what is not known yet is kept as the wire's mark."""
        return (plain(message, UNKNOWN)[0], []) if self.preview else plain(message)

    def registered_resource(self, new: Registration) -> tuple[str, dict[str, Any]]:
        """Record a resource or a component."""
        judged = self._judged(new)
        physical_id, outputs = self._made(new)
        secrets = dict.fromkeys(new.secret_outputs, MASK) if new.custom else {}
        known = new.shown.keys() if not self.preview else ()
        with self._recording:
            self.registered[new.urn] = Registered(
                **new.place(),
                protect=bool(new.protect),
                deleted_first=bool(new.delete_before_replace),
                inputs=new.shown,
                outputs={key: value for key, value in {**outputs, **secrets}.items() if key not in known},
                refused=[str(failure) for failure in judged.failures],
                unheld=judged.unheld,
            )
        return physical_id, {**outputs, **{key: secret(outputs[key]) for key in new.secret_outputs if key in outputs}}

    def registered_outputs(self, urn: str, outputs: dict[str, Any]) -> bool:
        """Keep the outputs of a component, once; False if there is no such."""
        with self._recording:
            before = self.registered.get(urn)
            if before is None:
                return False
            if before.registered_outputs is not None:
                raise DeploymentError(f"{before.name} registers its outputs twice")
            self.registered[urn] = replace(before, registered_outputs=outputs)
            return True

    def _judged(self, new: Registration) -> Judgement:
        """The checks' result, where they are asked for; nothing is refused here."""
        if not self._checked or not new.custom or new.type.startswith(PROVIDERS):
            return Judgement([], "")
        return judge(new.type, new.checked, self._region, ACCOUNT)

    def _made(self, new: Registration) -> tuple[str, dict[str, Any]]:
        """The id and outputs that AWS would give a resource; in a preview none."""
        if not new.custom:
            return "", {}
        if new.type.startswith(PROVIDERS):
            return new.name, {}
        if self.preview:
            # The SDK takes an output that is not there for unknown too.
            return "", dict.fromkeys([*new.values, "arn"], UNKNOWN)
        outputs = self.made_up(new.type, new.name, new.values)
        return outputs["id"], outputs

    def made_up(self, token: str, name: str, values: dict[str, Any]) -> dict[str, Any]:
        """The outputs that AWS would make up, the id among them."""
        service = re.split(r"[:/]", token)[1] if token.startswith("aws:") else token.split(":")[1]
        outputs: dict[str, Any] = {
            "url": f"https://sqs.{self._region}.amazonaws.com/{ACCOUNT}/{name}",
            "keyId": f"key-of-{name}",
            "hasPolicy": True,
            "deploymentId": f"deployment-of-{name}",
            "availabilityZone": f"{self._region}a",
            "latestVersion": 1,
            "id": f"{name}-id",
        }
        if token == "aws-native:greengrassv2:ComponentVersion":  # noqa: S105 - a type's token
            recipe = json.loads(values["inlineRecipe"])
            outputs["componentName"], outputs["componentVersion"] = recipe["ComponentName"], recipe["ComponentVersion"]
        made_up = f"arn:aws:{service}:{self._region}:{ACCOUNT}:{name}"
        own = arn(token, outputs["id"], {**values, **outputs}, self._region, ACCOUNT) or made_up
        return {**outputs, "arn": own, "invokeArn": own}

    def answer(self, token: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """The answer of a provider's function."""
        with self._recording:
            self.calls[token] += 1
        if token == "aws:index/getCallerIdentity:getCallerIdentity":  # noqa: S105 - a function's token
            return {"accountId": ACCOUNT, "arn": f"arn:aws:iam::{ACCOUNT}:root", "userId": ACCOUNT, "id": ACCOUNT}
        if token == "aws:ssm/getParameter:getParameter":  # noqa: S105 - a function's token
            name = arguments["name"]
            return {"id": name, "name": name, "type": "String", "value": f"value-of-{name.rsplit('/', 1)[-1]}"}
        if token == "aws:kms/getPublicKey:getPublicKey":  # noqa: S105 - a function's token
            return {"id": arguments["keyId"], "keyId": arguments["keyId"], "publicKeyPem": PUBLIC_KEY}
        return self._provider.invoke(token, arguments)
