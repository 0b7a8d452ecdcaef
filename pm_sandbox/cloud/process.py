"""The emulated AWS as a child process: start it, attach to it, ask it, stop it."""

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pm_sandbox.cloud import seams
from pm_sandbox.cloud.seams import HTTP_SOCKET_VARIABLE, LOOPBACK, MQTT_SOCKET_VARIABLE
from pm_sandbox.state_files import DamagedFileError, read_json, write_json
from pm_sandbox.surroundings import aws_client, get, python
from pm_sandbox.surroundings import environment as processes_environment

REGION = "eu-central-1"
ACCOUNT_ID = "000000000000"
STATE_FILE = "cloud.json"
_STATE = ("endpoint", "mqtt_host", "mqtt_port", "region", "account_id", "secret")
#: The emulator counts this key as its root user: the operator of the sandbox.
_OPERATOR_KEY = "operator"
#: Seconds; it takes less than one on an idle machine.
_START_LIMIT = 60.0
_STOP_LIMIT = 10.0


class CloudError(RuntimeError):
    """The emulated AWS did not start, is not there, or did not answer; the text says why and where to look."""


class Cloud:
    """A running emulated AWS.

    Attributes:
        directory: Its folder: state file, log, certificate authority, and what the extensions write.
        endpoint: URL of all AWS APIs, `http://127.0.0.1:PORT`.
        mqtt_host: Host of the MQTT broker, which speaks TLS.
        mqtt_port: Port of the MQTT broker.
        certificate_authority: PEM file that devices trust the broker by.
        region: The AWS region that it plays.
        account_id: The AWS account that it plays.
        log_file: What it logs.
    """

    def __init__(self, directory: Path, state: dict[str, Any], process: subprocess.Popen[bytes] | None) -> None:
        """Take over a running cloud; use `start` or `attach`."""
        self.directory = directory
        self.endpoint: str = state["endpoint"]
        self.mqtt_host: str = state["mqtt_host"]
        self.mqtt_port: int = state["mqtt_port"]
        self.region: str = state["region"]
        self.account_id: str = state["account_id"]
        self.certificate_authority = directory / "certificate-authority.pem"
        self.log_file = directory / "cloud.log"
        self._secret: str = state["secret"]
        self._process = process
        self._clients: dict[str, Any] = {}
        self._clients_lock = threading.Lock()

    @classmethod
    def start(cls, directory: Path, port: int | None = None) -> Self:
        """Start a cloud with nothing in it, and return when it answers.

        Args:
            directory: Its folder, made where missing. A cloud that runs there already is refused.
            port: Port of its APIs; any free one where left out. The MQTT port is always a free one.

        Raises:
            CloudError: if the port is in use, a cloud runs there already, or it does not come up.
        """
        directory = directory.absolute()
        directory.mkdir(parents=True, exist_ok=True)
        try:
            cls.attach(directory)
        except CloudError:  # one that cannot be asked is replaced
            pass
        else:
            raise CloudError(f"a cloud runs in {directory} already: stop it, or use another folder")
        temporary = directory / "temporary"
        secret = secrets.token_hex(20)
        with listening_socket(port) as http_socket, listening_socket(None) as mqtt_socket:
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir()
            state = {
                "endpoint": f"http://{LOOPBACK}:{http_socket.getsockname()[1]}",
                "mqtt_host": LOOPBACK,
                "mqtt_port": mqtt_socket.getsockname()[1],
                "region": REGION,
                "account_id": ACCOUNT_ID,
                "secret": secret,
            }
            with (directory / "cloud.log").open("wb") as log:
                process = subprocess.Popen(
                    python("pm_sandbox.cloud.launcher"),
                    env=_launcher_environment(directory, temporary, state)
                    | {
                        HTTP_SOCKET_VARIABLE: str(http_socket.fileno()),
                        MQTT_SOCKET_VARIABLE: str(mqtt_socket.fileno()),
                    },
                    pass_fds=(http_socket.fileno(), mqtt_socket.fileno()),
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    # A group of its own: Ctrl-C in the terminal reaches us, and we stop it in order.
                    start_new_session=True,
                )
        cloud = cls(directory, state, process)
        try:
            cloud._wait_until_ready()
            cloud.certificate_authority.write_bytes(cloud._get("/_ministack/iot/ca.pem"))
            write_json(directory / STATE_FILE, state | {"pid": process.pid})
        except BaseException:
            cloud.stop()
            raise
        return cloud

    @classmethod
    def attach(cls, directory: Path) -> Self:
        """The cloud that another process has started in `directory`.

        Raises:
            CloudError: if none runs there.
        """
        directory = directory.absolute()
        state = _read_state(directory)
        if not _answers(state["endpoint"]):
            raise CloudError(f"{directory / STATE_FILE} is there, but no cloud answers at {state['endpoint']}")
        return cls(directory, state, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End the process and all it has started; remove its temporary files, keep the log. No-op after `attach`."""
        process, self._process = self._process, None
        for client in self._clients.values():
            client.close()
        self._clients.clear()
        if process is None:
            return
        assert process.stdin is not None  # noqa: S101 - we asked for the pipe
        process.stdin.close()
        try:
            process.wait(_STOP_LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        shutil.rmtree(self.directory / "temporary", ignore_errors=True)
        (self.directory / STATE_FILE).unlink(missing_ok=True)

    def client(self, service: str) -> Any:
        """The boto3 client of `service` with the operator's (root) credentials; one for all threads."""
        with self._clients_lock:
            if service not in self._clients:
                self._clients[service] = aws_client(
                    service,
                    endpoint=self.endpoint,
                    region=self.region,
                    key=_OPERATOR_KEY,
                    secret=self._secret,
                    max_pool_connections=32,
                    retries={"total_max_attempts": 3},
                )
            return self._clients[service]

    def environment(self) -> dict[str, str]:
        """Environment variables that point a child process's AWS SDK here, with the operator's credentials."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": _OPERATOR_KEY,
            "AWS_SECRET_ACCESS_KEY": self._secret,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_REGION": self.region,
        }

    def get(self, path: str) -> Any:
        """The JSON that one of the extensions' own routes (`/_pm/...`) answers with."""
        return json.loads(self._get(path))

    def device_port(self) -> int:
        """Port of `mqtt_host` where devices speak HTTPS with their certificates: discovery and shadows."""
        port: int = self.get("/_pm/device-endpoint")["port"]
        return port

    def firehose_counts(self) -> dict[str, dict[str, int]]:
        """Records `accepted`, `delivered` and `refused` by delivery stream; all is done where the latter add up."""
        counts: dict[str, dict[str, int]] = self.get("/_pm/firehose")
        return counts

    def undelivered(self) -> dict[str, int]:
        """Numbers of lost notices, which a queue, a topic or its key refused, by ARN of the rule or alarm."""
        counts: dict[str, int] = self.get("/_pm/undelivered")
        return counts

    def _get(self, path: str) -> bytes:
        try:
            return get(self.endpoint + path, timeout=30)
        except OSError as error:
            raise CloudError(f"{self.endpoint}{path} does not answer: {error}") from error

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + _START_LIMIT
        while not _answers(self.endpoint):
            if self._process is None or self._process.poll() is not None:
                raise CloudError(f"the emulated AWS ended while starting; see {self.log_file}:\n{self._log_end()}")
            if time.monotonic() > deadline:
                raise CloudError(
                    f"the emulated AWS is not ready after {_START_LIMIT:.0f} s; the end of {self.log_file}:\n"
                    f"{self._log_end()}"
                )
            time.sleep(0.02)
        listening = self.get("/_ministack/ready")["iot_mtls"]
        if listening != "listening":
            raise CloudError(f"the MQTT broker of the emulated AWS is {listening}; see {self.log_file}")

    def _log_end(self) -> str:
        return "\n".join(self.log_file.read_text(errors="replace").splitlines()[-15:])


def _launcher_environment(directory: Path, temporary: Path, state: dict[str, Any]) -> dict[str, str]:
    """The child's environment: a process's of ours, and the emulator's own."""
    return processes_environment() | {
        "AUTH": "true",
        "AWS_ACCESS_KEY_ID": _OPERATOR_KEY,
        "AWS_SECRET_ACCESS_KEY": state["secret"],
        "BIND_HOST": LOOPBACK,
        "GATEWAY_PORT": state["endpoint"].rsplit(":", 1)[1],
        "IOT_MTLS_PORT": str(state["mqtt_port"]),
        "MINISTACK_ACCOUNT_ID": state["account_id"],
        "MINISTACK_REGION": state["region"],
        "LOG_LEVEL": "INFO",
        "SFTP_ENABLED": "0",
        "PERSIST_STATE": "0",
        "S3_PERSIST": "0",
        "TMPDIR": str(temporary),
        "STATE_DIR": str(temporary / "state"),
        "S3_DATA_DIR": str(temporary / "s3"),
        # The emulator sweeps the machine's containers of its own at start and stop; it must find none of anybody's.
        "DOCKER_HOST": f"unix://{temporary}/no-docker.sock",
        seams.DIRECTORY_VARIABLE: str(directory),
    }


def listening_socket(port: int | None) -> socket.socket:
    """A socket bound to `port` of loopback, or to a free one.

    Raises:
        CloudError: if the port cannot be had.
    """
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    # Ports that a cloud has just left may still linger in TIME_WAIT.
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((LOOPBACK, port or 0))
    except OSError as error:
        bound.close()
        raise CloudError(f"port {port} of {LOOPBACK} cannot be used ({error.strerror}): choose another") from error
    return bound


def _answers(endpoint: str) -> bool:
    try:
        get(endpoint + "/_ministack/ready", timeout=5)
    except OSError:
        return False
    return True


def _read_state(directory: Path) -> dict[str, Any]:
    try:
        return read_json(directory / STATE_FILE, *_STATE, advice="stop the cloud, and start it anew")
    except FileNotFoundError:
        raise CloudError(f"no cloud runs in {directory}: {STATE_FILE} is not there") from None
    except DamagedFileError as error:
        raise CloudError(str(error)) from error
