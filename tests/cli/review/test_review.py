"""The output of `pm review` and `pm config diff`, on the project's own stacks and on changes made for the purpose.

Not proved here: that AWS's bill is what the estimate says, and that a statement in words is a complete account of how
IAM decides.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from google.protobuf import struct_pb2
from pulumi.runtime import rpc

from pm_cli.review import service_limits, snapshot
from pm_cli.review.permissions import in_words, permissions
from pm_cli.review.review import by_component
from pm_cli.review.settings import difference
from pm_cli.review.snapshot import Snapshot, SnapshotError, compared, taken
from pm_components.aws import limits
from pm_components.stack.config import Site
from pm_sandbox.deployer.masking import MASK, masked
from pm_sandbox.recorder import Recording, Registered, record

ROOT = Path(__file__).resolve().parents[3]
PM = str(Path(sys.executable).with_name("pm"))
Recorded = Callable[[str], Recording]


def pm(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([PM, *arguments], capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's program in a folder of its own, where a review may be accepted."""
    directory = tmp_path_factory.mktemp("project")
    for name in ("Pulumi.yaml", "Pulumi.dev.yaml", "__main__.py"):
        shutil.copy(ROOT / name, directory)
    return directory


def test_a_review_is_accepted_and_then_nothing_has_changed(project: Path) -> None:
    first = pm("review", "dev", "--json", "--accept", "--program", str(project))
    told = json.loads(first.stdout)
    refused = any(finding["level"] == "mandatory" for finding in told["findings"])
    assert (told["refusals"], told["not_checked"]) == ([], [])
    assert first.returncode == (3 if refused else 0), first.stderr
    assert told["difference"] is None
    assert told["resources"]["total"] == sum(told["resources"]["by_component"].values()) > 150
    assert {"AnalyticsStore store", "GreengrassSite lindau"} <= set(told["resources"]["by_component"])
    assert all(set(finding) == {"policy", "level", "urn", "message"} for finding in told["findings"])
    assert 10 < told["monthly_cost_usd"] < told["cost_limit_usd"]
    versions = {one["name"]: one for one in told["component_versions"]}
    assert versions["pm.Uplink"]["dependencies"] == {"pm.PythonRuntime": ">=0.0.0"}
    detector = versions["aws.greengrass.clientdevices.IPDetector"]
    assert (detector["version"], detector["dependencies"]) == ("2.2.3", {"aws.greengrass.Nucleus": ">=2.2.0 <2.17.0"})
    (uses,) = told["service_limits"].values()
    assert {use["quota"] for use in uses} == {"subscriptions a connection", "recipe", "deployment", "policy"}
    assert all(0 < use["used"] <= use["limit"] and use["source"] and use["of"] for use in uses)

    again = pm("review", "dev", "--program", str(project))
    assert again.returncode == first.returncode, again.stdout
    assert "nothing has changed" in again.stdout
    assert "alerting-detector-permissions" in again.stdout

    # Whoever changes the program sees what becomes of it, and a mandatory policy that it breaks refuses it.
    program = (project / "__main__.py").read_text()
    lonely = """
import pulumi_aws
pulumi_aws.sqs.Queue("lonely", name="pm-dev-lonely")
# The SDK looks into no dictionary, and nothing but AWS reads a policy.
pulumi_aws.athena.Workgroup("typo", name="pm-dev-typo", configuration={"resultConfiguraton": {}})
pulumi_aws.athena.Workgroup("blank", name="pm dev blank")
pulumi_aws.sqs.Queue("unnamed")
policy = '{"Statement": [{"Efect": "Allow"}]}'
pulumi_aws.sns.TopicPolicy("loose", arn="arn:aws:sns:eu-central-1:123456789012:t", policy=policy)
"""
    (project / "__main__.py").write_text(program + lonely)
    changed = pm("review", "dev", "--markdown", "--program", str(project))
    (project / "__main__.py").write_text(program)
    assert changed.returncode == 3, changed.stdout
    assert "\n+ Queue lonely\n" in changed.stdout
    assert "| mandatory | `dead-letters` | Queue lonely |" in changed.stdout
    assert "| Workgroup typo | configuration.resultConfiguraton: there is no such input, allowed are " in changed.stdout
    assert "| Workgroup blank | athena CreateWorkGroup: Value 'pm dev blank' at 'Name' failed" in changed.stdout
    assert "| TopicPolicy loose | PolicyDocument.Statement[0].Efect: Additional properties are not" in changed.stdout
    assert "Not checked: 1 aws:sqs/queue:Queue, against the service's model: input name is missing" in changed.stdout
    assert "No second source was found for: iot rule, iot action, firehose partitioning." in changed.stdout
    lines = changed.stdout.splitlines()
    assert lines[0] == "## Review of stack `dev`"
    assert all(line.endswith("|") for line in lines if line.startswith("|"))
    # Without an empty line before them these would be rows of a table.
    assert all(not lines[at - 1] for at, line in enumerate(lines) if at and line.startswith(("<details>", "#")))


def test_a_stack_without_a_file_is_an_error_and_no_review(project: Path) -> None:
    told = pm("review", "prod", "--program", str(project))
    assert told.returncode == 2
    assert "Pulumi.prod.yaml" in told.stderr
    assert "Traceback" not in told.stdout + told.stderr


def _changed(recording: Recording, urn_end: str, change: Callable[[Registered], Registered | None]) -> Recording:
    found = [one for one in recording.resources if one.urn.endswith(urn_end)]
    assert len(found) == 1
    kept = [one for one in recording.resources if one is not found[0]]
    made = change(found[0])
    return replace(recording, resources=kept if made is None else [*kept, made])


def _taken(recording: Recording, cost: float = 10.0) -> Snapshot:
    return taken(recording, [str(one) for one in permissions(recording)], cost)


def test_a_renamed_bucket_is_told_as_data_that_goes(recorded: Recorded) -> None:
    before = recorded("dev")
    after = _changed(before, "::store-lake-bucket", lambda one: replace(one, urn=one.urn + "-2", name="other"))
    found = compared(_taken(before), _taken(after))
    (lost,) = found.losing_data
    assert lost.endswith("::store-lake-bucket")
    assert [urn.rpartition("::")[2] for urn in found.added] == ["store-lake-bucket-2"]
    assert not found.nothing
    assert compared(_taken(before), _taken(before)).nothing


def test_a_changed_input_is_told_with_what_it_was_and_a_long_one_by_its_hash(recorded: Recorded) -> None:
    before = recorded("dev")
    longer = _changed(before, "::store-lake-bucket", lambda one: replace(one, inputs={**one.inputs, "bucket": "new"}))
    (change,) = compared(_taken(before), _taken(longer)).changed
    assert (change.key, change.before, change.after) == ("bucket", "pm-dev-store-lake-123456789012", "new")
    hashed = {value for inputs in _taken(before).resources.values() for value in inputs.values() if len(value) > 80}
    assert not hashed


def test_a_site_with_nucleus_lite_is_told_what_it_uses_of_its_buffers() -> None:
    sites = [
        {
            "name": "ulm",
            "core_devices": ["ulm-a"],
            "devices": [{"name": f"m-{number}", "type": "machine"} for number in range(200)],
            "nucleus": {"kind": "lite"},
            "client_devices": False,
        },
        {
            "name": "linz",
            "core_devices": ["linz-a"],
            "devices": [{"name": f"m-{n}", "type": "machine"} for n in range(30)],
        },
    ]
    recording = record(ROOT, "dev", {"pm:sites": sites})
    told = service_limits.service_limits(recording, msgspec.convert(sites, list[Site]))
    lite = {use.of: use for use in told["ulm"] if use.quota == "nucleus lite"}
    assert lite["the deployment"].limit == limits.LITE_DEPLOYMENT_BYTES
    assert all(0 < use.used <= use.limit for use in lite.values())
    # A classic nucleus keeps the shadows of thirty devices in step, two subscriptions each, on two connections.
    (subscriptions,) = [use for use in told["linz"] if use.quota == "subscriptions a connection"]
    assert (subscriptions.used, subscriptions.limit) == (50, limits.IOT_SUBSCRIPTIONS_PER_CONNECTION)
    assert subscriptions.of == "a core device's nucleus: 72 on 2 connections, inferred"
    versions = [one for one in service_limits.component_versions(recording) if one.name == "pm.SiteDevices"]
    assert len(versions) == 2, "each site has a list of its own"


def test_a_new_permission_and_a_dearer_month_are_told(recorded: Recorded) -> None:
    before = recorded("dev")
    allowed = '{"Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}'
    after = _changed(
        before, "::alerting-detector-permissions", lambda one: replace(one, inputs={**one.inputs, "policy": allowed})
    )
    found = compared(_taken(before, 10.0), _taken(after, 12.5))
    assert found.permissions_added == ["alerting-detector-permissions: may s3 (anything) on everything"]
    assert len(found.permissions_removed) > 2
    assert found.monthly_cost_usd == 2.5


def test_a_snapshot_is_read_as_it_was_written_and_a_broken_one_is_refused(recorded: Recorded, tmp_path: Path) -> None:
    path = tmp_path / "snapshots" / "dev.json"
    assert snapshot.read(path) is None
    kept = _taken(recorded("dev"))
    snapshot.write(path, kept)
    assert snapshot.read(path) == kept
    path.write_text('{"resources": {}}')
    with pytest.raises(SnapshotError, match=r"dev\.json is not a snapshot .*delete it"):
        snapshot.read(path)


def test_another_stack_is_kept_as_its_differences_from_dev(tmp_path: Path) -> None:
    urn = "urn:pulumi:{}::pm::aws:sqs/queue:Queue::{}"
    queue = {"name": "pm-dev-letters", "messageRetentionSeconds": "60", "delaySeconds": "1"}
    dev = Snapshot({urn.format("dev", "letters"): queue, urn.format("dev", "spare"): {}}, ["may a", "may b"], 10.0)
    changed = {"name": "pm-prod-letters", "messageRetentionSeconds": "90", "fifoQueue": "true"}
    prod = Snapshot(
        {urn.format("prod", "letters"): changed, urn.format("prod", "more"): {"name": "m"}}, ["may a", "may c"], 20.0
    )
    snapshot.write(tmp_path / "dev.json", dev)
    snapshot.write(tmp_path / "prod.json", prod)
    assert json.loads((tmp_path / "prod.json").read_text()) == {
        "differs_from": "dev",
        "resources": {
            urn.format("{stack}", "letters"): {
                "delaySeconds": None,
                "fifoQueue": "true",
                "messageRetentionSeconds": "90",
            },
            urn.format("{stack}", "more"): {"name": "m"},
            urn.format("{stack}", "spare"): None,
        },
        "permissions_added": ["may c"],
        "permissions_removed": ["may b"],
        "monthly_cost_usd": 20.0,
    }
    assert snapshot.read(tmp_path / "prod.json") == prod
    assert snapshot.read(tmp_path / "dev.json") == dev
    # A change that both share stands in the one file, and is reviewed for both.
    added = urn.format("dev", "new")
    snapshot.write(tmp_path / "dev.json", Snapshot({**dev.resources, added: {"name": "n"}}, dev.permissions, 10.0))
    shared = snapshot.read(tmp_path / "prod.json")
    assert shared is not None
    assert shared.resources.keys() - prod.resources.keys() == {urn.format("prod", "new")}
    (tmp_path / "dev.json").unlink()
    with pytest.raises(SnapshotError, match="differs from dev, which has no snapshot"):
        snapshot.read(tmp_path / "prod.json")
    snapshot.write(tmp_path / "prod.json", prod)
    assert "differs_from" not in (tmp_path / "prod.json").read_text()


@pytest.mark.parametrize("stack", ["staging", "prod"])
def test_stacks_differ_in_what_is_set_otherwise_and_not_in_their_names(
    stack: str, recorded: Recorded, tmp_path: Path
) -> None:
    for one in ("dev", stack):
        snapshot.write(tmp_path / f"{one}.json", _taken(recorded(one)))
    differing = json.loads((tmp_path / f"{stack}.json").read_text())["resources"].values()
    assert not any({"tags"} == inputs.keys() for inputs in differing if inputs)
    assert len(differing) < len(recorded(stack).resources)
    assert snapshot.read(tmp_path / f"{stack}.json") == _taken(recorded(stack))


def test_every_resource_is_counted_once(recorded: Recorded) -> None:
    counts = by_component(recorded("prod"))
    assert sum(counts.values()) == len(recorded("prod").resources)
    assert {"GreengrassSite lindau", "GreengrassSite bregenz"} <= set(counts)


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        (
            {"Effect": "Allow", "Action": ["s3:PutObject", "s3:GetObject"], "Resource": "arn:aws:s3:::lake/a/*"},
            "may s3 GetObject, PutObject on lake/a/*",
        ),
        (
            {
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": ["arn:aws:s3:::lake"],
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            },
            "everyone may not s3 (anything) on lake where aws:SecureTransport is false",
        ),
        (
            {"Effect": "Allow", "Principal": {"Service": "iot.amazonaws.com"}, "Action": "sts:AssumeRole"},
            "iot.amazonaws.com may take the role",
        ),
        (
            {"Effect": "Allow", "Action": "iam:PassRole", "Resource": "arn:aws:iam::123456789012:role/r"},
            "may iam PassRole on role/r",
        ),
        (
            {"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"},
            "may do all but iam (anything) on everything",
        ),
        (
            {
                "Effect": "Allow",
                "Principal": {"AWS": "arn:aws:iam::123456789012:root"},
                "Action": ["kms:Decrypt"],
                "Resource": "*",
                "Condition": {"NumericLessThan": {"x:y": 5}},
            },
            "the account may kms Decrypt on everything where x:y NumericLessThan 5",
        ),
        ({"Effect": "Allow", "Action": "*", "Resource": "*"}, "may (anything) on everything"),
        (
            {"Effect": "Allow", "Action": "s3:GetObject", "NotResource": "arn:aws:s3:::lake/*"},
            "may s3 GetObject on all but lake/*",
        ),
        (
            {"Effect": "Allow", "NotPrincipal": {"Service": "x.amazonaws.com"}, "Action": "sqs:SendMessage"},
            "all but x.amazonaws.com may sqs SendMessage",
        ),
    ],
)
def test_a_statement_is_told_in_words(statement: dict[str, Any], words: str) -> None:
    assert in_words(statement) == words


def test_a_secret_is_masked_at_any_depth() -> None:
    message = struct_pb2.Struct()
    message.update(
        {"plain": "a", "list": [{"in": {rpc._special_sig_key: rpc._special_secret_sig, "value": "s3cr3t"}}, "b"]}
    )
    assert masked(message, {"plain": "a", "list": [{"in": "s3cr3t"}, "b"]}) == {
        "plain": "a",
        "list": [{"in": MASK}, "b"],
    }


def test_config_diff_shows_what_holds_and_not_what_is_written() -> None:
    found = {one.key: (one.first, one.second) for one in difference(ROOT, "dev", "prod")}
    assert found["tier"] == ("dev", "prod")
    assert found["retention_days"] == ("30", "1825")
    assert found["protected"] == ("no", "yes")
    assert found["sites.bregenz"][0] is None
    # Written in one file, and the component's default in the other.
    assert "detector.window" not in found
    assert found["detector.clear_share"] == ("0.125", "0.15")
    # What is optional as a whole is told as off, and with its defaults where it is on.
    assert found["training.canary"] == ("-", None)
    assert found["training.canary.minimum_outcomes"] == (None, "48")
    assert found["sites.bregenz.canary_devices"] == (None, "none")
    # Of a site that one stack alone has, nothing is said of defaults; of one that both have, these are filled in.
    assert "sites.bregenz.client_devices" not in found
    assert found["sites.lindau.canary_devices"] == ("lindau-core", "lindau-canary")
    assert difference(ROOT, "prod", "prod") == []


def test_config_diff_fills_in_every_default(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Pulumi.yaml", tmp_path)
    site = {"name": "a", "core_devices": ["c"], "devices": [{"name": "d", "type": "machine"}]}
    plain = {"config": {"pm:sites": [site], "pm:alert_emails": []}}
    own = {
        "pm:lake": {"scan_limit_bytes": 20_000_000_000, "customer_key": True},
        "pm:alarms": {"dedupe_seconds": 60},
        "pm:training": {"spot": True, "workbench": {}, "minimum_skill": 0.5, "image_uri": "mine"},
    }
    (tmp_path / "Pulumi.plain.yaml").write_text(json.dumps(plain))
    (tmp_path / "Pulumi.own.yaml").write_text(json.dumps({"config": {**plain["config"], **own}}))
    found = {one.key: (one.first, one.second) for one in difference(tmp_path, "plain", "own")}
    image = found.pop("training.image_uri")
    assert (str(image[0]).split("/")[-1].split(":")[0], image[1]) == ("pytorch-training", "mine")
    assert found == {
        "alarms.dedupe_seconds": ("3600", "60"),
        "lake.customer_key": ("no", "yes"),
        "lake.scan_limit_bytes": ("10000000000", "20000000000"),
        "training.minimum_skill": ("0", "0.5"),
        "training.spot": ("no", "yes"),
        "training.workbench": ("-", None),
        "training.workbench.instance_type": (None, "ml.t3.medium"),
        "training.workbench.security_group_ids": (None, "-"),
        "training.workbench.subnet_id": (None, "-"),
        "training.workbench.volume_gibibytes": (None, "20"),
    }


def test_config_diff_for_machines_and_for_a_stack_that_is_not_there() -> None:
    told = pm("config", "diff", "dev", "staging", "--json")
    assert json.loads(told.stdout)["tier"] == {"dev": "dev", "staging": "staging"}
    wrong = pm("config", "diff", "dev", "pord")
    assert wrong.returncode == 2
    assert "stacks here: dev, local, prod, staging" in wrong.stderr
