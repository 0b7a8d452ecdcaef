"""A sandbox on a machine that is set up for other work: proxies, AWS settings, modules in the working directory, Keras.

Not proved here: that each library asks loopback directly, only that those which the sandbox asks by do.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from pm_sandbox.cloud import Cloud
from pm_sandbox.deployer import deploy
from pm_sandbox.surroundings import aws_client, environment, get, python

ROOT = Path(__file__).resolve().parents[2]
#: A port at which nobody is.
NOBODY = "http://127.0.0.1:9"
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
ACCELERATED = "[default]\ns3 =\n  use_accelerate_endpoint = true\n  addressing_style = virtual\n"


@pytest.fixture
def set_up_for_others(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine with a proxy, an AWS profile that is not there, a broken `~/.aws/config`, and modules of the user."""
    home, work = tmp_path / "home", tmp_path / "work"
    (home / ".aws").mkdir(parents=True)
    (home / ".aws" / "config").write_text("[default\nregion")
    (home / ".aws" / "credentials").write_text("]")
    work.mkdir()
    for module in ("queue", "json", "logging"):
        (work / f"{module}.py").write_text('raise SystemExit("a module of the working directory was imported")\n')
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    monkeypatch.setenv("AWS_USE_FIPS_ENDPOINT", "true")
    for name in PROXIES:
        monkeypatch.setenv(name, NOBODY)
    monkeypatch.chdir(work)
    return work


def test_a_cloud_starts_answers_and_is_deployed_to(set_up_for_others: Path, tmp_path: Path) -> None:
    with Cloud.start(tmp_path / "cloud") as cloud:
        made = deploy(Path(__file__).parent / "deployer" / "programs" / "small", "dev", cloud)
        assert made.resources
        s3 = cloud.client("s3")
        s3.create_bucket(Bucket="things", CreateBucketConfiguration={"LocationConstraint": cloud.region})
        s3.put_object(Bucket="things", Key="k", Body=b"x")
        assert s3.get_object(Bucket="things", Key="k")["Body"].read() == b"x"
        assert get(f"{cloud.endpoint}/_ministack/ready", timeout=30)


@pytest.mark.parametrize("config", ["[default\nregion", ACCELERATED, "[profile other]\nendpoint_url = http://a\n"])
def test_a_client_reads_no_settings_of_the_user_s(config: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config").write_text(config)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "config"))
    for name, value in {"PROFILE": "nobody", "RETRY_MODE": "wrong", "USE_FIPS_ENDPOINT": "true"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("http_proxy", NOBODY)
    client = aws_client("s3", endpoint=NOBODY, region="eu-central-1", key="k", secret="s")
    assert client.meta.endpoint_url == NOBODY
    assert client.meta.config.s3 == {"addressing_style": "path"}
    assert client.meta.config.proxies == {}
    assert not client.meta.config.use_fips_endpoint


@pytest.mark.parametrize(
    ("excepted", "found"),
    [
        ({}, "127.0.0.1,localhost"),
        ({"NO_PROXY": "intra.example"}, "intra.example,127.0.0.1,localhost"),
        ({"no_proxy": "*", "NO_PROXY": "x"}, "*"),
    ],
)
def test_a_process_of_ours_asks_loopback_directly_and_others_as_the_user_has_it(
    excepted: dict[str, str], found: str
) -> None:
    given = {"AWS_PROFILE": "nobody", "KERAS_BACKEND": "tensorflow", "PATH": "/bin", "https_proxy": NOBODY, **excepted}
    made = environment(given)
    assert made["no_proxy"] == made["NO_PROXY"] == found
    assert (made["PATH"], made["https_proxy"]) == ("/bin", NOBODY)
    assert "AWS_PROFILE" not in made
    assert (made["KERAS_BACKEND"], made["AWS_CONFIG_FILE"]) == ("jax", "/dev/null")


def test_each_module_of_ours_runs_without_the_working_directory(set_up_for_others: Path) -> None:
    for module in ("pm_sandbox.factory", "pm_sandbox.core_device", "pm_edge.devices.sensor"):
        told = subprocess.run(python(module, "--help"), env=environment(), capture_output=True, text=True, check=False)
        assert told.returncode == 0, told.stderr


def test_no_other_place_starts_a_module_of_ours() -> None:
    files = [path for name in ("pm_sandbox", "pm_cli") for path in (ROOT / name).rglob("*.py")]
    starts = re.compile(r'sys\.executable[^\n]{0,8}[\s"(,*]+-m\b')
    found = {str(path.relative_to(ROOT)) for path in files if starts.search(path.read_text())}
    assert found == {"pm_sandbox/surroundings.py"}


def test_keras_is_set_up_by_us_alone(tmp_path: Path) -> None:
    (tmp_path / ".keras").mkdir()
    (tmp_path / ".keras" / "keras.json").write_text('{"floatx": "float16", "backend": "tensorflow"}')
    script = "import pm_ml.forecast.model, keras; print(keras.backend.backend(), keras.config.floatx())"
    told = subprocess.run(
        [sys.executable, "-c", script],
        env={"HOME": str(tmp_path), "KERAS_BACKEND": "tensorflow", "PATH": "/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.stdout == "jax float32\n", told.stderr
