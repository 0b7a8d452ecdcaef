"""Releases of what was judged, signed by the stack's key, in the emulated AWS with IAM and KMS enforced.

The deployed functions are called one by one, with all that an attacker of the training output can do in between; what
they ship is verified as a core device does it. Not proved here: that the state machine calls them so
(test_pipeline_execution.py), that a core device runs what it takes up (tests/end_to_end), and that AWS KMS is as its
documents say.
"""

import datetime as dt
import io
import json
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from botocore.exceptions import ClientError

from pm_contracts import model_signature
from pm_contracts.manifest import MANIFEST_FILE, MODEL_FILE
from pm_contracts.messages import Refused
from pm_contracts.model_signature import ALGORITHM, KEYS_FILE, Release, decode_release
from pm_edge.runtime.model_trust import ModelTrust
from pm_sandbox.cloud import Cloud
from pm_sandbox.deployer import deploy
from tests import crafted_models
from tests.components.forecast_pipeline.published_models import recipe
from tests.components.functions.test_model_gate import files, packed

ROOT = Path(__file__).parents[3]
SITE = "lindau"
TRAINING = {"schedule_enabled": False, "champion_margin": 1.0, "canary": {}}


class FunctionFailed(RuntimeError):
    """A function that ended with an error; the text is its words."""


class Pipeline(NamedTuple):
    cloud: Cloud
    outputs: dict[str, Any]
    directory: Path

    @property
    def bucket(self) -> str:
        return str(self.outputs["artifact_bucket"])

    def call(self, function: str, event: dict[str, Any]) -> Any:
        answer = self.cloud.client("lambda").invoke(
            FunctionName=f"pm-dev-pipeline-{function}", Payload=json.dumps(event).encode()
        )
        payload = json.loads(answer["Payload"].read())
        if "FunctionError" in answer:
            raise FunctionFailed(f"{payload['errorType']}: {payload['errorMessage']}")
        return payload

    def put(self, key: str, archive: bytes) -> None:
        self.cloud.client("s3").put_object(Bucket=self.bucket, Key=key, Body=archive)

    def judge(self, key: str, kind: str = "forecast") -> dict[str, Any]:
        """The verdict on what lies at a key, registered, and approved as by a trial that went well."""
        event = {"kind": kind, "model_data": f"s3://{self.bucket}/{key}", "training_job": "job"}
        verdict = self.call("register", self.call("gate", event))
        assert verdict["reasons"], verdict
        return dict(verdict)

    def release(self, *verdicts: dict[str, Any]) -> dict[str, str]:
        """Release them: version by component."""
        return dict(self.call("release", {"models": list(verdicts)})["versions"])

    def shipped(self, versions: dict[str, str]) -> dict[str, bytes]:
        """The files of the one component that was released."""
        [(component, version)] = versions.items()
        (artifact,) = recipe(self.cloud, component, version)["Manifests"][0]["Artifacts"]
        bucket, _, key = artifact["Uri"].removeprefix("s3://").partition("/")
        return unzipped(self.cloud.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())

    def trusted(self) -> ModelTrust:
        """The trust of a core device that has what the site's deployment brings now."""
        s3, prefix = self.cloud.client("s3"), f"components/pm-dev-{SITE}/pm.SiteDevices/"
        listed = s3.list_objects_v2(Bucket=self.bucket, Prefix=prefix)["Contents"]
        newest = max(listed, key=lambda one: one["LastModified"])
        brought = unzipped(s3.get_object(Bucket=self.bucket, Key=newest["Key"])["Body"].read())
        data = self.directory / uuid.uuid4().hex
        data.mkdir()
        (data / KEYS_FILE).write_bytes(brought[KEYS_FILE])
        return ModelTrust(SITE, data)

    def verified(self, versions: dict[str, str], trust: ModelTrust | None = None) -> Release:
        """The release of what was shipped, verified as on a core device."""
        made = self.shipped(versions)
        directory = self.directory / uuid.uuid4().hex
        directory.mkdir()
        for name, content in made.items():
            (directory / name).write_bytes(content)
        kind = decode_release(made[model_signature.RELEASE_FILE]).kind
        return (trust or self.trusted()).release(directory, kind, made[MANIFEST_FILE], made[MODEL_FILE])


def unzipped(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    with Cloud.start(tmp_path_factory.mktemp("signed")) as cloud:
        outputs = deploy(ROOT, "dev", cloud, {"pm:training": {**TRAINING, "signing_keys": ["old"]}}).outputs
        yield Pipeline(cloud, outputs, tmp_path_factory.mktemp("devices"))


def model(*names: str) -> bytes:
    """A model that differs from all of other names."""
    return crafted_models.written([crafted_models.node("Identity", "x", "y", name=" ".join(names))])


def key_of_test() -> str:
    return f"training/{uuid.uuid4().hex}/output/model.tar.gz"


@pytest.mark.parametrize("kind", ["forecast", "fault"])
def test_another_model_in_its_place_after_the_gate_is_not_released(pipeline: Pipeline, kind: str) -> None:
    key = key_of_test()
    pipeline.put(key, packed(files(model=model("judged", kind))))
    verdict = {**pipeline.judge(key), "passed": True}
    pipeline.put(key, packed(files(kind, model=model("another"))))
    versions = pipeline.release(verdict)
    assert set(versions) == {"pm.ForecastModel"}
    assert pipeline.shipped(versions)[MODEL_FILE] == model("judged", kind)
    release = pipeline.verified(versions)
    assert (release.kind, release.sites, release.on_trial, release.rollback) == ("forecast", [SITE], False, False)
    assert release.expires_at - release.issued_at == dt.timedelta(days=365)


def test_what_the_verdict_is_not_on_is_refused_with_the_reason(pipeline: Pipeline) -> None:
    key = key_of_test()
    pipeline.put(key, packed(files(model=model("judged"))))
    verdict = {**pipeline.judge(key), "passed": True}
    pipeline.put(key, packed(files("fault", model=model("another"))))
    other = pipeline.judge(key, "fault")
    for change, said in (
        ({"version_id": other["version_id"]}, "has SHA-256 .*, and the verdict is on"),
        ({name: other[name] for name in ("version_id", "sha256")}, "a fault model, and the verdict is on a forecast"),
        ({"version_id": "gone"}, "NoSuchVersion|InvalidArgument|specified version"),
    ):
        for function, event in (
            ("release", {"models": [{**verdict, **change}]}),
            ("trial", {"step": "start", "models": [{**verdict, **change, "on_trial": True}]}),
        ):
            with pytest.raises(FunctionFailed, match=said):
                pipeline.call(function, event)


def test_a_model_on_trial_is_the_judged_one_and_signed_for_the_trial_alone(pipeline: Pipeline) -> None:
    key = key_of_test()
    pipeline.put(key, packed(files(model=model("tried"))))
    verdict = pipeline.judge(key)
    pipeline.put(key, packed(files(model=model("another"))))
    started = pipeline.call("trial", {"step": "start", "models": [{**verdict, "on_trial": True}]})
    pipeline.call("trial", {"step": "end", "models": [], "result": None, "error": {}})
    greengrass = pipeline.cloud.client("greengrassv2")
    made = greengrass.get_deployment(deploymentId=started["deployments"][0]["deployment_id"])["components"]
    shipped = pipeline.shipped({name: its["componentVersion"] for name, its in made.items()})
    assert shipped[f"model/{MODEL_FILE}"] == model("tried")
    directory = pipeline.directory / uuid.uuid4().hex
    directory.mkdir()
    for name in (model_signature.RELEASE_FILE, model_signature.SIGNATURE_FILE):
        (directory / name).write_bytes(shipped[f"model/{name}"])
    asked = (directory, "forecast", shipped[f"model/{MANIFEST_FILE}"], shipped[f"model/{MODEL_FILE}"])
    assert pipeline.trusted()._replace(on_trial=True).release(*asked).on_trial
    with pytest.raises(Refused, match="of a model on trial"):
        pipeline.trusted().release(*asked)


def test_a_release_that_is_asked_for_twice_is_made_once_and_anew_after_another(pipeline: Pipeline) -> None:
    first, second = key_of_test(), key_of_test()
    pipeline.put(first, packed(files(model=model("first"))))
    pipeline.put(second, packed(files(model=model("second"))))
    one, two = ({**pipeline.judge(key), "passed": True} for key in (first, second))
    versions = pipeline.release(one)
    assert pipeline.release(one) == versions
    pipeline.release(two)
    assert pipeline.release(one) != versions, "a core device would refuse the release of before"
    pipeline.put("releases/forecast.json", b"{")
    pipeline.verified(pipeline.release(one))


def test_going_back_is_a_signed_rollback_to_a_registered_and_approved_model(pipeline: Pipeline) -> None:
    key = key_of_test()
    pipeline.put(key, packed(files(model=model("good"))))
    verdict = pipeline.judge(key)
    arn = verdict["model_package_arn"]
    with pytest.raises(FunctionFailed, match="is PendingManualApproval, allowed is Approved"):
        pipeline.call("release", {"rollback": arn})
    pipeline.cloud.client("sagemaker").update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")
    pipeline.put(key, packed(files(model=model("another"))))
    answer = pipeline.call("release", {"rollback": arn})
    assert pipeline.shipped(answer["versions"])[MODEL_FILE] == model("good")
    release = pipeline.verified(answer["versions"])
    assert release.rollback
    assert release.made_at == dt.datetime.fromisoformat(verdict["made_at"])
    assert [one["site"] for one in answer["deployments"]] == [SITE]


def test_nobody_but_the_releasing_functions_signs_and_they_by_one_algorithm_alone(pipeline: Pipeline) -> None:
    kms = pipeline.cloud.client("kms")
    keys = [kms.describe_key(KeyId=one["KeyId"])["KeyMetadata"] for one in kms.list_keys()["Keys"]]
    [signing] = [one for one in keys if one["KeyUsage"] == "SIGN_VERIFY"]
    assert signing["KeySpec"] == "RSA_3072"
    with pytest.raises(ClientError, match="explicit deny"):
        kms.sign(KeyId=signing["Arn"], Message=bytes(32), MessageType="DIGEST", SigningAlgorithm=ALGORITHM)
    iam = pipeline.cloud.client("iam")
    signers = set()
    for role in iam.list_roles()["Roles"]:
        for name in iam.list_role_policies(RoleName=role["RoleName"])["PolicyNames"]:
            document = iam.get_role_policy(RoleName=role["RoleName"], PolicyName=name)["PolicyDocument"]
            for statement in document["Statement"]:
                if "kms:Sign" in statement["Action"]:
                    signers.add(role["RoleName"])
                    assert statement["Resource"] == [signing["Arn"]]
                    assert statement["Condition"] == {
                        "StringEquals": {"kms:SigningAlgorithm": ALGORITHM, "kms:MessageType": "DIGEST"}
                    }
    assert signers == {"pm-dev-pipeline-release", "pm-dev-pipeline-trial"}


def test_a_training_job_writes_its_output_and_neither_verdicts_nor_releases(pipeline: Pipeline) -> None:
    cloud, bucket = pipeline.cloud, pipeline.bucket
    role = f"arn:aws:iam::{cloud.account_id}:role/pm-dev-pipeline-training"

    def may(action: str, resource: str) -> bool:
        asked = cloud.client("iam").simulate_principal_policy(
            PolicySourceArn=role, ActionNames=[action], ResourceArns=[resource]
        )
        [answer] = asked["EvaluationResults"]
        return bool(answer["EvalDecision"] == "allowed")

    objects = f"arn:aws:s3:::{bucket}"
    assert may("s3:PutObject", f"{objects}/training/job/output/model.tar.gz")
    for prefix in ("models", "releases", "components", "sites", "training-code", "exports"):
        assert not may("s3:PutObject", f"{objects}/{prefix}/x"), prefix
    for action in ("s3:DeleteObject", "s3:DeleteObjectVersion"):
        assert not may(action, f"{objects}/training/job/output/model.tar.gz"), action
    here = f"{cloud.region}:{cloud.account_id}"
    for action, resource in (
        ("kms:Sign", f"arn:aws:kms:{here}:key/*"),
        ("lambda:InvokeFunction", f"arn:aws:lambda:{here}:function:pm-dev-pipeline-release"),
        ("lambda:InvokeFunction", f"arn:aws:lambda:{here}:function:pm-dev-pipeline-register"),
        ("states:StartExecution", pipeline.outputs["state_machine_arn"]),
        ("sagemaker:CreateModelPackage", f"arn:aws:sagemaker:{here}:model-package-group/pm-dev-pipeline-forecast"),
        ("sagemaker:UpdateModelPackage", f"arn:aws:sagemaker:{here}:model-package/pm-dev-pipeline-forecast/1"),
        ("greengrass:CreateComponentVersion", f"arn:aws:greengrass:{here}:components:pm.ForecastModel"),
        ("greengrass:CreateDeployment", f"arn:aws:greengrass:{here}:deployments:*"),
    ):
        assert not may(action, resource), action


def test_the_key_is_changed_in_three_updates_without_a_gap(pipeline: Pipeline) -> None:
    key = key_of_test()
    pipeline.put(key, packed(files(model=model("of all keys"))))
    verdict = {**pipeline.judge(key), "passed": True}

    def updated(*keys: str) -> tuple[dict[str, str], ModelTrust]:
        deploy(ROOT, "dev", pipeline.cloud, {"pm:training": {**TRAINING, "signing_keys": list(keys)}})
        return pipeline.release(verdict), pipeline.trusted()

    before, only_old = pipeline.release(verdict), pipeline.trusted()
    first, both = updated("old", "new")
    assert first == before, "the old key signs, so that nothing has to be released anew"
    second, still_both = updated("new", "old")
    assert second != first
    for trust in (both, still_both):
        for versions in (first, second):
            pipeline.verified(versions, trust)
    third, only_new = updated("new")
    assert third == second
    pipeline.verified(third, only_new)
    for versions, trust in ((first, only_new), (second, only_old)):
        with pytest.raises(Refused, match="by none of the 1 keys"):
            pipeline.verified(versions, trust)
